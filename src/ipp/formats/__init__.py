"""Import and export of people's files."""
