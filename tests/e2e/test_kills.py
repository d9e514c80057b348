"""Kill -9 while jobs run: the server, a second worker, a stage. Nothing is lost or done twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from ipp.core.tables import RESULTS
from ipp.jobs.engines.stage_worker import MOST_DEATHS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.e2e.command import IPP
from tests.e2e.server import FIRST, SECOND, Server, StageSeen, find_stages, run_server, wait_for_end
from tests.waiting import PATIENCE_SECONDS, wait_until

VICTIMS = ("server", "worker", "stage", "worker", "server", "stage", "server and worker") * 3
"""Who is killed, round after round."""

AT_ONCE = 2
"""Jobs under way at a kill: the server's worker has one and the other worker the other."""


class Plant:
    """A server with its own worker, another worker over the same home, and a caller."""

    def __init__(self, home: Path, server: Server) -> None:
        self.home = home
        self.server = server
        self.jobs: list[str] = []
        self.worker = self._start_worker()

    def begin(self) -> str:
        """Start a job."""
        answer = self._ask("POST", "/ipp/start", json={"mostradores": [FIRST, SECOND]})
        assert answer.status_code == 202, answer.text
        self.jobs.append(answer.json()["job_id"])
        return self.jobs[-1]

    def keep_busy(self) -> None:
        """Start jobs until as many run as are to."""
        listed = self._ask("GET", "/ipp/jobs?limit=200").json()["jobs"]
        for _ in range(AT_ONCE - sum(job["progress"] not in {0, 100} for job in listed)):
            self.begin()

    def stage_of(self, victim: str) -> int:
        """Return a stage that the victim runs or is, once there is one; start jobs until then."""
        parents = {self.server.pid: "server", self.worker.pid: "worker"}

        def fits(seen: StageSeen) -> bool:
            if victim == "stage":  # one that is killed too often is how that run fails
                return self._deaths(seen) < MOST_DEATHS - 1
            return parents.get(seen.parent, "nobody") in victim

        def look() -> list[int]:
            self.keep_busy()
            return [pid for pid, seen in find_stages(self.home).items() if fits(seen)]

        return wait_until(look, bool)[0]

    def kill(self, victim: str, down: float) -> None:
        """Kill -9 the victim while it runs a stage or is one; start it again after some seconds."""
        stage = self.stage_of(victim)
        if victim == "stage":
            with suppress(ProcessLookupError):  # it was done just then
                os.kill(stage, signal.SIGKILL)
            return
        if "worker" in victim:
            self.stop_worker()
        if "server" in victim:
            self.server.kill()
        time.sleep(down)
        if "worker" in victim:
            self.worker = self._start_worker()
        if "server" in victim:
            self.server.start()

    def ended(self, job_id: str) -> dict[str, Any]:
        with httpx2.Client(base_url=self.server.address, timeout=PATIENCE_SECONDS) as client:
            return wait_for_end(client, job_id)

    def stop_worker(self) -> None:
        self.worker.kill()
        self.worker.wait()

    def _start_worker(self) -> subprocess.Popen[bytes]:
        with self.server.log.open("a") as log:
            return subprocess.Popen(
                [*IPP, "worker"],
                env=os.environ | {"IPP_HOME": str(self.home)},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _deaths(self, seen: StageSeen) -> int:
        query = "SELECT deaths FROM runs WHERE stage = ? AND job_id = ?"
        return int(asked(self.home, query, seen.stage, seen.job_id)[0][0])

    def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return httpx2.request(
            method, f"{self.server.address}{path}", timeout=PATIENCE_SECONDS, **more
        )


@contextmanager
def plant(chain: Path, folder: Path) -> Iterator[Plant]:
    home = folder / "home"
    shutil.copytree(chain, home)
    with run_server(home, IPP_MAX_JOBS="100") as server:
        made = Plant(home, server)
        try:
            yield made
        finally:
            made.stop_worker()


def rows_by_job(home: Path) -> dict[str, pl.DataFrame]:
    table = (
        DeltaLakehouse(home / "lakehouse")
        .scan_table(RESULTS)
        .sort("mostrador", "material")
        .collect()
    )
    parts = table.partition_by("job_id", as_dict=True, include_key=False)
    return {str(job_id): rows for (job_id,), rows in parts.items()}


@pytest.mark.long
def test_whatever_is_killed_every_job_ends_as_if_nothing_had_been(
    chain: Path, tmp_path: Path
) -> None:
    assert len(VICTIMS) >= 20
    generator = random.Random(11)
    with plant(chain, tmp_path) as running:
        undisturbed = running.begin()
        assert running.ended(undisturbed)["status"] == "COMPLETED"
        for victim in VICTIMS:
            running.stage_of(victim)
            time.sleep(
                generator.uniform(0, 0.6)
            )  # a stage's start, its middle, its end, and between two
            running.kill(victim, down=generator.choice([0, 0, 1.0]))
        last = {job_id: running.ended(job_id) for job_id in running.jobs}
        assert {status["status"] for status in last.values()} == {"COMPLETED"}, last
        rows = rows_by_job(running.home)
        assert sorted(rows) == sorted(running.jobs)
        assert len(rows[undisturbed]) > 0
        assert [job_id for job_id in rows if not rows[job_id].equals(rows[undisturbed])] == []
        assert runs_of(running.home) == {job_id: ("SUCCESS", 3) for job_id in running.jobs}
        assert begun_again(running.home) > len(VICTIMS) // 2, "or nothing was disturbed"
        wait_until(lambda: find_stages(running.home), lambda left: not left)
        running.server.kill()
        running.stop_worker()
        running.server.start()
        assert [*running.home.glob("borradores/*")] == []


def runs_of(home: Path) -> dict[str, tuple[str, int]]:
    """The results that a job's runs had on the engine, and how many runs."""
    query = "SELECT job_id, group_concat(DISTINCT result), count(*) FROM runs GROUP BY job_id"
    return {job_id: (results, count) for job_id, results, count in asked(home, query)}


def begun_again(home: Path) -> int:
    """How often a run was taken from a worker that had not ended it."""
    return int(asked(home, "SELECT sum(claim) - count(*) FROM runs")[0][0])


def asked(home: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "procesos" / "runs.sqlite")) as db:
        return db.execute(query, values).fetchall()
