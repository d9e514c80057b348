"""Server-rendered pages in Spanish, with the operations and rights of the HTTP contract."""
