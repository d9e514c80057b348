"""Thin clients for Databricks and AWS."""
