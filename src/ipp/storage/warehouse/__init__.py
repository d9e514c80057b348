"""Queries on the tables: configurations and published results."""
