"""Runners that compute a stage with the same kernels: Polars on one machine, or Spark."""
