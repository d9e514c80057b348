"""A handler for each function on AWS: API Gateway's events, the schedules' and the buckets'.

Each serves only its routes and makes its parts when the first event needs them; they live as long as the process.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ipp.bootstrap.aws import Cloud, cloud
from ipp.bootstrap.moments import utc_now
from ipp.core.parameters import Parameters
from ipp.errors import NotConfiguredError
from ipp.jobs.model import Job, User
from ipp.jobs.reconcile import stuck
from ipp.jobs.service import Caller

if TYPE_CHECKING:
    from fastapi import APIRouter

_LOG: Final = logging.getLogger("ipp.lambdas")

Event = Mapping[str, Any]
Answer = dict[str, Any]

AUTOMATIC: Final = Caller(User(sub="ipp-automatico", username="ipp-automatico", name="Proceso automático"))
"""Who starts the job of the schedule."""

_ENOUGH: Final = dt.timedelta(seconds=40)
"""How long jobs are settled; the function is ended after a minute."""


def verificador(event: Event, context: object) -> Answer:
    """Which mostradores have a configuration, and the register of configurations."""
    return _answer("verificador", event, context)


def iniciador(event: Event, context: object) -> Answer:
    """Start a job."""
    return _answer("iniciador", event, context)


def status(event: Event, context: object) -> Answer:
    """How jobs stand, and cancelling one."""
    return _answer("status", event, context)


def results(event: Event, context: object) -> Answer:
    """What jobs published."""
    return _answer("results", event, context)


def reconciler(event: Event, _context: object) -> Answer:
    """Move jobs on: the one that an object was made for, or every one that has not ended.

    Says how many wait for longer than they should, for an alarm.
    """
    if event.get("detail-type") == "Object Created":
        job_id = str(event["detail"]["object"]["key"]).partition("/")[0]
        job = _cloud().reconciler.settle(job_id, utc_now)
        return {"job_id": job_id, "status": None if job is None else job.status.value}
    waiting = _cloud().reconciler.sweep(utc_now, within=_ENOUGH)
    late = [job.job_id for job in waiting if stuck(job, utc_now())]
    if late:
        _LOG.warning("jobs wait for longer than they should: %s", ", ".join(late[:20]))
    _count(waiting, late)
    return {"waiting": len(waiting), "stuck": len(late)}


def automatic(event: Event, _context: object) -> Answer:
    """Start one job for every mostrador that has a configuration, once a day however often it is asked to."""
    service = _cloud().service
    try:
        valid = service.validate(None).valid
    except NotConfiguredError:
        _LOG.warning("no mostrador has a configuration: nothing to start")
        return {"job_id": None, "mostradores_count": 0}
    day = str(event.get("time") or utc_now().isoformat())[:10]
    job = service.start(AUTOMATIC, valid, Parameters(), key=f"automatic-{day}")
    return {"job_id": job.job_id, "mostradores_count": len(job.mostradores)}


@cache
def _cloud() -> Cloud:
    logging.getLogger("ipp").setLevel(logging.INFO)
    return cloud(os.environ)


class _Uncounted:
    """API Gateway counts requests itself."""

    def answered(self, _scope: object, _status: int, _seconds: float) -> None:
        """Nothing more to count."""


def _answer(name: str, event: Event, context: object) -> Answer:
    answer: Answer = _application(name)(event, context)
    return answer


@cache
def _application(name: str) -> Callable[[Event, object], Answer]:
    """The part ``name`` of the contract, for events of API Gateway."""
    from mangum import Mangum  # noqa: PLC0415  # what a request is answered with is not needed by the schedules

    from ipp.api.app import create_app  # noqa: PLC0415
    from ipp.api.claims import GatewayAuthenticator  # noqa: PLC0415
    from ipp.api.wiring import Services  # noqa: PLC0415

    made = _cloud()
    services = Services(made.service, made.warehouse, made.files, GatewayAuthenticator(), _Uncounted())
    handler: Callable[[Event, object], Answer] = Mangum(create_app(services, _routers(name, made)), lifespan="off")  # type: ignore[assignment]  # its own words for the same
    return handler


def _routers(name: str, made: Cloud) -> Iterable[APIRouter]:
    from ipp.api import operations  # noqa: PLC0415
    from ipp.api.wiring import only  # noqa: PLC0415

    match name:
        case "verificador":
            from ipp.api import configurations  # noqa: PLC0415

            return [only(operations.router, "validate_clients"), configurations.router]
        case "iniciador":
            return [only(operations.router, "start")]
        case "status":
            return [only(operations.router, "status", "jobs", "cancel")]
        case _:
            from ipp.api import curves, handover, rows  # noqa: PLC0415

            return [only(operations.router, "results"), rows.router, curves.router, handover.routes(made.files)]


def _count(waiting: Iterable[Job], late: Iterable[str]) -> None:
    """How many jobs stand, and how many are stuck, as metrics of CloudWatch."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: PLC0415

    metrics = EphemeralMetrics(namespace="IPP", service="ipp")
    metrics.add_metric("WaitingJobs", MetricUnit.Count, len(list(waiting)))
    metrics.add_metric("StuckJobs", MetricUnit.Count, len(list(late)))
    metrics.flush_metrics()
