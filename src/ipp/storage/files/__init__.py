"""Where the files of a job live."""
