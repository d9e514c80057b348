"""Pages of a job's results."""
