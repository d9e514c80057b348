"""Two hundred jobs on bad days: nothing is lost, nothing is run twice.

The functions run as Lambda runs them and are killed wherever they are; the workspace's answers are
dropped before and after what was asked is done, refused, cut short and late. Its stages are
processes that leave a trace and nothing more.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS
from ipp.jobs.job import JobStatus
from tests.cloud.aws import client_of, run_moto
from tests.cloud.clients import build_cheap_jobs, list_processes
from tests.cloud.cloud import Answer, Cloud, deploy_cloud
from tests.cloud.runtime import FunctionError
from tests.cloud.stack import build_stack
from tests.cloud.workspace import Fault, Weather, Workspace, run_workspace

pytestmark = pytest.mark.long

SEEDS = range(200)
LANES = 8
PATIENCE = 300.0
"""Seconds that a job may take from its start to its end."""

FAULTS = (
    Fault("drop"), Fault("drop", after=True), Fault("status", status=500),
    Fault("status", status=500, after=True),
    Fault("status", status=503), Fault("status", status=429, retry_after=0.05),
    Fault("cut", after=True),
    Fault("slow", seconds=0.2),
)  # fmt: skip

SPOKEN = {
    CONFIGURATIONS.name: [["7051602"]],
    COUNTERS.name: [["7051602"]],
    MATERIALS.name: [["1", "2025-01-01", "2026-06-30"]],
}
"""What the warehouse says: its statements are looked at elsewhere."""

KILLED = ("iniciador", "status", "reconciler")


@dataclass(frozen=True)
class Place:
    cloud: Cloud
    workspace: Workspace
    folder: Path
    tokens: list[str]
    dynamodb: Any
    answers: list[int] = field(default_factory=list)
    """The status of every answer so far."""

    def call(self, *arguments: Any, **options: Any) -> Answer:
        """Call a function and count its answer. Raises `FunctionError` and TimeoutError."""
        answer = self.cloud.call(*arguments, **options)
        self.answers.append(answer.status)
        return answer

    def status(self, job_id: str) -> JobStatus:
        """As it is stored, which no reader moves."""
        table = f"{self.cloud.stack.name}-ipp-jobs"
        return JobStatus(
            self.dynamodb.get_item(TableName=table, Key={"job_id": {"S": job_id}})["Item"][
                "status"
            ]["S"]
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("seeded")
    traces = folder / "traces"
    traces.mkdir()
    jobs = build_cheap_jobs(traces, max_concurrent_runs=4)
    with (
        run_moto(folder) as aws,
        run_workspace(folder / "work", jobs, tables=SPOKEN) as work,
        deploy_cloud(build_stack(aws, folder), work.environment) as cloud,
    ):
        tokens = [cloud.pool.sign_up(f"user{lane}") for lane in range(LANES)]
        yield Place(cloud, work, traces, tokens, client_of(aws, "dynamodb"))


def started(place: Place, seed: int, token: str, give_up: float) -> str:
    """Request a job as a persistent program does: by one key, until it learns which job it is."""
    body, headers = {"mostradores": ["7051602"]}, {"idempotency-key": f"seed-{seed}"}
    while True:
        assert time.monotonic() < give_up, f"seed {seed} was never started"
        try:
            answer = place.call("POST", "/ipp/start", token, body=body, headers=headers)
        except (FunctionError, TimeoutError):
            continue
        if answer.status == 202:
            return str(answer.json()["job_id"])
        assert answer.status in {500, 503}, answer
        time.sleep(0.05)


def ended(place: Place, job_id: str, token: str, random: Random, give_up: float) -> JobStatus:
    """Poll, or leave it to the schedule and the buckets, until the job ends; return its status."""
    moves = (
        lambda: place.call("GET", f"/ipp/status/{job_id}", token),
        place.cloud.minute,
        lambda: place.cloud.created("ipp-raw", f"{job_id}/raw_data.xlsx"),
    )
    while not (status := place.status(job_id)).ended:
        assert time.monotonic() < give_up, f"{job_id} stands at {status}"
        try:
            random.choice(moves)()
        except (FunctionError, TimeoutError):
            continue
        time.sleep(0.3 + random.random() * 0.6)  # no run is asked for twice within a second
    return status


def killing(place: Place, stop: threading.Event) -> int:
    """End a function wherever it is, every second or so, until ``stop``; how often.

    On a machine so busy that no call was answered since the last kill, it waits.
    """
    random, kills, answered = Random(1), 0, 0
    while not stop.wait(0.5 + random.random()):
        if len(place.answers) == answered:
            continue
        answered = len(place.answers)
        place.cloud.functions[random.choice(KILLED)].kill()
        kills += 1
    return kills


def test_no_job_is_lost_and_none_is_run_twice(place: Place) -> None:
    place.workspace.weather(Weather(seed=7, rate=0.25, faults=FAULTS, path="/jobs/"))
    stop = threading.Event()

    def lane(number: int) -> list[tuple[str, JobStatus]]:
        token, found = place.tokens[number], []
        for seed in SEEDS[number::LANES]:
            give_up = time.monotonic() + PATIENCE
            job_id = started(place, seed, token, give_up)
            found.append((job_id, ended(place, job_id, token, Random(seed), give_up)))
        return found

    with ThreadPoolExecutor(LANES + 1) as pool:
        killer = pool.submit(killing, place, stop)
        try:
            lanes = [pool.submit(lane, number) for number in range(LANES)]
            jobs = dict(job for done in lanes for job in done.result())
        finally:
            stop.set()
        kills = killer.result()
    place.workspace.calm()
    assert len(jobs) == len(SEEDS)
    assert Counter(jobs.values()) == {JobStatus.COMPLETED: len(SEEDS)}
    runs = Counter((effect.job_id, effect.job) for effect in place.workspace.effects())
    assert runs == Counter({(job_id, job): 1 for job_id in jobs for job in (789, 790, 791)})
    assert all(len(list_processes(place.folder, job_id)) == 3 for job_id in jobs)
    suffered = Counter(asked["fault"] for asked in place.workspace.asked("/jobs/"))
    assert kills > 10
    assert all(suffered[f"{'after' if fault.after else 'before'} {fault.kind}"] for fault in FAULTS)
