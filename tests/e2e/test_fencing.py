"""Whoever wakes up after another took over changes nothing: neither table, file nor status.

Real processes are stopped (SIGSTOP) in the middle of a stage, as a machine that sleeps would stop
them; others complete the job; then the first are continued.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from ipp.core.parameters import Parameters
from ipp.entrypoints.local_wiring import ControlPlane, build_application, build_control_plane
from ipp.jobs.job import Job, JobStatus, Stage
from ipp.jobs.local_caller import local_caller
from ipp.settings import Settings
from tests.e2e.command import IPP, start_command
from tests.e2e.server import FIRST, SECOND, find_stages
from tests.waiting import PATIENCE_SECONDS, is_alive, stop_outside_writes, wait_until

pytestmark = pytest.mark.long

MOSTRADORES = (int(FIRST), int(SECOND))


@pytest.fixture
def home(chain: Path, tmp_path: Path) -> Path:
    made = tmp_path / "home"
    shutil.copytree(chain, made)
    return made


def plane_of(home: Path) -> ControlPlane:
    return build_control_plane(
        build_application(Settings.from_environment({"IPP_HOME": str(home)}))
    )


def content(home: Path) -> dict[str, tuple[int, str]]:
    """The tables' and jobs' files: when each was written, and what is in it."""
    found = {}
    for folder in ("lakehouse", "archivos"):
        for path in sorted((home / folder).rglob("*")):
            if path.is_file() and not path.name.endswith(".lock"):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(home))] = (path.stat().st_mtime_ns, digest)
    return found


@contextmanager
def workers() -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(home: Path) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [*IPP, "worker"],
                env=os.environ | {"IPP_HOME": str(home)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def ended_job(plane: ControlPlane, job_id: str) -> Job:
    caller = local_caller(admin=True)
    return wait_until(
        lambda: plane.service.job_status(caller, job_id), lambda job: job.status.ended
    )


def registered(home: Path, pid: int) -> bool:
    """Return whether a process is named in the run that it computes, so that it may write."""
    with closing(sqlite3.connect(home / "procesos" / "runs.sqlite")) as db:
        query = "SELECT count(*) FROM runs WHERE process LIKE ?"
        return bool(db.execute(query, (f"%:{pid}:%",)).fetchone()[0])


def stop_worker_in(home: Path, worker: subprocess.Popen[bytes], stage: Stage) -> int:
    """Stop a worker's process of a stage and then the worker; return the number of the first."""

    def stop() -> int:
        for pid, seen in find_stages(home).items():
            if (seen.parent, seen.stage) == (worker.pid, stage) and registered(home, pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    return pid
        return 0

    pid = wait_until(stop, bool)
    stop_outside_writes(worker.pid, home / "procesos" / "runs.sqlite")
    return pid


def test_workers_stopped_in_each_stage_change_nothing_when_they_wake(home: Path) -> None:
    plane = plane_of(home)
    with workers() as start:
        job = plane.service.start_job(local_caller(admin=True), MOSTRADORES, Parameters())
        stopped, asleep = [], []
        for stage in Stage:
            worker = start(home)
            asleep.append(stop_worker_in(home, worker, stage))
            stopped.append(worker)
        start(home)
        assert ended_job(plane, job.job_id).status is JobStatus.COMPLETED
        before = content(home)
        assert not any(is_alive(pid) for pid in asleep), "whoever took over ended them first"
        for worker in stopped:
            worker.send_signal(signal.SIGCONT)
        # Their next heartbeats, and whatever their stages would have written.
        time.sleep(3.0)
        assert [worker.poll() for worker in stopped] == [None] * len(stopped)
        assert content(home) == before
        assert ended_job(plane, job.job_id).status is JobStatus.COMPLETED


@pytest.mark.parametrize("stage", Stage)
def test_a_command_stopped_in_a_stage_changes_nothing_when_it_wakes(
    home: Path, stage: Stage
) -> None:
    """Nobody ends the command, which a person started: its own writes are refused."""
    plane = plane_of(home)
    with (
        workers() as start,
        start_command(home, "run", "--mostradores", f"{FIRST},{SECOND}", "--json") as command,
    ):
        assert command.stderr is not None
        while f'"etapa": "{stage.value}"' not in (line := command.stderr.readline()):
            assert line, "the command ended"
        command.send_signal(signal.SIGSTOP)
        start(home)
        job_id = wait_until(
            lambda: plane.service.list_jobs(
                local_caller(admin=True), status=None, limit=1, after=None
            ),
            bool,
        )[0].job_id
        assert ended_job(plane, job_id).status is JobStatus.COMPLETED
        before = content(home)
        command.send_signal(signal.SIGCONT)
        _, errors = command.communicate(timeout=PATIENCE_SECONDS)
        assert (command.returncode, "Error" in errors) == (0, False), errors
        assert {path: seen for path, seen in content(home).items() if ".partial" not in path} == (
            before
        )
