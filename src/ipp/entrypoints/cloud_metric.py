"""Metrics of CloudWatch, written to a function's log, from which AWS reads them."""

from __future__ import annotations

from ipp.jobs.job import Job


def publish_counts(counts: dict[str, int]) -> None:
    """Publish numbers under their names, in the namespace IPP and with the dimension ``service``.

    POWERTOOLS_SERVICE_NAME is that dimension: an account may have several stages.
    """
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: PLC0415  # lazy: cold start

    metrics = EphemeralMetrics(namespace="IPP")
    for name, count in counts.items():
        metrics.add_metric(name, MetricUnit.Count, count)
    metrics.flush_metrics()


def count_failed_job(job: Job) -> None:
    """Publish ``FailedJobs`` if a job has just ended with a failure.

    A retry that failed counts, though the job keeps the results that it had.
    """
    if job.status.ended and job.failure is not None:
        publish_counts({"FailedJobs": 1})
