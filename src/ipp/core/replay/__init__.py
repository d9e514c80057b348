"""History replayed: what a policy would have ordered, held and lost."""
