"""How a job advances: its stages, what stops it, and that no fault loses it or runs it twice."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from ipp.errors import RefusedError, UnavailableError
from ipp.jobs.engines.engine import RunState
from ipp.jobs.job import NEXT_STATUSES, Job, JobStatus, Stage, new_stage_run
from ipp.jobs.reconciler import STAGE_DEADLINES, Reconciler, is_stuck
from tests.fakes import (
    CrashError,
    FakeEngine,
    FaultSchedule,
    FaultyEngine,
    FaultyStore,
    MemoryJobStore,
)
from tests.unit.jobs.job_builder import NOW, build_job

SECOND = dt.timedelta(seconds=1)
ENDS = 60


def run(store: MemoryJobStore, engine: FakeEngine, *, steps: int = ENDS) -> list[Job]:
    """Step once a second until the job ends; every job as it was given back."""
    reconciler = Reconciler(store, engine, lambda _job: None)
    seen: list[Job] = []
    for n in range(steps):
        after = reconciler.step_job("ipp-1", NOW + n * SECOND)
        assert after is not None
        seen.append(after)
        if after.status.ended:
            break
    return seen


@pytest.fixture
def store() -> MemoryJobStore:
    store = MemoryJobStore()
    store.create_job(build_job(), NOW)
    return store


def statuses(jobs: list[Job]) -> list[JobStatus]:
    return [
        status
        for n, status in enumerate(j.status for j in jobs)
        if n == 0 or status != jobs[n - 1].status
    ]


def test_a_job_goes_through_every_status_in_order(store: MemoryJobStore) -> None:
    engine = FakeEngine()
    seen = run(store, engine)
    assert statuses(seen) == [
        JobStatus.JOB1_RUNNING, JobStatus.JOB1_DONE, JobStatus.PROCESSING, JobStatus.JOB2_RUNNING,
        JobStatus.COMPLETED,
    ]  # fmt: skip
    assert engine.effects == [("ipp-1", stage.value) for stage in Stage]
    assert [run.stage for run in seen[-1].stages] == list(Stage)
    assert all(run.ended_at and run.started_at and run.done == 2 for run in seen[-1].stages)


def test_a_job_whose_stages_have_ended_waits_for_nothing(store: MemoryJobStore) -> None:
    """Not even for the second that must pass between two looks at one run."""
    reconciler = Reconciler(store, FakeEngine(looks=0), lambda _job: None)
    for _ in range(2):
        last = reconciler.settle_job("ipp-1", lambda: NOW)
    assert last is not None
    assert last.status is JobStatus.COMPLETED
    assert reconciler.settle_job("ipp-2", lambda: NOW) is None


def test_a_run_that_has_just_changed_is_looked_at_at_once(store: MemoryJobStore) -> None:
    engine = FakeEngine(looks=1)
    reconciler = Reconciler(store, engine, lambda _job: None)
    reconciler.settle_job("ipp-1", lambda: NOW)
    before = engine.calls
    reconciler.settle_job("ipp-1", lambda: NOW)
    assert engine.calls == before
    moved = reconciler.settle_job("ipp-1", lambda: NOW, run_changed=True)
    assert moved is not None
    assert moved.status is JobStatus.PROCESSING


def test_who_watches_is_told_each_change_of_status_once(store: MemoryJobStore) -> None:
    told: list[JobStatus] = []
    reconciler = Reconciler(
        store, FakeEngine(), lambda _job: None, watch=lambda job: told.append(job.status)
    )
    for step in range(ENDS):
        reconciler.step_job("ipp-1", NOW + step * SECOND)
    assert told == [
        JobStatus.JOB1_DONE, JobStatus.PROCESSING, JobStatus.JOB2_RUNNING, JobStatus.COMPLETED,
    ]  # fmt: skip


STUCK_CASES = [
    (Stage.NORMALISER, "", 10), (Stage.NORMALISER, "run", 6 * 60), (Stage.FACTOR, "", 10),
    (Stage.FACTOR, "run", 2 * 60), (Stage.PUBLICATION, "run", 2 * 60), (None, "", 10),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "run_id", "minutes"), STUCK_CASES, ids=str)
def test_a_job_is_stuck_after_as_long_as_its_stage_may_take(
    stage: Stage | None, run_id: str, minutes: int
) -> None:
    long_ago, begun = NOW - dt.timedelta(days=1), NOW
    job = replace(build_job(created_at=long_ago if stage else begun), stages=())
    if stage is not None:
        job = replace(job, stages=(replace(new_stage_run("ipp-1", stage, begun), run_id=run_id),))
    for beyond in (-1, 0, 1):
        now = begun + dt.timedelta(minutes=minutes, seconds=beyond)
        assert is_stuck(job, now) == (beyond > 0)


def test_the_token_is_stored_before_the_engine_is_asked(store: MemoryJobStore) -> None:
    class Watching(FakeEngine):
        def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
            stored = store.get_job("ipp-1", NOW)
            assert stored is not None
            assert stored.current_stage is not None
            assert stored.current_stage.token == token
            assert stored.current_stage.stage.value == stage
            assert stored.current_stage.run_id == ""
            return super().submit_stage(stage, job_id, token, counters)

    assert run(store, Watching())[-1].status is JobStatus.COMPLETED


@pytest.mark.parametrize("retried", [(), (12,)])
def test_the_engine_is_told_how_many_mostradores_a_stage_computes(
    store: MemoryJobStore, retried: tuple[int, ...]
) -> None:
    class Counting(FakeEngine):
        def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
            told.append(counters)
            return super().submit_stage(stage, job_id, token, counters)

    told: list[int] = []
    job = store.get_job("ipp-1", NOW)
    assert job is not None
    store.replace_job(job.transition(NOW, retried=retried))
    run(store, Counting())
    assert told == [len(retried or job.mostradores)] * len(Stage)


def test_a_thousand_readers_in_a_second_cost_the_engine_one_call(store: MemoryJobStore) -> None:
    engine = FakeEngine(looks=50)
    reconciler = Reconciler(store, engine, lambda _job: None)
    reconciler.step_job("ipp-1", NOW)
    before = engine.calls
    for n in range(1_000):
        reconciler.step_job("ipp-1", NOW + SECOND + n * SECOND / 1_001)
    assert engine.calls - before == 1


@pytest.mark.parametrize(
    ("state", "status"),
    [
        *((RunState("TERMINATED", result), JobStatus.FAILED) for result in (
            "FAILED", "TIMEDOUT", "CANCELED", "SUCCESS_WITH_FAILURES", "UPSTREAM_FAILED",
            "EXCLUDED", "")),
        (RunState("SKIPPED"), JobStatus.FAILED),
        (RunState("INTERNAL_ERROR", "FAILED"), JobStatus.FAILED),
        (RunState("TERMINATED", "SUCCESS"), JobStatus.COMPLETED),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_end_of_a_run_means(
    state: RunState, status: JobStatus, store: MemoryJobStore
) -> None:
    last = run(store, FakeEngine(results=lambda _job, _stage: state))[-1]
    assert last.status is status
    assert (last.failure is not None) == (status is JobStatus.FAILED)
    if last.failure is not None:
        assert last.failure.what == f"La etapa terminó como {state.result or state.state}."


@pytest.mark.parametrize(
    "word", ["QUEUED", "BLOCKED", "WAITING_FOR_RETRY", "TERMINATING", "RUNNING", "PENDING"]
)
def test_these_words_mean_that_the_run_goes_on(word: str, store: MemoryJobStore) -> None:
    seen = run(store, FakeEngine(results=lambda _job, _stage: RunState(word)))
    assert statuses(seen) == [JobStatus.JOB1_RUNNING]
    assert len(seen) == ENDS


def test_progress_within_a_stage_is_stored_and_never_falls_back(store: MemoryJobStore) -> None:
    """An engine that starts a stage again counts from 0."""
    told = [0, 1, 0, 2, 1]
    states = iter([*(RunState("RUNNING", done=done) for done in told)])
    ends = RunState("TERMINATED", "SUCCESS")
    seen = run(store, FakeEngine(looks=0, results=lambda _job, _stage: next(states, ends)))
    stored = [made.stages[0].done for made in seen if made.stages[0].state == "RUNNING"]
    assert stored == [0, 1, 1, 2, 2]


def test_an_unknown_word_keeps_the_job_running_and_warns_once(
    store: MemoryJobStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        seen = run(store, FakeEngine(results=lambda _job, _stage: RunState("HIBERNATING")))
    assert seen[-1].status is JobStatus.JOB1_RUNNING
    assert [record.getMessage() for record in caplog.records] == [
        "job ipp-1: its engine says 'HIBERNATING', which nobody knows"
    ]


def test_a_failure_says_what_where_and_what_to_do(store: MemoryJobStore) -> None:
    def results(_job: str, stage: str) -> RunState:
        if stage == Stage.FACTOR.value:
            return RunState("TERMINATED", "FAILED", message="Error: el disco está lleno.")
        return RunState("TERMINATED", "SUCCESS")

    last = run(store, FakeEngine(results=results))[-1]
    assert [stage.ended_at is not None for stage in last.stages] == [True, True]
    failure = last.failure
    assert failure is not None
    assert failure.what == "Error: el disco está lleno."
    assert failure.where == "Etapa factor, ejecución run-ipp-1-factor-1"
    assert failure.hint


@pytest.mark.parametrize(("beyond", "status"), [(0, JobStatus.JOB1_RUNNING), (1, JobStatus.FAILED)])
def test_a_stage_that_ran_past_its_deadline_is_stopped(
    store: MemoryJobStore, beyond: int, status: JobStatus
) -> None:
    """Whatever the time of day says: hardly a minute goes by."""
    ran = STAGE_DEADLINES[Stage.NORMALISER].total_seconds() + beyond
    engine = FakeEngine(looks=0, results=lambda _job, _stage: RunState("RUNNING", ran=ran))
    last = run(store, engine)[-1]
    assert last.status is status
    if status is JobStatus.FAILED:
        assert last.failure is not None
        assert "pasó de 6 horas" in last.failure.what
        assert engine.calls == 3  # asked for, looked at, cancelled


@pytest.mark.parametrize("state", ["PENDING", "QUEUED", "BLOCKED", "RUNNING"])
def test_time_that_a_stage_did_not_run_fails_no_job(store: MemoryJobStore, state: str) -> None:
    """Days in a queue; a laptop that was closed in the evening, a machine that was off."""
    states = iter([RunState(state, ran=1.0)])
    ends = RunState("TERMINATED", "SUCCESS")
    engine = FakeEngine(looks=0, results=lambda _job, _stage: next(states, ends))
    reconciler = Reconciler(store, engine, lambda _job: None)
    seen = []
    for step in range(ENDS):
        after = reconciler.step_job("ipp-1", NOW + step * dt.timedelta(days=3))
        assert after is not None
        seen.append(after.status)
        if after.status.ended:
            break
    assert seen[-1] is JobStatus.COMPLETED


@pytest.mark.parametrize("back", [SECOND, dt.timedelta(hours=2), dt.timedelta(days=400)], ids=str)
@pytest.mark.parametrize("steps", range(1, 12))
def test_a_clock_that_is_set_back_holds_up_no_job(
    store: MemoryJobStore, steps: int, back: dt.timedelta
) -> None:
    """Wherever the job then was, it ends in as many steps as it would have."""
    engine = FakeEngine()
    seen = run(store, engine, steps=steps)
    reconciler = Reconciler(store, engine, lambda _job: None)
    now = NOW + steps * SECOND - back
    for _ in range(ENDS):
        if seen[-1].status.ended:
            break
        now += SECOND
        after = reconciler.step_job("ipp-1", now)
        assert after is not None
        seen.append(after)
    assert seen[-1].status is JobStatus.COMPLETED
    assert len(seen) <= len(run(fresh(), FakeEngine())) + 1
    assert statuses(seen) == statuses(run(fresh(), FakeEngine()))


def fresh() -> MemoryJobStore:
    made = MemoryJobStore()
    made.create_job(build_job(), NOW)
    return made


def test_one_job_that_cannot_be_moved_holds_up_none_behind_it(
    store: MemoryJobStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.create_job(replace(build_job(), job_id="ipp-2", updated_at=NOW + SECOND), NOW)

    def prepare(made: Job) -> None:
        if made.job_id == "ipp-1":
            raise OSError("nobody expected this")

    engine = FakeEngine()
    waiting = Reconciler(store, engine, prepare).sweep_jobs(lambda: NOW + 2 * SECOND)
    assert [made.job_id for made in waiting] == ["ipp-1", "ipp-2"]
    assert engine.effects == [("ipp-2", Stage.NORMALISER.value)]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "job ipp-1 could not be moved"


def test_a_sweep_gives_back_what_has_not_ended_only(store: MemoryJobStore) -> None:
    store.create_job(build_job("ipp-2"), NOW)

    def results(job_id: str, _stage: str) -> RunState:
        return RunState("TERMINATED", "FAILED") if job_id == "ipp-1" else RunState("RUNNING")

    reconciler = Reconciler(store, FakeEngine(looks=0, results=results), lambda _job: None)
    moments = iter(NOW + n * SECOND for n in range(ENDS))
    waiting = reconciler.sweep_jobs(lambda: next(moments))
    assert [made.job_id for made in waiting] == ["ipp-2"]
    failed = store.get_job("ipp-1", NOW)
    assert failed is not None
    assert failed.status is JobStatus.FAILED


def test_a_sweep_without_time_left_gives_back_what_it_did_not_look_at(
    store: MemoryJobStore,
) -> None:
    store.create_job(build_job("ipp-2", created_at=NOW + SECOND), NOW)
    engine = FakeEngine()
    reconciler = Reconciler(store, engine, lambda _job: None)
    moments = iter([NOW, NOW, *(NOW + dt.timedelta(minutes=11) for _ in range(ENDS))])
    waiting = reconciler.sweep_jobs(lambda: next(moments), within=dt.timedelta(minutes=10))
    assert [made.job_id for made in waiting] == ["ipp-1", "ipp-2"]
    assert {job_id for job_id, _ in engine.effects} == {"ipp-1"}


def test_an_engine_that_cannot_be_asked_fails_nothing(store: MemoryJobStore) -> None:
    class Away(FakeEngine):
        away = True

        def run_state(self, run_id: str) -> RunState:
            if self.away:
                raise UnavailableError("Sin respuesta.")
            return super().run_state(run_id)

    engine = Away()
    assert run(store, engine, steps=20)[-1].status is JobStatus.JOB1_RUNNING
    engine.away = False
    assert run(store, engine, steps=ENDS)[-1].status is not JobStatus.FAILED


@pytest.mark.parametrize("when", [0, 1, 3, 6, 9, 12])
def test_a_job_that_is_to_be_cancelled_stops_and_leaves_nothing_running(
    when: int, store: MemoryJobStore
) -> None:
    """A stage about to be requested may have been: it is requested, by its token, to be stopped."""
    engine = FakeEngine()
    run(store, engine, steps=when)
    before = store.get_job("ipp-1", NOW)
    assert before is not None
    if before.status.ended:
        pytest.skip("it had ended by then")
    store.replace_job(before.transition(NOW, cancel_requested=True, refreshed_at=None))
    started = len(engine.effects)
    last = run(store, engine)[-1]
    assert last.status is JobStatus.CANCELLED
    later = [f"run-ipp-1-{stage}-1" for _, stage in engine.effects[started:]]
    assert len(later) <= 1
    assert set(later) <= engine.cancelled


SEEDS = 1_000


def _simulate(seed: int, *, cancel: bool) -> tuple[MemoryJobStore, FakeEngine]:
    """Two reconcilers on one job; each dies, is interrupted by the other and reads stale data."""
    random = Random(seed)
    store, engine = MemoryJobStore(), FakeEngine(looks=random.randint(0, 3))
    store.create_job(build_job(), NOW)
    moment = [NOW]

    def other() -> None:
        with suppress(CrashError):
            Reconciler(store, engine, lambda _job: None).step_job("ipp-1", moment[0])

    faults = FaultSchedule(seed, rate=random.choice([0.05, 0.2, 0.4]), meanwhile=other)
    one = Reconciler(
        FaultyStore(store, faults, stale=random),
        FaultyEngine(engine, faults),
        lambda _job: faults.maybe_fail(CrashError),
    )
    for n in range(400):
        moment[0] = NOW + n * SECOND
        if cancel and n == seed % 12:
            stored = store.get_job("ipp-1", moment[0])
            if stored is not None and not stored.status.ended:
                store.replace_job(
                    stored.transition(moment[0], cancel_requested=True, refreshed_at=None)
                )
        try:
            one.step_job("ipp-1", moment[0])
        except CrashError:
            continue
        stored = store.get_job("ipp-1", moment[0])
        if stored is not None and stored.status.ended:
            break
    return store, engine


@pytest.mark.parametrize("cancel", [False, True], ids=["left alone", "cancelled"])
def test_no_fault_loses_a_job_runs_a_stage_twice_or_turns_it_back(cancel: bool) -> None:
    ends: Counter[JobStatus] = Counter()
    for seed in range(SEEDS):
        store, engine = _simulate(seed, cancel=cancel)
        versions = store.written["ipp-1"]
        last = versions[-1]
        assert last.status.ended, f"seed {seed}: lost as {last.status}"
        assert [v.version for v in versions] == list(range(1, len(versions) + 1)), seed
        for before, after in pairwise(versions):
            assert after.status is before.status or after.status in NEXT_STATUSES[before.status], (
                seed
            )
            assert len(after.stages) >= len(before.stages), seed
        assert max(Counter(engine.effects).values()) == 1, f"seed {seed}: {engine.effects}"
        assert last.status is not JobStatus.FAILED, seed
        if last.status is JobStatus.COMPLETED:
            assert [stage for _, stage in engine.effects] == [stage.value for stage in Stage], seed
        ends[last.status] += 1
    assert ends[JobStatus.COMPLETED] > 0
    assert cancel == (ends[JobStatus.CANCELLED] > 0)


def test_between_stages_a_cancelled_job_starts_nothing_more(store: MemoryJobStore) -> None:
    engine = FakeEngine(looks=0)
    seen = run(store, engine, steps=2)
    assert seen[-1].status is JobStatus.JOB1_DONE
    store.replace_job(seen[-1].transition(NOW, cancel_requested=True))
    assert run(store, engine)[-1].status is JobStatus.CANCELLED
    assert len(engine.effects) == 1


def test_of_two_that_write_at_once_the_later_gives_back_what_the_first_wrote(
    store: MemoryJobStore,
) -> None:
    class Overtaken(FakeEngine):
        def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
            stored = store.get_job("ipp-1", NOW)
            assert stored is not None
            store.replace_job(stored.transition(NOW, cancel_requested=True))
            return super().submit_stage(stage, job_id, token, counters)

    (given,) = run(store, Overtaken(), steps=1)
    assert given == store.get_job("ipp-1", NOW)
    assert given.cancel_requested


def test_a_stage_that_its_engine_refuses_fails_the_job_with_what_it_said(
    store: MemoryJobStore,
) -> None:
    class Refusing(FakeEngine):
        def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
            raise RefusedError("El job 789 no existe.", hint="Revise DATABRICKS_JOB1_ID.")

    failed = run(store, Refusing(), steps=1)[-1]
    assert failed.status is JobStatus.FAILED
    assert failed.failure is not None
    assert failed.failure.what == "El job 789 no existe. Revise DATABRICKS_JOB1_ID."


def test_who_slept_while_another_moved_the_job_on_writes_no_specification(
    store: MemoryJobStore,
) -> None:
    """It read the job, slept, and goes on to prepare a stage that has long been submitted."""
    prepared: list[int] = []
    engine = FakeEngine()
    awake = Reconciler(store, engine, lambda job: prepared.append(job.version))
    asleep = Reconciler(store, engine, lambda _job: pytest.fail("an older specification"))
    before = store.get_job("ipp-1", NOW)
    assert before is not None
    assert before.current_stage is not None
    awake.step_job("ipp-1", NOW)
    assert prepared == [before.version]
    after = store.get_job("ipp-1", NOW)
    assert asleep._submit_stage(before, before.current_stage, NOW) == after
