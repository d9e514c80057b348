"""What a job published, as files."""
