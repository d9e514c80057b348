"""What we need of a Databricks workspace's API, over HTTP: asked within a budget, and never twice by mistake."""
