"""One notion of a job: whatever happens to it, and whoever asks, is told the same.

Jobs are started, cancelled, killed, resumed and retried by the command line, over HTTP and by a
worker, all on one home; every process is a real one where it matters.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from ipp.cli import run_cli
from ipp.core.tables import MATERIALS, RESULTS
from ipp.entrypoints.clock import utc_now
from ipp.entrypoints.local_wiring import (
    Application,
    ControlPlane,
    build_application,
    build_control_plane,
)
from ipp.jobs.job import Stage
from ipp.jobs.job_service import Caller
from ipp.jobs.local_caller import local_caller
from ipp.server.api import download_routes
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.settings import Settings
from tests.e2e.command import read_lines, start_command
from tests.unit.pipeline.runners.test_failures import NAN, at_home
from tests.waiting import end_process, stop_outside_writes

COUNTERS = tuple(NAN - 2 + offset for offset in range(4))
"""Four mostradores, of which `NAN` and the first fail."""


class LocalUser:
    async def identify_caller(self, request: Request) -> Caller:
        return local_caller()


def open_doors(app: Application) -> tuple[ControlPlane, TestClient]:
    plane = build_control_plane(app)
    services = Services(plane.service, app.warehouse, app.runner.files, LocalUser(), Metrics())
    downloads = download_routes.download_router(app.runner.scratch)
    return plane, TestClient(create_full_app(services, Metrics(), downloads))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with inputs and no jobs."""
    home = tmp_path_factory.mktemp("prepared")
    at_home(home)
    return home


def run_command(home: Path, *arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its exit status and what it printed."""
    out = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        patch.setenv("IPP_HOME", str(home))
        return run_cli(list(arguments)), out.getvalue()


class Doors(RuleBasedStateMachine):
    """Any sequence of what people and machines do to jobs of one home."""

    prepared: Path
    expected: pl.DataFrame
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=self.prepared.parent))
        shutil.copytree(self.prepared / "lakehouse", self.home / "lakehouse")
        self.app = build_application(Settings(self.home))
        self.plane, self.http = open_doors(self.app)
        self.cancelled: set[str] = set()
        self.known: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    def _find_new_job(self) -> str:
        listed = json.loads(run_command(self.home, "results", "--json")[1])
        (job_id,) = {entry["job_id"] for entry in listed} - self.known
        self.known.add(job_id)
        return str(job_id)

    @initialize(target=jobs)
    def cancel_at_once(self) -> Any:
        job = self.start_over_http()
        self.http.post(f"/ipp/jobs/{job}/cancel")
        return job

    @rule(target=jobs)
    def start_over_http(self) -> Any:
        answer = self.http.post("/ipp/start", json={"mostradores": list(map(str, COUNTERS))})
        if answer.status_code == 429:  # the caller has as many running jobs as may be
            return multiple()
        assert answer.status_code == 202, answer.text
        self.known.add(answer.json()["job_id"])
        return answer.json()["job_id"]

    @rule(target=jobs)
    def run_to_the_end(self) -> str:
        status, _ = run_command(self.home, "run", "--todos")
        assert status == 1  # two mostradores fail
        return self._find_new_job()

    @rule(target=jobs, lines=st.integers(1, 14))
    def kill_a_run(self, lines: int) -> str:
        with start_command(self.home, "run", "--todos") as process:
            read_lines(process, lines)
            process.send_signal(signal.SIGKILL)
        return self._find_new_job()

    @rule(job=jobs)
    def cancel_over_http(self, job: str) -> None:
        answer = self.http.post(f"/ipp/jobs/{job}/cancel")
        assert answer.status_code in {200, 409}, answer.text

    @rule(job=jobs)
    def cancel_on_the_command_line(self, job: str) -> None:
        run_command(self.home, "cancel", job)

    @rule()
    def resume_all(self) -> None:
        for job in sorted(self.known):
            run_command(self.home, "run", "--reanudar", job)

    @rule(job=jobs)
    def retry(self, job: str) -> None:
        run_command(self.home, "run", "--reintentar", job)

    @rule(inputs_are_there=st.booleans())
    def work_once(self, *, inputs_are_there: bool) -> None:
        table = Path(self.app.runner.lakehouse.address(MATERIALS))
        if not inputs_are_there:
            table.rename(table.with_name("hidden"))
        try:
            self.plane.worker.run_once()
        finally:
            if not inputs_are_there:
                table.with_name("hidden").rename(table)

    @invariant()
    def every_door_tells_the_same(self) -> None:
        for job in self.known:
            self.plane.reconciler.settle_job(job, utc_now, run_changed=True)
        told = {job: self.http.get(f"/ipp/status/{job}").json()["status"] for job in self.known}
        listed = json.loads(run_command(self.home, "results", "--json")[1])
        assert {entry["job_id"]: entry["status"] for entry in listed} == told
        listed = self.http.get("/ipp/jobs").json()["jobs"]
        assert {entry["job_id"]: entry["status"] for entry in listed} == told
        for job, status in told.items():
            self._check_results(job, status)
        self.cancelled |= {job for job, status in told.items() if status == "CANCELLED"}
        assert all(told[job] == "CANCELLED" for job in self.cancelled)
        assert self.cancelled.isdisjoint(self.app.warehouse.published_jobs())

    def _check_results(self, job: str, status: str) -> None:
        exit_status, shown = run_command(self.home, "results", job, "--json")
        answer = self.http.get(f"/ipp/results/{job}")
        if status != "COMPLETED":
            assert exit_status != 0
            assert answer.status_code == 409
            return
        assert (exit_status, answer.status_code) == (0, 200)
        summary = [
            {**row, "mostrador": str(row["mostrador"])} for row in json.loads(shown)["summary"]
        ]
        assert summary == answer.json()["summary"]["mostradores"]
        assert published_rows(self.app, job).equals(self.expected)


def published_rows(app: Application, job: str) -> pl.DataFrame:
    rows = app.runner.lakehouse.scan_table(RESULTS, [job]).sort("mostrador", "material")
    return rows.drop("job_id").collect()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_every_door_tells_the_same_of_every_job(prepared: Path, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(prepared / "lakehouse", undisturbed / "lakehouse")
    run_command(undisturbed, "run", "--todos")
    app = build_application(Settings(undisturbed))
    (job,) = app.warehouse.published_jobs()
    Doors.prepared, Doors.expected = prepared, published_rows(app, job)
    run_state_machine_as_test(
        Doors,
        settings=settings(
            max_examples=4,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_worker_and_a_command_never_compute_a_stage_twice(prepared: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(prepared / "lakehouse", home / "lakehouse")
    quiet = subprocess.DEVNULL
    worker = start_command(home, "worker", stderr=quiet)
    try:
        commands = [
            start_command(home, "run", "--todos", "--json", stdout=subprocess.PIPE, stderr=quiet)
            for _ in range(3)
        ]
        jobs = [json.loads(command.communicate()[0])["job_id"] for command in commands]
        assert [command.returncode for command in commands] == [1, 1, 1]
    finally:
        end_process(worker)
    with closing(sqlite3.connect(home / "procesos" / "runs.sqlite")) as db:
        runs = db.execute("SELECT job_id, stage, claim FROM runs").fetchall()
    assert sorted(runs) == sorted((job, stage.value, 1) for job in jobs for stage in Stage)


def test_a_command_hears_that_its_job_was_cancelled_elsewhere(
    prepared: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(prepared / "lakehouse", home / "lakehouse")
    with start_command(home, "run", "--todos") as process:
        read_lines(process, 1)
        # It holds its run, and computes nothing until it may go on.
        stop_outside_writes(process.pid, home / "procesos" / "runs.sqlite")
        (spec,) = (home / "archivos").rglob("solicitud.json")
        plane, _ = open_doors(build_application(Settings(home)))
        plane.service.cancel_job(local_caller(), spec.parent.name)
        process.send_signal(signal.SIGCONT)
        rest = process.communicate()[1]
    assert process.returncode == 1
    assert f"El proceso {spec.parent.name} se canceló." in rest
    assert run_command(home, "run", "--reanudar", spec.parent.name)[0] == 1
