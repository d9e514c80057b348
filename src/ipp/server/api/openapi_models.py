"""Models that describe the responses in OpenAPI, with the original contract's examples.

`ipp.server.api.job_response` builds the responses; these models only describe them, so that a
polled status is not validated again. Tests check that the two agree.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ipp.core.tables import RESULTS
from ipp.jobs.job import JobStatus
from ipp.server.api.job_response import QUERY_EXAMPLE

EXAMPLE_JOB_ID: Final = "ipp-abc123-def456"
BEGAN, ENDED = "2024-12-09T10:30:00.000Z", "2024-12-09T10:45:00.000Z"


def _example_config(**content: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": content})


class ValidationAnswer(BaseModel):
    """The counters with and without a configuration."""

    model_config = _example_config(
        status="partial_valid",
        message="2 de 3 mostradores tienen configuración",
        mode="manual",
        validClients=["7051602", "7051603"],
        invalidClients=["7051604"],
        total=3,
        validated=2,
    )

    status: Literal["all_valid", "partial_valid", "all_invalid"]
    message: str
    mode: Literal["manual", "automatic"]
    validClients: list[str]  # noqa: N815  # clients read this name
    invalidClients: list[str]  # noqa: N815  # clients read this name
    total: int
    validated: int


class StartAnswer(BaseModel):
    """A job that has started."""

    model_config = _example_config(
        job_id=EXAMPLE_JOB_ID,
        status="JOB1_RUNNING",
        message="Proceso IPP iniciado exitosamente",
        mostradores_count=2,
        databricks_run_id="123456",
    )

    job_id: str
    status: JobStatus
    message: str
    mostradores_count: int
    databricks_run_id: str


class StageState(BaseModel):
    """The state of one of the three stages, with ``done`` of ``total`` counters."""

    model_config = ConfigDict(extra="forbid")

    stage: Literal["normalizador", "factor", "publicacion"]
    state: str
    started_at: str | None
    ended_at: str | None
    done: int
    total: int


class FailureParts(BaseModel):
    """The cause and place of a failure, and what to do."""

    model_config = ConfigDict(extra="forbid")

    que: str
    donde: str
    que_hacer: str


def _example_stage(stage: str, state: str, began: str | None = None) -> dict[str, Any]:
    return {
        "stage": stage,
        "state": state,
        "started_at": began,
        "ended_at": None,
        "done": 0,
        "total": 2,
    }


class JobState(BaseModel):
    """The status of a job."""

    model_config = _example_config(
        job_id=EXAMPLE_JOB_ID,
        status="JOB1_RUNNING",
        message="Databricks Job 1 en ejecución...",
        databricks_state="RUNNING",
        databricks_run_url="https://...",
        mostradores_count=2,
        progress=25,
        created_at=BEGAN,
        updated_at=BEGAN,
        stages=[
            _example_stage("normalizador", "RUNNING", BEGAN),
            _example_stage("factor", "NOT_STARTED"),
            _example_stage("publicacion", "NOT_STARTED"),
        ],
    )

    job_id: str
    status: JobStatus
    message: str
    databricks_state: str
    databricks_run_url: str
    mostradores_count: int
    progress: Literal[0, 25, 40, 60, 80, 100]
    created_at: str
    updated_at: str
    stages: list[StageState]
    failure: FailureParts | None = None


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[JobState]
    next_cursor: str | None


class UserInfo(BaseModel):
    """The user who started a job."""

    model_config = ConfigDict(extra="forbid")

    email: str
    username: str
    sub: str
    name: str


class ProcessInfo(BaseModel):
    """The times of a job and its user."""

    model_config = ConfigDict(extra="forbid")

    created_at: str
    updated_at: str
    user_info: UserInfo


class DatabricksInfo(BaseModel):
    """The Databricks runs and the table with the results."""

    model_config = ConfigDict(extra="forbid")

    job1_run_id: str
    job2_run_id: str
    results_table: str
    query_example: str


class FileLocations(BaseModel):
    """The locations of the job's files."""

    model_config = ConfigDict(extra="forbid")

    raw: str
    processed: str


class CounterSummary(BaseModel):
    """The decision for one counter; money in MXN.

    The suggested order leaves out products with an optimum but unknown stock:
    ``products_with_unknown_stock`` counts them, ``value_with_unknown_stock`` values their optimum.
    """

    model_config = ConfigDict(extra="forbid")

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


class FailedCounter(BaseModel):
    """A counter without published results: the stage in which it failed, and why."""

    model_config = ConfigDict(extra="forbid")

    mostrador: str
    stage: Literal["normalizador", "factor", "publicacion"]
    error: str


class CounterNotice(BaseModel):
    """A notice about a counter's data, such as missing weeks."""

    model_config = ConfigDict(extra="forbid")

    mostrador: str
    notice: str


class Summary(BaseModel):
    """The results in total and by counter; ``success`` means that no counter failed."""

    model_config = ConfigDict(extra="forbid")

    mostradores_processed: int
    total_time_seconds: int
    success: bool
    mostradores: list[CounterSummary]
    mostradores_failed: list[FailedCounter]
    notices: list[CounterNotice]


class Results(BaseModel):
    """The results of a job and where they are stored."""

    model_config = _example_config(
        job_id=EXAMPLE_JOB_ID,
        status="COMPLETED",
        mostradores=["7051602", "7051603"],
        mostradores_count=2,
        process_info={
            "created_at": BEGAN,
            "updated_at": ENDED,
            "user_info": {
                "email": "user@example.com",
                "username": "user@example.com",
                "sub": "abc-123",
                "name": "Usuario",
            },
        },
        databricks_info={
            "job1_run_id": "123456",
            "job2_run_id": "123457",
            "results_table": RESULTS.name,
            "query_example": QUERY_EXAMPLE.format(table=RESULTS.name, job_id=EXAMPLE_JOB_ID),
        },
        s3_locations={
            "raw": f"s3://ipp-raw/{EXAMPLE_JOB_ID}/",
            "processed": f"s3://ipp-processed/{EXAMPLE_JOB_ID}/",
        },
        summary={
            "mostradores_processed": 2,
            "total_time_seconds": 900,
            "success": True,
            "mostradores": [
                {
                    "mostrador": mostrador,
                    "products": 4206,
                    "products_with_stock": 3810,
                    "units": 9132,
                    "investment": 4096076.85,
                    "target_investment": 4096100.0,
                    "rounding_factor": 0.11,
                    "expected_fill_rate": 0.748,
                    "products_with_unknown_stock": 378,
                    "value_with_unknown_stock": 297317.58,
                }
                for mostrador in ("7051602", "7051603")
            ],
            "mostradores_failed": [],
            "notices": [],
        },
    )

    job_id: str
    status: JobStatus
    mostradores: list[str]
    mostradores_count: int
    process_info: ProcessInfo
    databricks_info: DatabricksInfo
    s3_locations: FileLocations
    summary: Summary


class CurvePoint(BaseModel):
    """An investment in MXN and its fill rate (0 to 1); only the chosen point has a ``gap``."""

    model_config = ConfigDict(extra="forbid")

    investment: float
    fill_rate: float | None
    chosen: bool
    gap: float | None


class Curve(BaseModel):
    """The fill rate of a counter by investment."""

    model_config = ConfigDict(extra="forbid")

    job_id: str
    mostrador: str
    points: list[CurvePoint]


def describe_answer(model: type[BaseModel], code: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return a route's response description, without validating responses against it."""
    about = (model.__doc__ or "").splitlines()[0]
    return {code: {"model": model, "description": about}}
