"""A workspace as a test has it: started, asked, scripted, and ended."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from ipp.settings import DatabricksSettings
from tests.cloud.workspace.definition import Definition, JobDefinition, Rows
from tests.cloud.workspace.fault import Fault, Weather
from tests.cloud.workspace.run import Plan
from tests.waiting import PATIENCE_SECONDS, end_process, wait_for_line

TOKEN = "dapi-of-the-workspace"
CLIENT = ("principal", "of-the-principal")
WAREHOUSE = "warehouse-1"

_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Effect:
    """A run that the workspace has: ``starts`` is how often its process was really started."""

    run_id: int
    job: int
    job_id: str
    token: str
    starts: int
    attempts: int
    state: str
    result: str
    message: str


@dataclass(frozen=True)
class Workspace:
    """A workspace that runs at ``url``; ``settings`` are a caller's with a personal token."""

    url: str
    settings: DatabricksSettings
    folder: Path
    admin: httpx2.Client

    @property
    def machine(self) -> DatabricksSettings:
        """The settings of whoever uses it as a service principal."""
        return replace(self.settings, token="", client_id=CLIENT[0], client_secret=CLIENT[1])

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which a process finds it."""
        settings = self.settings
        return {
            "DATABRICKS_WORKSPACE_URL": settings.url,
            "DATABRICKS_ACCESS_TOKEN": settings.token,
            "DATABRICKS_JOB1_ID": settings.normaliser_job,
            "DATABRICKS_FACTOR_JOB_ID": settings.factor_job,
            "DATABRICKS_JOB2_ID": settings.publication_job,
            "DATABRICKS_WAREHOUSE_ID": settings.warehouse,
        }

    def effects(self) -> list[Effect]:
        """Every run there is, the oldest first."""
        return [Effect(**run) for run in self._get("/admin/effects")["runs"]]

    def asked(self, path: str = "") -> list[Mapping[str, Any]]:
        """Return the requests with ``path`` in theirs: method, path, fault, status (0: none)."""
        return [
            each for each in self._get("/admin/asked")["asked"] if re.search(path, each["path"])
        ]

    def suffer(self, *faults: Fault) -> None:
        """Let these happen, one after the other, to requests that they fit."""
        self._post("/admin/faults", {"script": [asdict(fault) for fault in faults]})

    def weather(self, weather: Weather) -> None:
        """Let faults happen at a rate from now on."""
        self._post("/admin/faults", {"weather": asdict(weather)})

    def calm(self) -> None:
        """Let no more faults happen."""
        self._post("/admin/faults", {"clear": True})

    def plan(self, *plans: Plan) -> None:
        """Have the runs to come do as the plans say."""
        self._post("/admin/plans", {"plans": [asdict(plan) for plan in plans]})

    def hold(self, held: bool = True) -> None:
        """Let no run begin while ``held``."""
        self._post("/admin/hold", {"held": held})

    def expire(self) -> None:
        """End every machine's token."""
        self._post("/admin/expire", {})

    def _get(self, path: str) -> Any:
        return self.admin.get(self.url + path).raise_for_status().json()

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        self.admin.post(self.url + path, json=body).raise_for_status()


@contextmanager
def run_workspace(
    folder: Path,
    jobs: Sequence[JobDefinition],
    *,
    tables: Path | Mapping[str, Rows] | None = None,
    **given: Any,
) -> Iterator[Workspace]:
    """Run a workspace with ``jobs``, those of the stages in their order, until the block ends.

    ``folder`` has what it and its runs write. ``tables`` are what its SQL warehouse answers from,
    or what it says by a word of the statement; ``given`` is what else its `Definition` has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    definition = Definition(
        folder=str(folder),
        jobs=jobs,
        token=TOKEN,
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
        warehouse=WAREHOUSE,
        tables=str(tables) if isinstance(tables, Path) else "",
        spoken=tables if isinstance(tables, Mapping) else {},
        **given,
    )
    definition.write(folder / "workspace.json")
    with (
        _process(folder, definition.grace) as url,
        httpx2.Client(trust_env=False, timeout=PATIENCE_SECONDS) as admin,
    ):
        normaliser, factor, publication = (str(job.id) for job in (*jobs, *jobs, *jobs)[:3])
        settings = DatabricksSettings(
            url=url,
            token=TOKEN,
            normaliser_job=normaliser,
            factor_job=factor,
            publication_job=publication,
            warehouse=WAREHOUSE,
        )
        yield Workspace(url, settings, folder, admin)


@contextmanager
def _process(folder: Path, grace: float) -> Iterator[str]:
    log = folder / "workspace.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cloud.workspace", str(folder / "workspace.json")],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait_for_line(process, log, r"Workspace at (http://127\.0\.0\.1:\d+)")
    finally:
        end_process(process, grace + PATIENCE_SECONDS)
        if process.stdin is not None:
            process.stdin.close()
