"""What people ask of jobs, over a small chain and an engine that only pretends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from ipp.core.parameters import Parameters
from ipp.core.tables import CONFIGURATIONS, COUNTERS, FAILURES, MATERIALS, RESULTS, SELLOUT
from ipp.errors import InvalidInputError, NotConfiguredError, NotFoundError
from ipp.jobs.engines.engine import RunState
from ipp.jobs.job import Job, JobOwner, JobStatus
from ipp.jobs.job_service import (
    Caller,
    IdempotencyConflictError,
    JobEndedError,
    JobService,
    NotCompletedError,
    TooManyJobsError,
    job_preparer,
    recalling,
)
from ipp.jobs.job_spec import JobSpec, load_spec, save_spec
from ipp.jobs.reconciler import Reconciler
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.fakes import (
    CrashError,
    FakeEngine,
    FaultSchedule,
    FaultyEngine,
    FaultyStore,
    MemoryJobStore,
)
from tests.unit.jobs.job_builder import NOW, build_job

ANA, BETO, ROOT = (
    Caller(JobOwner("ana")),
    Caller(JobOwner("beto")),
    Caller(JobOwner("raiz"), admin=True),
)
MODEL = Parameters()


class World:
    """A service and what it is made of; its clock goes on by a second each time it is looked at."""

    def __init__(self, folder: Path) -> None:
        lakehouse = DeltaLakehouse(folder / "lakehouse")
        lakehouse.replace_table(
            COUNTERS, pl.LazyFrame({"mostrador": [1, 2], "postal_code": [6700] * 2})
        )
        lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": [11], "price": [20.0]}))
        lakehouse.replace_table(
            CONFIGURATIONS, pl.LazyFrame({"mostrador": [1, 2], "inventory_model": ["SPP"] * 2})
        )
        sold = [(1, 11, dt.date(2026, 6, 30), 1.0)]
        lakehouse.replace_table(SELLOUT, pl.LazyFrame(sold, schema=SELLOUT.schema, orient="row"))
        self.lakehouse = lakehouse
        self.warehouse = LakehouseWarehouse(lakehouse)
        self.files = LocalFiles(folder / "files")
        self.store = MemoryJobStore()
        self.engine = FakeEngine()
        self._moments: Iterator[int] = count()
        self._ids: Iterator[int] = count(1)
        self.service = self.made(self.store, self.engine)

    def made(
        self,
        store: object,
        engine: object,
        prepare: object = None,
        recall: Callable[[str], JobSpec | None] = lambda _job_id: None,
    ) -> JobService:
        made = prepare or job_preparer(self.files)
        return JobService(
            store,  # type: ignore[arg-type]  # a store by its protocol
            Reconciler(store, engine, made),  # type: ignore[arg-type]  # likewise
            self.warehouse,
            clock=self.now,
            new_id=lambda: f"ipp-{next(self._ids)}",
            recall=recall,
        )

    def now(self) -> dt.datetime:
        return NOW + dt.timedelta(seconds=next(self._moments))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_start_stores_the_job_lays_out_its_request_and_asks_for_its_first_stage(
    world: World,
) -> None:
    job = world.service.start_job(ANA, (2, 1), MODEL)
    assert (job.job_id, job.status, job.mostradores) == ("ipp-1", JobStatus.JOB1_RUNNING, (1, 2))
    assert job.stages[0].run_id == "run-ipp-1-normalizador-1"
    spec = load_spec("ipp-1", world.files)
    assert (spec.mostradores, spec.parameters, spec.cutoff) == ((1, 2), MODEL, dt.date(2026, 6, 30))


def test_without_configuration_nothing_starts(world: World) -> None:
    with pytest.raises(NotConfiguredError, match=r"Sin configuración: 3\."):
        world.service.start_job(ANA, (1, 3), MODEL)
    assert (world.store.written, world.engine.effects) == ({}, [])


def test_the_same_key_and_request_give_the_same_job(world: World) -> None:
    first = world.service.start_job(ANA, (1, 2), MODEL, key="k")
    again = world.service.start_job(ANA, (2, 1), MODEL, key="k")
    assert again.job_id == first.job_id
    assert len(world.store.written) == len(world.engine.effects) == 1
    assert world.service.start_job(BETO, (1, 2), MODEL, key="k").job_id != first.job_id
    with pytest.raises(IdempotencyConflictError):
        world.service.start_job(ANA, (1,), MODEL, key="k")


def test_a_key_gives_its_job_again_even_where_there_are_too_many(world: World) -> None:
    first = world.service.start_job(ANA, (1,), MODEL, key="k")
    for _ in range(4):
        world.service.start_job(ANA, (1,), MODEL)
    with pytest.raises(TooManyJobsError, match="Ya tiene 5 procesos en marcha"):
        world.service.start_job(ANA, (1,), MODEL)
    assert world.service.start_job(ANA, (1,), MODEL, key="k").job_id == first.job_id
    assert world.service.start_job(BETO, (1,), MODEL).status is JobStatus.JOB1_RUNNING


def test_looking_moves_a_job_to_its_end(world: World) -> None:
    job = world.service.start_job(ANA, (1,), MODEL)
    with pytest.raises(NotCompletedError, match="Proceso no completado"):
        world.service.completed_job(ANA, job.job_id)
    for _ in range(30):
        job = world.service.job_status(ANA, job.job_id)
    assert job.status is JobStatus.COMPLETED
    assert world.service.completed_job(ANA, job.job_id) == job


def settle(world: World, job_id: str) -> Job:
    """Return the job once nothing moves it any more."""
    for _ in range(30):
        job = world.service.job_status(ROOT, job_id)
    return job


SUCCESS = RunState("TERMINATED", "SUCCESS")
FAILED_RUN = RunState("TERMINATED", "FAILED", message="Se acabó el disco.")


def test_a_failed_job_that_is_resumed_computes_everything_anew(world: World) -> None:
    world.engine.results = lambda _job_id, stage: FAILED_RUN if stage == "factor" else SUCCESS
    job = world.service.start_job(ANA, (1, 2), MODEL)
    assert settle(world, job.job_id).status is JobStatus.FAILED
    world.engine.results = lambda _job_id, _stage: SUCCESS
    assert world.service.resume_job(ANA, job.job_id).status is JobStatus.JOB1_RUNNING
    again = settle(world, job.job_id)
    assert (again.status, again.attempt, again.failure) == (JobStatus.COMPLETED, 2, None)
    stages = [stage for _, stage in world.engine.effects]
    assert stages == ["normalizador", "factor", "normalizador", "factor", "publicacion"]
    assert world.service.resume_job(ANA, job.job_id) == again


def test_a_cancelled_job_is_not_resumed(world: World) -> None:
    job = world.service.start_job(ANA, (1,), MODEL)
    world.service.cancel_job(ANA, job.job_id)
    assert settle(world, job.job_id).status is JobStatus.CANCELLED
    with pytest.raises(JobEndedError, match="se canceló"):
        world.service.resume_job(ANA, job.job_id)
    with pytest.raises(NotCompletedError):
        world.service.retry_job(ANA, job.job_id)
    assert settle(world, job.job_id).status is JobStatus.CANCELLED


@pytest.mark.parametrize("end", ["success", "failure", "cancellation"])
def test_a_retry_computes_what_failed_and_leaves_the_job_completed(world: World, end: str) -> None:
    job = settle(world, world.service.start_job(ANA, (1, 2), MODEL).job_id)
    with pytest.raises(InvalidInputError, match="Ningún mostrador"):
        world.service.retry_job(ANA, job.job_id)
    failed = (job.job_id, 2, "factor", "ValueError: NaN")
    world.lakehouse.replace_table(
        FAILURES, pl.LazyFrame([failed], schema=FAILURES.schema, orient="row")
    )
    if end == "failure":
        world.engine.results = lambda _job_id, _stage: FAILED_RUN
    assert world.service.retry_job(ANA, job.job_id).status is JobStatus.JOB1_RUNNING
    assert load_spec(job.job_id, world.files).computed_counters == (2,)
    with pytest.raises(NotCompletedError):
        world.service.retry_job(ANA, job.job_id)
    if end == "cancellation":
        world.service.cancel_job(ANA, job.job_id)
    again = settle(world, job.job_id)
    assert (again.status, again.attempt) == (JobStatus.COMPLETED, 2)
    assert (again.failure is not None) == (end == "failure")
    if end == "failure":
        # What it retried may have left the list of failures already.
        world.lakehouse.replace_table(FAILURES, pl.LazyFrame(schema=FAILURES.schema))
        assert world.service.retry_job(ANA, job.job_id).retried == (2,)


@pytest.mark.parametrize("published", [False, True])
def test_a_job_of_an_older_version_is_resumed_by_what_it_left(
    world: World, published: bool
) -> None:
    spec = JobSpec("ipp-old", (1, 2), MODEL, dt.date(2026, 6, 30), NOW)
    world.service = world.made(world.store, world.engine, recall=recalling(world.files))
    with pytest.raises(NotFoundError):
        world.service.resume_job(ROOT, "ipp-old")
    save_spec(spec, world.files)
    if published:
        rows = pl.LazyFrame({"job_id": ["ipp-old"], "mostrador": [1], "material": [11]})
        world.lakehouse.replace_table(RESULTS, rows)
    local = Caller(JobOwner("local"), local=True)
    with pytest.raises(NotFoundError):
        world.service.resume_job(BETO, "ipp-old")
    job = world.service.resume_job(local, "ipp-old")
    assert job.status is (JobStatus.COMPLETED if published else JobStatus.JOB1_RUNNING)
    assert (job.mostradores, job.cutoff, job.user.sub) == ((1, 2), spec.cutoff, "local")
    assert settle(world, "ipp-old").status is JobStatus.COMPLETED


@pytest.mark.parametrize("ask", ["job_status", "cancel_job", "completed_job"])
def test_anothers_job_is_not_there_and_an_admin_sees_all(ask: str, world: World) -> None:
    job = world.service.start_job(ANA, (1,), MODEL)
    for caller, job_id in ((BETO, job.job_id), (ANA, "ipp-none")):
        with pytest.raises(NotFoundError, match="Job no encontrado"):
            getattr(world.service, ask)(caller, job_id)
    assert world.service.job_status(ROOT, job.job_id).job_id == job.job_id
    assert [j.job_id for j in world.service.list_jobs(ROOT, status=None, limit=5, after=None)] == [
        job.job_id
    ]
    assert world.service.list_jobs(BETO, status=None, limit=5, after=None) == []


def test_cancelling_again_changes_nothing_and_an_ended_job_cannot_be(world: World) -> None:
    job = world.service.start_job(ANA, (1,), MODEL)
    for _ in range(4):
        job = world.service.cancel_job(ANA, job.job_id)
    assert job.status is JobStatus.CANCELLED
    assert world.service.cancel_job(ANA, job.job_id) == job
    done = world.service.start_job(ANA, (1,), MODEL)
    for _ in range(30):
        world.service.job_status(ANA, done.job_id)
    with pytest.raises(JobEndedError, match="ya terminó: COMPLETED"):
        world.service.cancel_job(ANA, done.job_id)


def test_a_job_that_was_cancelled_without_being_asked_to_is_given_as_it_is(world: World) -> None:
    """As an early release stored it."""
    stored = replace(build_job("ipp-old"), status=JobStatus.CANCELLED)
    world.store.create_job(stored, NOW)
    assert world.service.cancel_job(ANA, "ipp-old") == stored


def test_a_job_that_left_nothing_but_one_row_is_told_by_it(world: World) -> None:
    row = {"job_id": ["ipp-old"], "mostrador": [1], "material": [11], "cutoff": [NOW.date()]}
    world.lakehouse.replace_table(RESULTS, pl.LazyFrame(row))
    local = Caller(JobOwner("local"), local=True)
    job = world.service.completed_job(local, "ipp-old")
    assert (job.mostradores, job.cutoff, job.created_at.date()) == ((1,), NOW.date(), NOW.date())
    assert job.status is JobStatus.COMPLETED


def test_a_crash_at_any_line_of_a_start_loses_nothing_and_starts_nothing_twice(
    world: World,
) -> None:
    for seed in range(200):
        faults = FaultSchedule(seed, rate=0.3)
        faulty = world.made(
            FaultyStore(world.store, faults), FaultyEngine(world.engine, faults), lambda _job: None
        )
        caller, key = Caller(JobOwner(f"u{seed}")), f"k{seed}"
        for _ in range(50):
            try:
                job = faulty.start_job(caller, (1,), MODEL, key=key)
            except CrashError:
                continue
            if job.stages[0].run_id:
                break
        assert (
            len(world.store.list_jobs(owner=f"u{seed}", status=None, limit=9, after=None, now=NOW))
            == 1
        )
        assert world.engine.effects.count((job.job_id, "normalizador")) == 1


def test_a_glance_is_the_status_where_that_needs_no_waiting(world: World) -> None:
    job = world.service.start_job(ANA, (1,), MODEL)
    waited = 0
    while not job.status.ended:
        seen = world.service.peek_status(ANA, job.job_id)
        job = world.service.job_status(ANA, job.job_id)
        waited += seen is None
        assert seen in {None, job}
    assert waited
    assert world.service.peek_status(ANA, job.job_id) == job


def test_a_glance_keeps_the_rights_of_a_status(world: World) -> None:
    job = world.service.start_job(ANA, (1,), MODEL)
    assert world.service.peek_status(ROOT, job.job_id) in {
        None,
        world.store.get_job(job.job_id, NOW),
    }
    for caller, job_id in ((BETO, job.job_id), (ANA, "ipp-0")):
        with pytest.raises(NotFoundError, match="Job no encontrado"):
            world.service.peek_status(caller, job_id)


def test_a_store_that_makes_one_wait_is_not_glanced_at(world: World) -> None:
    service = world.made(FaultyStore(world.store, FaultSchedule(1, rate=0)), world.engine)
    job = world.service.start_job(ANA, (1,), MODEL)
    assert service.peek_status(ANA, job.job_id) is None


class VanishingStore(MemoryJobStore):
    """A store whose jobs expire between two calls: after ``looks`` they are gone."""

    looks = 1_000

    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        self.looks -= 1
        return super().get_job(job_id, now) if self.looks >= 0 else None

    def create_job(self, job: Job, now: dt.datetime) -> bool:
        return super().create_job(job, now) and self.looks > 0


def test_a_job_that_expires_as_it_is_started_is_given_as_it_was_to_be_stored(world: World) -> None:
    store = VanishingStore()
    store.looks = 0
    job = world.made(store, world.engine).start_job(ANA, (1,), MODEL)
    assert (job.job_id, job.status, job.user.sub) == ("ipp-1", JobStatus.JOB1_RUNNING, "ana")


@pytest.mark.parametrize("ask", ["job_status", "cancel_job"])
def test_a_job_that_expires_as_it_is_looked_at_is_not_found(world: World, ask: str) -> None:
    store = VanishingStore()
    service = world.made(store, world.engine)
    job = service.start_job(ANA, (1,), MODEL)
    store.looks = 1
    with pytest.raises(NotFoundError, match="Job no encontrado"):
        getattr(service, ask)(ANA, job.job_id)


class LateStore(MemoryJobStore):
    """A store in which a key is found only once it is claimed: another call came in between."""

    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        return None


def test_of_two_starts_at_once_by_one_key_the_later_is_held_to_the_first(world: World) -> None:
    service = world.made(LateStore(), world.engine)
    first = service.start_job(ANA, (1, 2), MODEL, key="k")
    assert service.start_job(ANA, (1, 2), MODEL, key="k").job_id == first.job_id
    with pytest.raises(IdempotencyConflictError):
        service.start_job(ANA, (1,), MODEL, key="k")
    assert len(world.engine.effects) == 1
