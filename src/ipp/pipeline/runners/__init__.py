"""What computes a stage: one machine with Polars, or Spark; the same kernels, joined and summed by the same lines."""
