"""Storage for the files of a job."""
