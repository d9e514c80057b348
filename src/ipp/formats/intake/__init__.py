"""Import people's files into the bronze tables."""
