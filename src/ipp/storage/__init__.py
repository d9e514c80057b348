"""Where things are kept: tables, files, SQLite."""
