"""The control plane: the job, its stores, and the reconciler that moves it on."""
