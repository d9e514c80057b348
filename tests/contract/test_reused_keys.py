"""A key that is used again once its job is forgotten: a new job, of today's data, on every adapter.

The scheduler that sends ``semanal`` each week must not be given last week's stock. Everything here
is real but the time: stores, engines and stages, which publish to tables in a folder. Databricks'
double remembers tokens, as Databricks does for longer than a job is stored.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from ipp.cloud.databricks.client import DatabricksClient
from ipp.core.parameters import Parameters
from ipp.core.tables import CONFIGURATIONS, RESULTS
from ipp.entrypoints.clock import new_job_id, utc_now
from ipp.entrypoints.local_wiring import STAGE_COMMAND as COMMAND
from ipp.jobs.engines.databricks_engine import DatabricksEngine
from ipp.jobs.engines.engine import Engine
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.stage_worker import StageWorker
from ipp.jobs.job import Job, JobOwner, JobStatus, Stage
from ipp.jobs.job_service import Caller, JobService, job_preparer
from ipp.jobs.job_store import JobStore
from ipp.jobs.reconciler import Reconciler
from ipp.sample import invent_chain, write_chain
from ipp.settings import Settings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.cloud.workspace import JobDefinition, run_workspace
from tests.sample_chain import AUTHOR
from tests.waiting import wait_until

ANA = Caller(JobOwner("ana"))
MOSTRADOR = 7_051_602
WEEK = dt.timedelta(days=8)


class Clock:
    """This moment, and what a test adds to it."""

    ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return utc_now() + self.ahead

    def seconds(self) -> float:
        return time.time() + self.ahead.total_seconds()


@contextmanager
def local(home: Path, clock: Clock) -> Iterator[Engine]:
    worker = StageWorker(home / "runs.sqlite", COMMAND, clock=clock.seconds, beat=0.1, poll=0.02)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_until, args=(stop,))
    thread.start()
    try:
        yield LocalEngine(home / "runs.sqlite", clock.seconds)
    finally:
        stop.set()
        thread.join()


@contextmanager
def databricks(home: Path, _clock: Clock) -> Iterator[Engine]:
    jobs = [
        JobDefinition(number, stage.value, command=(*COMMAND, stage.value, "{job_id}"))
        for number, stage in enumerate(Stage, 789)
    ]
    with run_workspace(home / "workspace", jobs, environ={"IPP_HOME": str(home)}) as made:
        client = DatabricksClient(made.settings)
        try:
            yield DatabricksEngine(client, made.settings)
        finally:
            client.close()


ENGINES = {"local": local, "databricks": databricks}


@dataclass(frozen=True)
class Plant:
    """A chain, a service over it, and its clock."""

    lakehouse: DeltaLakehouse
    service: JobService
    clock: Clock

    def start(self) -> Job:
        return self.service.start_job(ANA, (MOSTRADOR,), Parameters(), key="semanal")

    def ended(self, job: Job) -> Job:
        return wait_until(
            lambda: self.service.job_status(ANA, job.job_id), lambda seen: seen.status.ended
        )

    def configure(self, target: float) -> None:
        """Give the mostrador another investment."""
        mine = pl.col("mostrador") == MOSTRADOR
        changed = pl.when(mine).then(pl.lit(target)).otherwise("target_investment")
        rows = self.lakehouse.scan_table(CONFIGURATIONS).with_columns(target_investment=changed)
        self.lakehouse.replace_table(CONFIGURATIONS, rows.collect().lazy())

    def target(self, job: Job) -> float:
        (row,) = LakehouseWarehouse(self.lakehouse).job_summary(job.job_id)
        return float(row["target_investment"])

    def rows(self, job: Job) -> pl.DataFrame:
        published = self.lakehouse.scan_table(RESULTS).filter(pl.col("job_id") == job.job_id)
        return published.sort("material").collect()


@pytest.fixture(params=["sqlite", "dynamodb"])
def store(request: pytest.FixtureRequest) -> JobStore:
    new: Callable[[], JobStore] = request.getfixturevalue(f"new_{request.param}")
    return new()


@pytest.fixture(params=ENGINES)
def plant(
    request: pytest.FixtureRequest,
    store: JobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Plant]:
    home = tmp_path / "home"
    monkeypatch.setenv("IPP_HOME", str(home))
    settings = Settings.from_environment({"IPP_HOME": str(home)})
    lakehouse, clock = DeltaLakehouse(settings.lakehouse), Clock()
    made = invent_chain(counters=2, materials=60, days=120, seed=3, end=dt.date(2026, 6, 30))
    write_chain(made, lakehouse, Scratch(settings.scratch), lambda _done, _total: None, AUTHOR)
    with ENGINES[request.param](home, clock) as engine:
        service = JobService(
            store,
            Reconciler(store, engine, job_preparer(LocalFiles(settings.files))),
            LakehouseWarehouse(lakehouse),
            clock=clock,
            new_id=new_job_id,
        )
        yield Plant(lakehouse, service, clock)


def test_a_key_that_is_used_again_a_week_later_runs_everything_anew(plant: Plant) -> None:
    plant.configure(1_000_000.0)
    first = plant.ended(plant.start())
    assert first.status is JobStatus.COMPLETED
    published = plant.rows(first)
    plant.configure(100_000.0)
    assert plant.start() == first, "while it is stored"
    plant.clock.ahead = WEEK
    again = plant.start()
    assert again.job_id != first.job_id
    assert plant.start().job_id == again.job_id
    again = plant.ended(again)
    assert again.status is JobStatus.COMPLETED
    assert [run.stage for run in again.stages] == list(Stage)
    runs = {run.run_id for run in again.stages}
    assert len(runs) == len(Stage)
    assert runs.isdisjoint(run.run_id for run in first.stages)
    assert (plant.target(first), plant.target(again)) == (1_000_000.0, 100_000.0)
    assert plant.rows(first).equals(published), "what was published stays"


def test_a_machine_that_was_off_for_a_night_goes_on(plant: Plant) -> None:
    """Both while a stage waits and while it runs."""
    job = plant.start()
    seen = {job.status}
    while not job.status.ended:
        plant.clock.ahead += dt.timedelta(hours=7)
        job = plant.service.job_status(ANA, job.job_id)
        seen.add(job.status)
        time.sleep(0.05)
    assert job.status is JobStatus.COMPLETED
    assert JobStatus.JOB2_RUNNING in seen
