"""The handlers of the Lambda functions, for events of API Gateway, schedules and buckets.

Each serves only its own routes and builds its adapters on the first event that needs them; they
live as long as the process.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from typing_extensions import override

from ipp.cloud.databricks.client import call_deadline
from ipp.core.parameters import Parameters
from ipp.entrypoints.aws_wiring import LambdaParts, build_lambda_parts
from ipp.entrypoints.clock import utc_now
from ipp.entrypoints.cloud_metric import count_failed_job, publish_counts
from ipp.errors import InvalidInputError, NotConfiguredError, UnavailableError
from ipp.jobs.job import Job, JobOwner
from ipp.jobs.job_service import Caller, IdempotencyConflictError
from ipp.jobs.reconciler import is_stuck
from ipp.jobs.unreadable_job import UnreadableJobError
from ipp.server.api.request_counter import RequestCounter

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from starlette.types import Receive, Scope, Send

_LOG: Final = logging.getLogger("ipp.entrypoints.lambda_functions")

Event = Mapping[str, Any]
Answer = dict[str, Any]

AUTOMATIC_CALLER: Final = Caller(
    JobOwner(sub="ipp-automatico", username="ipp-automatico", name="Proceso automático")
)
"""The caller that starts the scheduled job."""

_TEXT_MEDIA_TYPES: Final = ["text/", "application/json", "application/problem+json"]
"""Media types passed to the gateway as text; the others are base64-encoded."""

_REQUEST_DATABRICKS_SECONDS: Final = 24.0
"""Total seconds that Databricks may take in one request: API Gateway gives up after 29."""

_SCHEDULE_DATABRICKS_SECONDS: Final = 50.0
"""The same for events that nobody waits for: the function is stopped after a minute."""

_START_ANOTHER_WITHIN: Final = dt.timedelta(seconds=40)
"""Time after which a sweep starts on no further job."""


def verificador(event: Event, context: object) -> Answer:
    """Validate mostradores, and serve the configurations.

    The original system's schedule sent ``{"mode": "automatic"}`` here: all are validated then.
    """
    if "requestContext" not in event:
        with call_deadline(_REQUEST_DATABRICKS_SECONDS):
            return _validate_all(event)
    return _answer_event("verificador", event, context)


def iniciador(event: Event, context: object) -> Answer:
    """Start a job."""
    return _answer_event("iniciador", event, context)


def status(event: Event, context: object) -> Answer:
    """Return the status of jobs, and cancel them."""
    return _answer_event("status", event, context)


def results(event: Event, context: object) -> Answer:
    """Return what jobs published."""
    return _answer_event("results", event, context)


def reconciler(event: Event, _context: object) -> Answer:
    """Move jobs on: the one whose object was created, or every one that has not ended.

    A sweep publishes how many jobs are stuck and how many cannot be read, as metrics for alarms.
    """
    if event.get("detail-type") == "Object Created":
        job_id = str(event["detail"]["object"]["key"]).partition("/")[0]
        with call_deadline(_SCHEDULE_DATABRICKS_SECONDS):
            try:
                job = _lambda_parts().reconciler.settle_job(job_id, utc_now)
            except UnreadableJobError:  # already logged, and a retry would change nothing
                job = None
        return {"job_id": job_id, "status": None if job is None else job.status.value}
    unreadable = _lambda_parts().unreadable
    unreadable.reset_count()
    with call_deadline(_SCHEDULE_DATABRICKS_SECONDS):
        waiting = _lambda_parts().reconciler.sweep_jobs(utc_now, within=_START_ANOTHER_WITHIN)
    late = [job.job_id for job in waiting if is_stuck(job, utc_now())]
    if late:
        _LOG.warning("jobs wait for longer than they should: %s", ", ".join(late[:20]))
    publish_counts(
        {"WaitingJobs": len(waiting), "StuckJobs": len(late), "UnreadableJobs": len(unreadable)}
    )
    return {"waiting": len(waiting), "stuck": len(late)}


def automatic(event: Event, _context: object) -> Answer:
    """Start one job for every mostrador that can be calculated; idempotent within a day.

    ``{"mode": "canary", "key": …}`` starts a job of the first of them alone, once for each key, so
    that a deployment can be tried; sent again, it tells that job's status.
    """
    key = f"automatic-{str(event.get('time') or utc_now().isoformat())[:10]}"
    canary = event.get("mode") == "canary"
    if canary:
        key = f"canary-{event['key']}"
    with call_deadline(_SCHEDULE_DATABRICKS_SECONDS):
        valid = _active_counters()[: 1 if canary else None]
        if not canary:
            publish_counts({"AutomaticCounters": len(valid)})
        if not valid:
            _LOG.warning("no mostrador has a configuration: nothing to start")
            return {"job_id": None, "mostradores_count": 0}
        job = _start_once(valid, key)
    answer = {"job_id": job.job_id, "mostradores_count": len(job.mostradores)}
    return {**answer, "status": job.status.value} if canary else answer


def _start_once(valid: tuple[int, ...], key: str) -> Job:
    """Return the job of a key, which this starts if there is none."""
    service = _lambda_parts().service
    try:
        return service.start_job(AUTOMATIC_CALLER, valid, Parameters(), key=key)
    except IdempotencyConflictError as error:
        # The configurations have changed since the job was started.
        return service.job_status(AUTOMATIC_CALLER, error.job.job_id)


def _validate_all(event: Event) -> Answer:
    """Return which of all mostradores can be calculated, for an event that is no request."""
    if event.get("mode") != "automatic":
        raise InvalidInputError(
            'El evento no es una petición ni dice {"mode": "automatic"}.',
            hint="Mande una petición a POST /ipp/validate-clients, o ese evento.",
        )
    try:
        return {**_lambda_parts().service.validate_counters(None).to_document()}
    except NotConfiguredError as error:
        _LOG.warning("no mostrador has a configuration: nothing to validate")
        return {"mode": "automatic", "message": error.message, "total": 0, "validated": 0}


def _active_counters() -> tuple[int, ...]:
    """Return the mostradores with a configuration and a row in ``mostradores``.

    One without a row is logged and left out, so that it does not block the others.
    """
    try:
        valid = _lambda_parts().service.validate_counters(None).valid
    except NotConfiguredError:
        return ()
    if unknown := _lambda_parts().warehouse.unknown_counters(valid):
        _LOG.warning("configured, but not in mostradores: %s", ", ".join(map(str, unknown[:20])))
    return tuple(mostrador for mostrador in valid if mostrador not in set(unknown))


@cache
def _lambda_parts() -> LambdaParts:
    # The template configures Lambda to write each record as a JSON line with the invocation's id.
    logging.getLogger("ipp").setLevel(logging.INFO)
    # Below INFO, botocore would log the signatures of its requests.
    logging.getLogger("botocore").setLevel(logging.INFO)
    return build_lambda_parts(os.environ, count_failed_job)


class _NoMetrics(RequestCounter):
    """Metrics that count nothing: API Gateway counts requests itself."""

    @override
    def count_request(self, _scope: object, _status: int, _seconds: float) -> None:
        """Do nothing."""


def _answer_event(name: str, event: Event, context: object) -> Answer:
    with call_deadline(_REQUEST_DATABRICKS_SECONDS):
        try:
            return _build_application(name, _path_prefix(event))(event, context)
        except UnavailableError as error:  # a dependency of every request is unavailable
            return _wrap_for_gateway(_error_application(error))(event, context)


def _path_prefix(event: Event) -> str:
    """Return the path prefix before the contract's paths: the stage, unless a domain hides it."""
    stage = f"/{event['requestContext'].get('stage', '')}"
    return stage if str(event["rawPath"]).startswith(f"{stage}/") else ""


@cache
def _build_application(name: str, below: str) -> Callable[[Event, object], Answer]:
    """Return the routes of function ``name``, for API Gateway events; ``below`` is their prefix."""
    from ipp.server.api.app import create_app  # noqa: PLC0415  # lazy: schedules do not need it
    from ipp.server.api.claims import GatewayAuthenticator  # noqa: PLC0415  # lazy: cold start
    from ipp.server.api.dependencies import Services  # noqa: PLC0415  # lazy: cold start

    parts = _lambda_parts()
    services = Services(
        parts.service, parts.warehouse, parts.files, GatewayAuthenticator(), _NoMetrics()
    )
    return _wrap_for_gateway(create_app(services, _function_routers(name, parts)), below)


def _error_application(error: UnavailableError) -> FastAPI:
    """Return an application that answers every request with ``error``."""
    from fastapi import FastAPI  # noqa: PLC0415  # lazy: cold start

    from ipp.server.api import problem_response  # noqa: PLC0415  # lazy: cold start

    def refuse() -> None:
        raise error

    app = FastAPI(openapi_url=None)
    problem_response.install_problem_handlers(app)
    app.add_api_route("/{rest:path}", refuse, methods=["GET", "POST", "PUT", "DELETE"])
    return app


def _wrap_for_gateway(app: FastAPI, below: str = "") -> Callable[[Event, object], Answer]:
    """Wrap an application as a handler of API Gateway events."""
    from mangum import Mangum  # noqa: PLC0415  # lazy: cold start

    async def with_root_path(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": below}, receive, send)

    return cast(
        "Callable[[Event, object], Answer]",
        Mangum(with_root_path, lifespan="off", text_mime_types=_TEXT_MEDIA_TYPES),
    )


def _function_routers(name: str, parts: LambdaParts) -> Iterable[APIRouter]:
    from ipp.server.api import job_routes  # noqa: PLC0415  # lazy: cold start
    from ipp.server.api.dependencies import select_routes  # noqa: PLC0415  # lazy: cold start

    match name:
        case "verificador":
            from ipp.server.api import change_routes, configuration_routes  # noqa: PLC0415  # lazy: cold start

            return [
                select_routes(job_routes.router, "validate_clients"),
                configuration_routes.router,
                change_routes.router,
            ]
        case "iniciador":
            return [select_routes(job_routes.router, "start")]
        case "status":
            return [select_routes(job_routes.router, "status", "jobs", "cancel")]
        case _:
            from ipp.server.api import curve_routes, redirect_download, row_routes  # noqa: PLC0415  # lazy: cold start

            return [
                select_routes(job_routes.router, "results"),
                row_routes.router,
                curve_routes.router,
                redirect_download.redirect_router(parts.files),
            ]
