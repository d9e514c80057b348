"""Prometheus metrics: requests, jobs by status, seconds of each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Final

from fastapi import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import Scope
from typing_extensions import override

from ipp.jobs.job import Job, JobStatus
from ipp.server.api.problem_response import KNOWN_METHODS
from ipp.server.api.request_counter import RequestCounter

_OTHER_METHOD: Final = "other"
"""The label of every other method: clients may send any word as one."""


class Metrics(RequestCounter):
    """The metrics of one process, in their own registry.

    ``unreadable`` holds the jobs that the process could not read.
    """

    def __init__(self, unreadable: Sized = ()) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ipp_requests",
            "Requests by route, method and status.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "ipp_request_seconds",
            "Seconds of a request by route.",
            ["route"],
            registry=self._registry,
        )
        self._jobs = Counter(
            "ipp_jobs", "Jobs by the status they reached.", ["status"], registry=self._registry
        )
        self._standing = Gauge(
            "ipp_jobs_standing", "Jobs that stand in a status.", ["status"], registry=self._registry
        )
        Gauge(
            "ipp_unreadable_jobs",
            "Stored jobs that this release could not read.",
            registry=self._registry,
        ).set_function(lambda: len(unreadable))
        self._stages = Histogram(
            "ipp_stage_seconds",
            "Seconds of a stage, queueing included.",
            ["stage"],
            buckets=(1, 5, 15, 60, 300, 900, 3_600, 14_400),
            registry=self._registry,
        )

    @override
    def count_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request by route template and known method, so that series are bounded."""
        route = getattr(scope.get("route"), "path", "")
        method = scope["method"] if scope["method"] in KNOWN_METHODS else _OTHER_METHOD
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_transition(self, job: Job) -> None:
        """Count a job's change of status and observe the stages that it ended."""
        self._jobs.labels(job.status.value).inc()
        ended = [
            run
            for run in job.stages
            if run.ended_at == job.updated_at and run.started_at is not None
        ]
        for run in ended:
            assert run.started_at is not None  # Filtered above.
            self._stages.labels(run.stage.value).observe(
                (job.updated_at - run.started_at).total_seconds()
            )

    def render_metrics(self, standing: Mapping[JobStatus, int]) -> Response:
        """Return all metrics in Prometheus format; ``standing`` counts current jobs by status."""
        for status, jobs in standing.items():
            self._standing.labels(status.value).set(jobs)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
