"""Client for a Databricks workspace's API: time-bounded, and never repeated unsafely."""
