"""The four operations of the seed, and those on jobs that a person using them needs besides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from ipp.core.parameters import PARAMETER_BOUNDS, Bound, Parameters
from ipp.errors import MAX_NAMED, InvalidInputError, NotConfiguredError, shorten
from ipp.jobs.counter_ids import MAX_COUNTERS, parse_counter_ids
from ipp.jobs.job import JobStatus
from ipp.server.api import job_response
from ipp.server.api.cursor import read_cursor, write_cursor
from ipp.server.api.dependencies import CallerDep, ServicesDep, prefixed_path
from ipp.server.api.openapi import ID_PATTERN
from ipp.server.api.openapi_models import (
    JobPage,
    JobState,
    Results,
    StartAnswer,
    ValidationAnswer,
    describe_answer,
)
from ipp.server.api.problem_response import BodyError, NoneActiveError
from ipp.server.api.request_body import body_schema, read_body

router = APIRouter(prefix="/ipp")

DEFAULT_PAGE_JOBS = 50
"""Jobs of a page where none is asked for."""

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
    """A list of mostradores; ``clients`` is the seed's other word for it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mostradores: _CounterIds | None = None
    clients: _CounterIds | None = None
    mode: Literal["manual", "automatic"] | None = None


def _parameter_field(bound: Bound) -> Any:
    """A parameter of the body: a number or null; its bounds are told here and checked by the model."""
    number = {"type": "number", "minimum": bound.minimum, "maximum": bound.maximum}
    schema = WithJsonSchema(
        {"anyOf": [number, {"type": "null"}], "description": f"{bound.description} ({bound.unit})"}
    )
    return (Annotated[float | None, schema], None)


ParametersBody = create_model(
    "ParametersBody",
    __config__=ConfigDict(extra="forbid", strict=True),
    __doc__="Parameters of a run, by the names people know; what is left out keeps its default.",
    **{bound.label: _parameter_field(bound) for bound in PARAMETER_BOUNDS.values()},
)


class StartBody(BaseModel):
    """What is to be calculated."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mostradores: _CounterIds | None = None
    clients: _CounterIds | None = None
    parametros: ParametersBody = Field(default_factory=ParametersBody)  # type: ignore[valid-type]  # a class made at run time


async def _read_validate_body(request: Request) -> CountersBody:
    return await read_body(request, CountersBody)


async def _read_start_body(request: Request) -> StartBody:
    return await read_body(request, StartBody)


_EXAMPLE_BODY = {"mostradores": ["7051602", "7051603"]}


@router.post(
    "/validate-clients",
    responses=describe_answer(ValidationAnswer),
    openapi_extra=body_schema(CountersBody, _EXAMPLE_BODY, required=False),
)
def validate_clients(
    asked: ServicesDep, _by: CallerDep, body: Annotated[CountersBody, Depends(_read_validate_body)]
) -> dict[str, object]:
    """Tell which mostradores have a configuration; without a list, every active one."""
    listed = _read_ids(body.mostradores, body.clients)
    if listed is not None and body.mode == "automatic":
        raise BodyError([("mode", "automatic no lleva lista")])
    if listed is None and body.mode == "manual":
        raise BodyError([("mostradores", "falta")])
    try:
        return asked.jobs.validate_counters(listed).to_document()
    except NotConfiguredError as error:
        raise NoneActiveError(error.message, hint=error.hint) from None


@router.post(
    "/start",
    status_code=202,
    responses=describe_answer(StartAnswer, 202),
    openapi_extra=body_schema(StartBody, _EXAMPLE_BODY),
)
def start(
    asked: ServicesDep,
    by: CallerDep,
    body: Annotated[StartBody, Depends(_read_start_body)],
    request: Request,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> dict[str, Any]:
    """Start a job; the same ``Idempotency-Key`` and body give the same job again."""
    listed = _read_ids(body.mostradores, body.clients)
    if listed is None:
        raise BodyError([("mostradores", "falta")])
    job = asked.jobs.start_job(by, listed, _read_parameters(body.parametros), key=idempotency_key)
    response.headers["Location"] = prefixed_path(request, f"/ipp/status/{job.job_id}")
    response.headers["Retry-After"] = "5"
    return job_response.start_document(job)


@router.get("/status/{job_id}", responses=describe_answer(JobState))
async def status(asked: ServicesDep, by: CallerDep, job_id: str) -> JSONResponse:
    """How a job stands."""
    # What everybody polls is made with as little as it takes: no hop to a thread where nothing is waited for, and
    # no second look at a shape that is made here.
    job = asked.jobs.peek_status(by, job_id)
    if job is None:
        job = await run_in_threadpool(asked.jobs.job_status, by, job_id)
    return JSONResponse(job_response.status_document(job))


@router.get("/results/{job_id}", responses=describe_answer(Results))
def results(asked: ServicesDep, by: CallerDep, job_id: str) -> dict[str, Any]:
    """What came out of a job and where it lies."""
    job = asked.jobs.published(by, job_id)
    summary = asked.warehouse.job_summary(job_id)
    # One question less where none is missing.
    failures = (
        asked.warehouse.failed_counters(job_id) if len(summary) < len(job.mostradores) else ()
    )
    return job_response.results_document(
        job,
        summary,
        failures,
        asked.warehouse.notices(job_id),
        raw=asked.files.address(f"ipp-raw/{job_id}/"),
        processed=asked.files.address(f"ipp-processed/{job_id}/"),
    )


@router.get("/jobs", responses=describe_answer(JobPage))
def jobs(
    asked: ServicesDep,
    by: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = DEFAULT_PAGE_JOBS,
    cursor: str | None = None,
    status: JobStatus | None = None,
) -> dict[str, Any]:
    """The caller's jobs, newest first."""
    after = None if cursor is None else read_cursor(cursor, by.user.sub)
    found = asked.jobs.list_jobs(by, status=status, limit=limit, after=after)
    more = write_cursor(found[-1], by.user.sub) if len(found) == limit else None
    return {"jobs": [job_response.status_document(job) for job in found], "next_cursor": more}


@router.post("/jobs/{job_id}/cancel", responses=describe_answer(JobState))
def cancel(asked: ServicesDep, by: CallerDep, job_id: str) -> dict[str, Any]:
    """Stop a job; asking again changes nothing."""
    return job_response.status_document(asked.jobs.cancel_job(by, job_id))


def _read_ids(mostradores: list[Any] | None, clients: list[Any] | None) -> tuple[int, ...] | None:
    """The ids of a body, None where it has no list. Raises `BodyError` naming each that is none."""
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
    """An id is a whole number or digits; ``7051602.0`` is how spreadsheets write one, not how JSON does."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return False
    try:
        parse_counter_ids([value])
    except InvalidInputError:
        return False
    return True


def _read_parameters(body: BaseModel) -> Parameters:
    """The model's parameters. Raises `BodyError` naming each that is out of its bounds."""
    given = {label: value for label, value in body.model_dump().items() if value is not None}
    wrong = []
    for label, value in given.items():
        try:
            Parameters.from_labels({label: value})
        except InvalidInputError as error:
            wrong.append((f"parametros.{label}", error.hint[:1].lower() + error.hint[1:]))
    if wrong:
        raise BodyError(wrong)
    return Parameters.from_labels(given)
