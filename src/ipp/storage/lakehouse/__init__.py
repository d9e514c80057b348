"""Storage for tables."""
