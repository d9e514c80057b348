"""Storage: tables, files, SQLite."""
