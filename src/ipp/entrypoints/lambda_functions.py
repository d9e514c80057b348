"""A handler for each function on AWS: API Gateway's events, the schedules' and the buckets'.

Each serves only its routes and makes its parts when the first event needs them; they live as long as the process.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from ipp.cloud.databricks.client import call_deadline
from ipp.core.parameters import Parameters
from ipp.entrypoints.aws_wiring import LambdaParts, build_lambda_parts
from ipp.entrypoints.clock import utc_now
from ipp.errors import NotConfiguredError, UnavailableError
from ipp.jobs.job import Job, JobOwner
from ipp.jobs.job_service import Caller, IdempotencyConflictError
from ipp.jobs.reconciler import is_stuck
from ipp.jobs.unreadable_job import UnreadableJobError

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from starlette.types import Receive, Scope, Send

_LOG: Final = logging.getLogger("ipp.entrypoints.lambda_functions")

Event = Mapping[str, Any]
Answer = dict[str, Any]

AUTOMATIC_CALLER: Final = Caller(
    JobOwner(sub="ipp-automatico", username="ipp-automatico", name="Proceso automático")
)
"""Who starts the job of the schedule."""

_TEXT_MEDIA_TYPES: Final = ["text/", "application/json", "application/problem+json"]
"""What is handed to the gateway as it is; the rest would be in base64."""

_REQUEST_DATABRICKS_SECONDS: Final = 24.0
"""Seconds that Databricks may take in all for an answer: API Gateway gives up after 29."""

_SCHEDULE_DATABRICKS_SECONDS: Final = 50.0
"""The same where nobody waits: the function is ended after a minute."""

_START_ANOTHER_WITHIN: Final = dt.timedelta(seconds=40)
"""How long another job is begun with."""


def verificador(event: Event, context: object) -> Answer:
    """Which mostradores have a configuration, and the register of configurations."""
    return _answer_event("verificador", event, context)


def iniciador(event: Event, context: object) -> Answer:
    """Start a job."""
    return _answer_event("iniciador", event, context)


def status(event: Event, context: object) -> Answer:
    """How jobs stand, and cancelling one."""
    return _answer_event("status", event, context)


def results(event: Event, context: object) -> Answer:
    """What jobs published."""
    return _answer_event("results", event, context)


def reconciler(event: Event, _context: object) -> Answer:
    """Move jobs on: the one that an object was made for, or every one that has not ended.

    Says how many wait for longer than they should, and how many cannot be read, for alarms.
    """
    if event.get("detail-type") == "Object Created":
        job_id = str(event["detail"]["object"]["key"]).partition("/")[0]
        with call_deadline(_SCHEDULE_DATABRICKS_SECONDS):
            try:
                job = _lambda_parts().reconciler.settle_job(job_id, utc_now)
            except (
                UnreadableJobError
            ):  # logged where it was read; to try again would change nothing
                job = None
        return {"job_id": job_id, "status": None if job is None else job.status.value}
    unreadable = _lambda_parts().unreadable
    unreadable.reset_count()
    with call_deadline(_SCHEDULE_DATABRICKS_SECONDS):
        waiting = _lambda_parts().reconciler.sweep_jobs(utc_now, within=_START_ANOTHER_WITHIN)
    late = [job.job_id for job in waiting if is_stuck(job, utc_now())]
    if late:
        _LOG.warning("jobs wait for longer than they should: %s", ", ".join(late[:20]))
    _publish_metrics(waiting, late, len(unreadable))
    return {"waiting": len(waiting), "stuck": len(late)}


def automatic(event: Event, _context: object) -> Answer:
    """Start one job for every mostrador that can be calculated, once a day however often it is asked to."""
    key = f"automatic-{str(event.get('time') or utc_now().isoformat())[:10]}"
    with call_deadline(_SCHEDULE_DATABRICKS_SECONDS):
        valid = _active_counters()
        if not valid:
            _LOG.warning("no mostrador has a configuration: nothing to start")
            return {"job_id": None, "mostradores_count": 0}
        try:
            job = _lambda_parts().service.start_job(AUTOMATIC_CALLER, valid, Parameters(), key=key)
        except (
            IdempotencyConflictError
        ) as error:  # the configurations have changed since it was started
            job = _lambda_parts().service.job_status(AUTOMATIC_CALLER, error.job.job_id)
    return {"job_id": job.job_id, "mostradores_count": len(job.mostradores)}


def _active_counters() -> tuple[int, ...]:
    """Every mostrador that has a configuration and a row of its own: one that lacks it must not keep the others."""
    try:
        valid = _lambda_parts().service.validate_counters(None).valid
    except NotConfiguredError:
        return ()
    if unknown := _lambda_parts().warehouse.unknown_counters(valid):
        _LOG.warning("configured, but not in mostradores: %s", ", ".join(map(str, unknown[:20])))
    return tuple(mostrador for mostrador in valid if mostrador not in set(unknown))


@cache
def _lambda_parts() -> LambdaParts:
    # Lambda's runtime writes each record as a line of JSON with the invocation's id: the template asks it to.
    logging.getLogger("ipp").setLevel(logging.INFO)
    logging.getLogger("botocore").setLevel(
        logging.INFO
    )  # below that it writes the signatures that it makes
    return build_lambda_parts(os.environ)


class _NoMetrics:
    """API Gateway counts requests itself."""

    def count_request(self, _scope: object, _status: int, _seconds: float) -> None:
        """Nothing more to count."""


def _answer_event(name: str, event: Event, context: object) -> Answer:
    with call_deadline(_REQUEST_DATABRICKS_SECONDS):
        try:
            return _build_application(name, _path_prefix(event))(event, context)
        except UnavailableError as error:  # what every answer needs is not to be had just now
            return _wrap_for_gateway(_error_application(error))(event, context)


def _path_prefix(event: Event) -> str:
    """What the address has before the contract's own: the stage, except where a domain of its own hides it."""
    stage = f"/{event['requestContext'].get('stage', '')}"
    return stage if str(event["rawPath"]).startswith(f"{stage}/") else ""


@cache
def _build_application(name: str, below: str) -> Callable[[Event, object], Answer]:
    """The part ``name`` of the contract, for events of API Gateway; addresses begin with ``below``."""
    from ipp.server.api.app import create_app  # noqa: PLC0415  # the schedules need nothing of it
    from ipp.server.api.claims import GatewayAuthenticator  # noqa: PLC0415  # a function pays for its own alone
    from ipp.server.api.dependencies import Services  # noqa: PLC0415  # a function pays for its own alone

    made = _lambda_parts()
    services = Services(
        made.service, made.warehouse, made.files, GatewayAuthenticator(), _NoMetrics()
    )
    return _wrap_for_gateway(create_app(services, _function_routers(name, made)), below)


def _error_application(error: UnavailableError) -> FastAPI:
    """An application that answers every request with ``error``."""
    from fastapi import FastAPI  # noqa: PLC0415  # a function pays for its own alone

    from ipp.server.api import problem_response  # noqa: PLC0415  # a function pays for its own alone

    def refuse() -> None:
        raise error

    app = FastAPI(openapi_url=None)
    problem_response.install_problem_handlers(app)
    app.add_api_route("/{rest:path}", refuse, methods=["GET", "POST", "PUT", "DELETE"])
    return app


def _wrap_for_gateway(app: FastAPI, below: str = "") -> Callable[[Event, object], Answer]:
    """An application as API Gateway asks it."""
    from mangum import Mangum  # noqa: PLC0415  # a function pays for its own alone

    async def placed(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": below}, receive, send)

    return cast(
        "Callable[[Event, object], Answer]",
        Mangum(placed, lifespan="off", text_mime_types=_TEXT_MEDIA_TYPES),
    )


def _function_routers(name: str, made: LambdaParts) -> Iterable[APIRouter]:
    from ipp.server.api import job_routes  # noqa: PLC0415  # a function pays for its own alone
    from ipp.server.api.dependencies import select_routes  # noqa: PLC0415  # a function pays for its own alone

    match name:
        case "verificador":
            from ipp.server.api import configuration_routes  # noqa: PLC0415  # a function pays for its own alone

            return [
                select_routes(job_routes.router, "validate_clients"),
                configuration_routes.router,
            ]
        case "iniciador":
            return [select_routes(job_routes.router, "start")]
        case "status":
            return [select_routes(job_routes.router, "status", "jobs", "cancel")]
        case _:
            from ipp.server.api import curve_routes, redirect_download, row_routes  # noqa: PLC0415  # a function pays for its own alone

            return [
                select_routes(job_routes.router, "results"),
                row_routes.router,
                curve_routes.router,
                redirect_download.redirect_router(made.files),
            ]


def _publish_metrics(waiting: Iterable[Job], late: Iterable[str], unreadable: int) -> None:
    """How many jobs stand, how many are stuck and how many cannot be read, as metrics of CloudWatch."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: PLC0415  # a function pays for its own alone

    metrics = EphemeralMetrics(namespace="IPP")
    metrics.add_metric("WaitingJobs", MetricUnit.Count, len(list(waiting)))
    metrics.add_metric("StuckJobs", MetricUnit.Count, len(list(late)))
    metrics.add_metric("UnreadableJobs", MetricUnit.Count, unreadable)
    metrics.flush_metrics()
