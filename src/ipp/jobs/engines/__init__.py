"""Engines, which run the stages of jobs."""
