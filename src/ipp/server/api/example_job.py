"""The jobs and rows of which the answers are the original contract's examples."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Final

from ipp.core.parameters import Parameters
from ipp.core.tables import RESULTS
from ipp.jobs.job import Job, JobOwner, JobStatus, Stage, StageRun
from ipp.jobs.job_plan import Validation
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.warehouse.warehouse import TableRow

EXAMPLE_JOB_ID: Final = "ipp-abc123-def456"
EXAMPLE_COUNTER: Final = 7_051_602

_STARTED_AT: Final = dt.datetime(2024, 12, 9, 10, 30, tzinfo=dt.UTC)

VALIDATION: Final = Validation("manual", (EXAMPLE_COUNTER, 7_051_603), (7_051_604,))

STARTED_JOB: Final = Job(
    job_id=EXAMPLE_JOB_ID,
    user=JobOwner("abc-123", "user@example.com", "user@example.com", "Usuario"),
    mostradores=VALIDATION.valid,
    parameters=Parameters(),
    cutoff=_STARTED_AT.date(),
    fingerprint="",
    created_at=_STARTED_AT,
    updated_at=_STARTED_AT,
    stages=(
        StageRun(
            Stage.NORMALISER,
            "",
            run_id="123456",
            url="https://...",
            state="RUNNING",
            started_at=_STARTED_AT,
        ),
    ),
)

COMPLETED_JOB: Final = replace(
    STARTED_JOB,
    status=JobStatus.COMPLETED,
    updated_at=_STARTED_AT + dt.timedelta(minutes=15),
    stages=(*STARTED_JOB.stages, StageRun(Stage.PUBLICATION, "", run_id="123457")),
)

SUMMARY: Final[list[TableRow]] = [
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
    for mostrador in VALIDATION.valid
]

LOCATIONS: Final = {
    "raw": f"s3://ipp-raw/{EXAMPLE_JOB_ID}/",
    "processed": f"s3://ipp-processed/{EXAMPLE_JOB_ID}/",
    "results_table": RESULTS.full_name(DEFAULT_CATALOG),
}
