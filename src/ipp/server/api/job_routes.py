"""Routes on jobs: the original contract's validate, start, status and results; list, cancel."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from ipp.core.parameters import PARAMETER_FIELDS, ParameterField, Parameters
from ipp.core.tables import RESULTS
from ipp.errors import MAX_NAMED, InvalidInputError, NotConfiguredError, shorten
from ipp.jobs.counter_ids import MAX_COUNTERS, parse_counter_ids
from ipp.jobs.job import JobStatus
from ipp.server.api import job_answer
from ipp.server.api.cursor import read_job_cursor, write_job_cursor
from ipp.server.api.dependencies import CallerDep, ServicesDep, prefixed_path
from ipp.server.api.job_answer import (
    JobPage,
    JobState,
    Results,
    StartAnswer,
    ValidationAnswer,
    describe_answer,
)
from ipp.server.api.openapi import ID_PATTERN
from ipp.server.api.problem_response import BodyError, NoneActiveError
from ipp.server.api.query_parameter import StrictRoute
from ipp.server.api.request_body import body_schema, read_body

router = APIRouter(prefix="/ipp", route_class=StrictRoute)

DEFAULT_PAGE_JOBS = 50
"""Page size when the request names none."""

_CounterIds = Annotated[
    list[Any],
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_COUNTERS,
            "items": {
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
                    {"type": "string", "pattern": ID_PATTERN},
                ]
            },
        }
    ),
]


class CountersBody(BaseModel):
    """A list of counters; ``clients`` is the original contract's synonym of ``mostradores``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mostradores: _CounterIds | None = None
    clients: _CounterIds | None = None
    mode: Literal["manual", "automatic"] | None = None


def _parameter_field(declared: ParameterField) -> Any:
    """Return a body parameter, a number or null; `Parameters` checks the bounds described here."""
    number = {"type": "number", "minimum": declared.minimum, "maximum": declared.maximum}
    description = f"{declared.describe()} ({declared.unit})"
    schema = WithJsonSchema({"anyOf": [number, {"type": "null"}], "description": description})
    return (Annotated[float | None, schema], None)


ParametersBody = create_model(
    "ParametersBody",
    __config__=ConfigDict(extra="forbid", strict=True),
    __doc__="Parameters of a run, by the names people know; what is left out keeps its default.",
    **{declared.label: _parameter_field(declared) for declared in PARAMETER_FIELDS.values()},
)


class StartBody(BaseModel):
    """The counters and parameters of a new job."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mostradores: _CounterIds | None = None
    clients: _CounterIds | None = None
    parametros: ParametersBody = Field(default_factory=ParametersBody)  # type: ignore[valid-type]  # The class is built at run time.


async def _read_validate_body(request: Request) -> CountersBody:
    return await read_body(request, CountersBody)


async def _read_start_body(request: Request) -> StartBody:
    return await read_body(request, StartBody)


_EXAMPLE_BODY = {"mostradores": ["7051602", "7051603"]}


@router.post(
    "/validate-clients",
    responses=describe_answer(ValidationAnswer),
    response_model=dict[str, Any],
    openapi_extra=body_schema(CountersBody, _EXAMPLE_BODY, required=False),
)
def validate_clients(
    services: ServicesDep,
    _caller: CallerDep,
    body: Annotated[CountersBody, Depends(_read_validate_body)],
) -> ValidationAnswer:
    """Report which counters have a configuration; without a list, check every active one."""
    listed = _read_ids(body.mostradores, body.clients)
    if listed is not None and body.mode == "automatic":
        raise BodyError([("mode", "automatic no lleva lista")])
    if listed is None and body.mode == "manual":
        raise BodyError([("mostradores", "falta")])
    try:
        return services.jobs.validate_counters(listed).to_document()
    except NotConfiguredError as error:
        raise NoneActiveError(error.message, hint=error.hint) from None


@router.post(
    "/start",
    status_code=202,
    responses=describe_answer(StartAnswer, 202),
    response_model=dict[str, Any],
    openapi_extra=body_schema(StartBody, _EXAMPLE_BODY),
)
def start(
    services: ServicesDep,
    caller: CallerDep,
    body: Annotated[StartBody, Depends(_read_start_body)],
    request: Request,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> StartAnswer:
    """Start a job; the same ``Idempotency-Key`` and body return the same job.

    An empty key is none.
    """
    listed = _read_ids(body.mostradores, body.clients)
    if listed is None:
        raise BodyError([("mostradores", "falta")])
    job = services.jobs.start_job(
        caller,
        listed,
        _read_parameters(body.parametros),
        key=(idempotency_key or "").strip() or None,
    )
    response.headers["Location"] = prefixed_path(request, f"/ipp/status/{job.job_id}")
    response.headers["Retry-After"] = "5"
    return job_answer.start_answer(job)


@router.get("/status/{job_id}", responses=describe_answer(JobState))
async def status(services: ServicesDep, caller: CallerDep, job_id: str) -> JSONResponse:
    """Return the status of a job."""
    # Clients poll this route, so it avoids the thread pool when the store need not be waited
    # for, and returns the JSON without validating it again.
    job = services.jobs.peek_status(caller, job_id)
    if job is None:
        job = await run_in_threadpool(services.jobs.job_status, caller, job_id)
    return JSONResponse(job_answer.job_state(job))


@router.get("/results/{job_id}", responses=describe_answer(Results), response_model=dict[str, Any])
def results(services: ServicesDep, caller: CallerDep, job_id: str) -> Results:
    """Return the results of a job and where they are stored."""
    job = services.jobs.published(caller, job_id)
    summary = services.warehouse.job_summary(job_id)
    # If no counter is missing from the summary none failed, which saves a query.
    failures = (
        services.warehouse.failed_counters(job_id) if len(summary) < len(job.mostradores) else ()
    )
    return job_answer.job_results(
        job,
        summary,
        failures,
        services.warehouse.notices(job_id),
        raw=services.files.address(f"ipp-raw/{job_id}/"),
        processed=services.files.address(f"ipp-processed/{job_id}/"),
        results_table=RESULTS.full_name(services.warehouse.catalog),
    )


@router.get("/jobs", responses=describe_answer(JobPage), response_model=dict[str, Any])
def jobs(
    services: ServicesDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = DEFAULT_PAGE_JOBS,
    cursor: str | None = None,
    status: JobStatus | None = None,
) -> JobPage:
    """List the caller's jobs, newest first."""
    after = None if cursor is None else read_job_cursor(cursor, caller.user.sub)
    page = services.jobs.list_jobs(caller, status=status, limit=limit, after=after)
    next_cursor = write_job_cursor(page[-1], caller.user.sub) if len(page) == limit else None
    documents = [job_answer.job_state(job) for job in page]
    return {"jobs": documents, "next_cursor": next_cursor}


@router.post(
    "/jobs/{job_id}/cancel", responses=describe_answer(JobState), response_model=dict[str, Any]
)
def cancel(services: ServicesDep, caller: CallerDep, job_id: str) -> JobState:
    """Cancel a job; repeating the request changes nothing."""
    return job_answer.job_state(services.jobs.cancel_job(caller, job_id))


def _read_ids(mostradores: list[Any] | None, clients: list[Any] | None) -> tuple[int, ...] | None:
    """Return a body's ids, None if it has no list. Raises `BodyError` naming each invalid id."""
    if mostradores is not None and clients is not None:
        raise BodyError([("clients", "es lo mismo que mostradores: use uno solo")])
    values = mostradores if mostradores is not None else clients
    if values is None:
        return None
    if len(values) > MAX_COUNTERS:
        raise BodyError([("mostradores", f"son {len(values):,} y caben {MAX_COUNTERS:,}")])
    wrong = [(n, value) for n, value in enumerate(values) if not _is_id(value)]
    if wrong:
        raise BodyError(
            [
                (
                    f"mostradores.{n}",
                    f"{shorten(repr(value))} no es un número de mostrador, de 1 a 10 dígitos",
                )
                for n, value in wrong[:MAX_NAMED]
            ],
            more=len(wrong) - MAX_NAMED,
        )
    return parse_counter_ids(values)


def _is_id(value: Any) -> bool:
    """Return True for an integer or digits.

    ``7051602.0`` is accepted in spreadsheets, which write ids so, but not in JSON.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return False
    try:
        parse_counter_ids([value])
    except InvalidInputError:
        return False
    return True


def _read_parameters(body: BaseModel) -> Parameters:
    """Return the model's parameters. Raises `BodyError` naming each one out of bounds."""
    values = {label: value for label, value in body.model_dump().items() if value is not None}
    wrong = []
    for label, value in values.items():
        try:
            Parameters.from_labels({label: value})
        except InvalidInputError as error:
            wrong.append((f"parametros.{label}", error.hint[:1].lower() + error.hint[1:]))
    if wrong:
        raise BodyError(wrong)
    return Parameters.from_labels(values)
