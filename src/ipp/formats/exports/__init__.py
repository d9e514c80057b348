"""Export published results as files."""
