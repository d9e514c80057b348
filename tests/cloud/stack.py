"""What a stage has in AWS, and the environment that its functions run with."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ipp.core.parameters import Parameters
from ipp.jobs.dynamodb_job_store import DynamoJobStore
from ipp.jobs.dynamodb_table import create_table
from ipp.jobs.job import Job, JobOwner, JobStatus, Stage, new_stage_run
from tests.cloud.aws import aws_environment, client_of
from tests.cloud.runtime import RUNTIME, Function, run_function
from tests.cloud.scripted_answers import Say

TOKEN = "dapi-not-to-be-seen"

USER = JobOwner(
    sub="abc-123", email="user@example.com", username="usuario", name="Usuaria de Prueba"
)

CLAIMS = {
    "sub": USER.sub,
    "email": USER.email,
    "cognito:username": USER.username,
    "name": USER.name,
    "cognito:groups": "[ipp-editor]",
}
"""What API Gateway's authoriser reads from that user's token."""


@dataclass(frozen=True)
class Stack:
    """Make a table of jobs and two buckets in the AWS at ``address``; ``folder`` takes the logs."""

    address: str
    name: str
    folder: Path

    @property
    def store(self) -> DynamoJobStore:
        return DynamoJobStore(client_of(self.address, "dynamodb"), f"{self.name}-ipp-jobs")

    def settings(self, workspace: str) -> dict[str, str]:
        """Return a function's environment.

        ``workspace`` is the address of its Databricks, empty where it has none.
        """
        own = {
            "IPP_JOBS_TABLE": f"{self.name}-ipp-jobs",
            "IPP_RAW_BUCKET": f"{self.name}-ipp-raw",
            "IPP_PROCESSED_BUCKET": f"{self.name}-ipp-processed",
        }
        databricks = {
            "DATABRICKS_WORKSPACE_URL": workspace,
            "DATABRICKS_ACCESS_TOKEN": TOKEN,
            "DATABRICKS_JOB1_ID": "789",
            "DATABRICKS_FACTOR_JOB_ID": "790",
            "DATABRICKS_JOB2_ID": "791",
            "DATABRICKS_WAREHOUSE_ID": "abc",
        }
        return aws_environment(self.address) | own | (databricks if workspace else {})

    @contextmanager
    def function(
        self, handler: str, environ: Mapping[str, str], runtime: Sequence[str] = RUNTIME
    ) -> Iterator[Function]:
        """Return a function by its handler's name; its log is ``handler.log`` in the folder."""
        log = self.folder / f"{handler}.log"
        with run_function(
            f"{self.name}-{handler}",
            f"ipp.entrypoints.lambda_functions.{handler}",
            environ,
            log,
            runtime,
        ) as function:
            yield function

    def put(self, status: JobStatus, *, owner: JobOwner = USER, running: str = "") -> Job:
        """Store and return a job in ``status``; ``running`` is its first stage's run, if any."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        job_id = f"ipp-{uuid.uuid4()}"
        stages = (
            (replace(new_stage_run(job_id, Stage.NORMALISER, now), run_id=running),)
            if running
            else ()
        )
        job = Job(
            job_id,
            owner,
            (7_051_602, 7_051_603),
            Parameters(),
            now.date(),
            "f",
            now,
            now,
            status,
            stages,
        )
        assert self.store.create_job(job, now)
        return job


def build_stack(address: str, folder: Path) -> Stack:
    """Create the table and the buckets of a stage."""
    made = Stack(address, f"stage-{uuid.uuid4()}", folder)
    create_table(client_of(address, "dynamodb"), f"{made.name}-ipp-jobs")
    for bucket in ("ipp-raw", "ipp-processed"):
        client_of(address, "s3").create_bucket(Bucket=f"{made.name}-{bucket}")
    return made


def statement_answer(*rows: Sequence[str | None]) -> Say:
    """Return Databricks' answer to a statement that gives ``rows``."""
    return Say(
        content={
            "statement_id": "1",
            "status": {"state": "SUCCEEDED"},
            "result": {"data_array": list(rows)},
        }
    )


def run_in(state: str, result: str = "") -> Say:
    """Databricks' answer to how a run stands."""
    told: dict[str, Any] = {"life_cycle_state": state} | (
        {"result_state": result} if result else {}
    )
    return Say(content={"run_id": 1, "state": told, "run_page_url": "https://adb.example/run/1"})


CONFIGURED = statement_answer(["7051602"], ["7051603"])
READY = statement_answer(["1", "2025-01-01", "2026-06-30"])
STARTED = Say(content={"run_id": 4711})

TO_START = (CONFIGURED, CONFIGURED, READY, STARTED)
"""The requests to Databricks that start a job for both of its mostradores.

They ask which are configured, which are known, what data there is, and for a run.
"""
