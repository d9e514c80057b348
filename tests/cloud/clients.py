"""Clients of the workspace in tests: our engine, the official client, and cheap stages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from ipp.cloud.databricks.client import CallBudget, DatabricksClient
from ipp.jobs.engines.databricks_engine import DatabricksEngine
from ipp.jobs.engines.engine import RunOutcome, RunState
from ipp.settings import DatabricksSettings
from tests.cloud.workspace import JobDefinition
from tests.waiting import PATIENCE_SECONDS, wait_until

SCRIPT = """
import os, sys, time
from pathlib import Path
folder, job_id = Path(sys.argv[1]), sys.argv[2]
effects = folder / f"{job_id}.effects"
with effects.open("a") as file:
    print(os.getpid(), file=file)
print("one line for the logs")
if job_id == "ipp-wrong":
    sys.exit("algo de una biblioteca\\nError: Falta el precio de 12.\\n  → Impórtelo.")
if job_id == "ipp-mute":
    sys.exit(3)
if job_id == "ipp-twice" and len(effects.read_text().splitlines()) == 1:
    sys.exit("Error: la primera vez no")
if job_id.startswith("ipp-long"):
    time.sleep(600)
"""
"""A stage that does as the job's name says."""


def build_cheap_jobs(folder: Path, **given: Any) -> tuple[JobDefinition, ...]:
    """Return the jobs of the three stages, each running the script; ``given`` adds fields."""
    command = (sys.executable, "-I", "-S", "-c", SCRIPT, str(folder), "{job_id}")
    return tuple(
        JobDefinition(id=number, name=f"job-{number}", command=command, **given)
        for number in (789, 790, 791)
    )


def list_processes(folder: Path, job_id: str) -> list[int]:
    """The processes that ran for a job, whether they still do or not."""
    file = folder / f"{job_id}.effects"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


def wait_for_run(engine: DatabricksEngine, run_id: str) -> RunState:
    """Wait until a run has ended; return how."""
    return wait_until(
        lambda: engine.run_state(run_id),
        lambda state: state.outcome in {RunOutcome.DONE, RunOutcome.FAILED},
    )


@contextmanager
def open_engine(settings: DatabricksSettings) -> Iterator[DatabricksEngine]:
    """Our engine, which waits less between two tries than it would elsewhere."""
    client = DatabricksClient(settings, budget=CallBudget(first=0.01))
    try:
        yield DatabricksEngine(client, settings)
    finally:
        client.close()


@contextmanager
def open_official_client(settings: DatabricksSettings) -> Iterator[WorkspaceClient]:
    """The official client, which knows of the workspace what ``settings`` say."""
    config = Config(
        host=settings.url,
        token=settings.token or None,
        client_id=settings.client_id or None,
        client_secret=settings.client_secret or None,
        auth_type="pat" if settings.token else "oauth-m2m",
        retry_timeout_seconds=int(PATIENCE_SECONDS),
        http_timeout_seconds=PATIENCE_SECONDS,
    )
    client = WorkspaceClient(config=config)
    try:
        yield client
    finally:
        client.api_client._api_client._session.close()
