"""Answers on jobs: their types, from which OpenAPI describes them, and what builds them.

They have the original contract's exact fields, then ours. Nothing validates an answer again before
it is sent: a status is polled, and mypy holds what is built to the types.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NotRequired

from pydantic import ConfigDict, WithJsonSchema, with_config
from typing_extensions import TypedDict

from ipp.errors import join_sentences
from ipp.jobs.job import Job, JobStatus, Stage
from ipp.jobs.job_plan import ValidationDocument
from ipp.server.api import example_job
from ipp.storage.warehouse.warehouse import TableRow

STARTED_MESSAGE: Final = "Proceso IPP iniciado exitosamente"

STATUS_MESSAGES: Final[Mapping[JobStatus, str]] = {
    JobStatus.JOB1_RUNNING: "Databricks Job 1 en ejecución...",
    JobStatus.JOB1_DONE: "Normalización terminada",
    JobStatus.PROCESSING: "Aplicando el factor de redondeo...",
    JobStatus.JOB2_RUNNING: "Databricks Job 2 en ejecución...",
    JobStatus.COMPLETED: "Proceso completado",
    JobStatus.FAILED: "El proceso falló",
    JobStatus.CANCELLED: "Proceso cancelado",
}

_QUERY_EXAMPLE: Final = "SELECT * FROM {table} WHERE job_id = '{job_id}'"
"""A query for people to run; the server never runs it."""

StageName = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [stage.value for stage in Stage]})
]
ProgressPercent = Annotated[
    int,
    WithJsonSchema({"type": "integer", "enum": sorted({status.progress for status in JobStatus})}),
]


def _example_results() -> Results:
    return job_results(
        example_job.COMPLETED_JOB, example_job.SUMMARY, (), (), **example_job.LOCATIONS
    )


def _closed(example: Callable[[], Mapping[str, Any]] | None = None) -> ConfigDict:
    """Return the configuration of an answer without other fields, with an example if given."""
    if example is None:
        return ConfigDict(extra="forbid")
    # It is built when the schema is: here the functions that build answers do not exist yet.
    return ConfigDict(
        extra="forbid", json_schema_extra=lambda schema: schema.update(example=dict(example()))
    )


@with_config(_closed(example_job.VALIDATION.to_document))
class ValidationAnswer(ValidationDocument):
    """The counters with and without a configuration."""


@with_config(_closed(lambda: start_answer(example_job.STARTED_JOB)))
class StartAnswer(TypedDict):
    """A job that has started."""

    job_id: str
    status: JobStatus
    message: str
    mostradores_count: int
    databricks_run_id: str


@with_config(_closed())
class StageState(TypedDict):
    """The state of one of the three stages, with ``done`` of ``total`` counters."""

    stage: StageName
    state: str
    started_at: str | None
    ended_at: str | None
    done: int
    total: int


@with_config(_closed())
class FailureParts(TypedDict):
    """The cause and place of a failure, and what to do."""

    que: str
    donde: str
    que_hacer: str


@with_config(_closed(lambda: job_state(example_job.STARTED_JOB)))
class JobState(TypedDict):
    """The status of a job."""

    job_id: str
    status: JobStatus
    message: str
    databricks_state: str
    databricks_run_url: str
    mostradores_count: int
    progress: ProgressPercent
    created_at: str
    updated_at: str
    stages: list[StageState]
    failure: NotRequired[FailureParts]


@with_config(_closed())
class JobPage(TypedDict):
    """A page of jobs, newest first."""

    jobs: list[JobState]
    next_cursor: str | None


@with_config(_closed())
class UserInfo(TypedDict):
    """The user who started a job."""

    email: str
    username: str
    sub: str
    name: str


@with_config(_closed())
class ProcessInfo(TypedDict):
    """The times of a job and its user."""

    created_at: str
    updated_at: str
    user_info: UserInfo


@with_config(_closed())
class DatabricksInfo(TypedDict):
    """The Databricks runs and the table with the results."""

    job1_run_id: str
    job2_run_id: str
    results_table: str
    query_example: str


@with_config(_closed())
class FileLocations(TypedDict):
    """The locations of the job's files."""

    raw: str
    processed: str


@with_config(_closed())
class CounterSummary(TypedDict):
    """The decision for one counter; money in MXN.

    The suggested order leaves out products with an optimum but unknown stock:
    ``products_with_unknown_stock`` counts them, ``value_with_unknown_stock`` values their optimum.
    """

    mostrador: str
    products: int
    products_with_stock: int
    units: int
    investment: float
    target_investment: float | None
    rounding_factor: float | None
    expected_fill_rate: float | None
    products_with_unknown_stock: int
    value_with_unknown_stock: float


@with_config(_closed())
class FailedCounter(TypedDict):
    """A counter without published results: the stage in which it failed, and why."""

    mostrador: str
    stage: StageName
    error: str


@with_config(_closed())
class CounterNotice(TypedDict):
    """A notice about a counter's data, such as missing weeks."""

    mostrador: str
    notice: str


@with_config(_closed())
class Summary(TypedDict):
    """The results in total and by counter; ``success`` means that no counter failed."""

    mostradores_processed: int
    total_time_seconds: int
    success: bool
    mostradores: list[CounterSummary]
    mostradores_failed: list[FailedCounter]
    notices: list[CounterNotice]


@with_config(_closed(_example_results))
class Results(TypedDict):
    """The results of a job and where they are stored."""

    job_id: str
    status: JobStatus
    mostradores: list[str]
    mostradores_count: int
    process_info: ProcessInfo
    databricks_info: DatabricksInfo
    s3_locations: FileLocations
    summary: Summary


@with_config(_closed())
class CurvePoint(TypedDict):
    """An investment in MXN and its fill rate (0 to 1); only the chosen point has a ``gap``."""

    investment: float
    fill_rate: float | None
    chosen: bool
    gap: float | None


@with_config(_closed())
class Curve(TypedDict):
    """The fill rate of a counter by investment."""

    job_id: str
    mostrador: str
    points: list[CurvePoint]


def describe_answer(answer: Any, code: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return a route's description of an ``answer``, one of the types of this module."""
    about = (answer.__doc__ or "").splitlines()[0]
    return {code: {"model": answer, "description": about}}


def start_answer(job: Job) -> StartAnswer:
    """Return the answer to a start request, new or repeated with its idempotency key."""
    run = job.run_of(Stage.NORMALISER)
    return {
        "job_id": job.job_id,
        "status": job.status,
        "message": STARTED_MESSAGE,
        "mostradores_count": len(job.mostradores),
        "databricks_run_id": run.run_id if run else "",
    }


def job_state(job: Job) -> JobState:
    """Return the status of a job and of each of its stages."""
    run = job.current_stage
    state: JobState = {
        "job_id": job.job_id,
        "status": job.status,
        "message": STATUS_MESSAGES[job.status],
        "databricks_state": run.state if run else "PENDING",
        "databricks_run_url": run.url if run else "",
        "mostradores_count": len(job.mostradores),
        "progress": job.status.progress,
        "created_at": moment_text(job.created_at),
        "updated_at": moment_text(job.updated_at),
        "stages": [_stage_state(job, stage) for stage in Stage],
    }
    if (failure := job.failure) is not None:
        state["message"] = join_sentences(
            STATUS_MESSAGES[job.status], f"{failure.where}: {failure.what}", failure.hint
        )
        state["failure"] = {
            "que": failure.what,
            "donde": failure.where,
            "que_hacer": failure.hint,
        }
    return state


def _stage_state(job: Job, stage: Stage) -> StageState:
    run = job.run_of(stage)
    return {
        "stage": stage.value,
        "state": run.state if run else "NOT_STARTED",
        "started_at": moment_text(run.started_at) if run and run.started_at else None,
        "ended_at": moment_text(run.ended_at) if run and run.ended_at else None,
        "done": run.done if run else 0,
        "total": len(job.mostradores),
    }


def job_results(
    job: Job,
    summary: Sequence[TableRow],
    failures: Sequence[TableRow],
    notices: Sequence[TableRow],
    *,
    raw: str,
    processed: str,
    results_table: str,
) -> Results:
    """Return a job's results: locations, summary by counter, failures and notices."""
    return {
        "job_id": job.job_id,
        "status": job.status,
        "mostradores": list(map(str, job.mostradores)),
        "mostradores_count": len(job.mostradores),
        "process_info": _process_info(job),
        "databricks_info": _databricks_info(job, results_table),
        "s3_locations": {"raw": raw, "processed": processed},
        "summary": {
            "mostradores_processed": len(job.mostradores) - len(failures),
            # If the clock was set back meanwhile the difference is negative; report 0.
            "total_time_seconds": max(0, round((job.updated_at - job.created_at).total_seconds())),
            "success": job.status is JobStatus.COMPLETED and not failures,
            "mostradores": list(map(_counter_summary, summary)),
            "mostradores_failed": [
                {"mostrador": str(row["mostrador"]), "stage": row["stage"], "error": row["cause"]}
                for row in failures
            ],
            "notices": [
                {"mostrador": str(row["mostrador"]), "notice": row["notice"]} for row in notices
            ],
        },
    }


def _process_info(job: Job) -> ProcessInfo:
    user = job.user
    return {
        "created_at": moment_text(job.created_at),
        "updated_at": moment_text(job.updated_at),
        "user_info": {
            "email": user.email,
            "username": user.username,
            "sub": user.sub,
            "name": user.name,
        },
    }


def _databricks_info(job: Job, results_table: str) -> DatabricksInfo:
    ids = {stage: run.run_id for stage in Stage if (run := job.run_of(stage)) is not None}
    return {
        "job1_run_id": ids.get(Stage.NORMALISER, ""),
        "job2_run_id": ids.get(Stage.PUBLICATION, ""),
        "results_table": results_table,
        "query_example": _QUERY_EXAMPLE.format(table=results_table, job_id=job.job_id),
    }


def _counter_summary(row: TableRow) -> CounterSummary:
    return {
        "mostrador": str(row["mostrador"]),
        "products": row["products"],
        "products_with_stock": row["products_with_stock"],
        "units": row["units"],
        "investment": row["investment"],
        "target_investment": row["target_investment"],
        "rounding_factor": row["rounding_factor"],
        "expected_fill_rate": row["expected_fill_rate"],
        "products_with_unknown_stock": row["products_with_unknown_stock"],
        "value_with_unknown_stock": row["value_with_unknown_stock"],
    }


def counter_curve(job_id: str, mostrador: int, points: Sequence[TableRow]) -> Curve:
    """Return the fill rate of a counter by investment."""
    return {
        "job_id": job_id,
        "mostrador": str(mostrador),
        "points": [
            {
                "investment": point["investment"],
                "fill_rate": point["fill_rate"],
                "chosen": point["chosen"],
                "gap": point["gap"],
            }
            for point in points
        ],
    }


def moment_text(when: dt.datetime) -> str:
    """Return a UTC timestamp such as 2024-12-09T10:30:00.000Z."""
    utc = when.astimezone(dt.UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"
