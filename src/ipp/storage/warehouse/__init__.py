"""Where questions to tables are answered: what is configured, what was published."""
