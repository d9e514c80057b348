"""The control plane: what a job is, where it is kept, and the one place where it moves on."""
