"""The pages of a job's results."""
