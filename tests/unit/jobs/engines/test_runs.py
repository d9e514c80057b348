"""The runs' file holds what is needed: runs that ended long ago leave it, and no other."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.jobs import job
from ipp.jobs.engines.engine import RunNotFoundError
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.process_identity import process_place
from ipp.jobs.engines.run_table import (
    RETENTION_SECONDS,
    RunTable,
    new_worker_name,
)
from tests.waiting import wait_until

DAY = 86_400.0
NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> LocalEngine:
    return LocalEngine(tmp_path / "runs.sqlite", clock)


def ended(engine: LocalEngine, token: str) -> str:
    """A run that ended as soon as it was asked for."""
    run_id = engine.submit_stage("factor", "ipp-1", token)
    engine.cancel_run(run_id)
    return run_id


def known(engine: LocalEngine, run_id: str) -> bool:
    try:
        engine.run_state(run_id)
    except RunNotFoundError:
        return False
    return True


@settings(max_examples=15)
@given(moments=st.lists(st.integers(-400, 400), min_size=1, max_size=6))
def test_asking_for_runs_takes_out_none_whatever_the_clock_does(moments: list[int]) -> None:
    with TemporaryDirectory() as folder:
        clock = Clock()
        engine = LocalEngine(Path(folder) / "runs.sqlite", clock)
        over = []
        for number, days in enumerate(moments):
            clock.now = NOW + days * DAY
            over.append(ended(engine, f"token-{number}"))
            assert all(known(engine, run_id) for run_id in over)


def test_a_run_is_kept_as_long_as_its_job() -> None:
    assert job.RETENTION.total_seconds() == RETENTION_SECONDS == 7 * DAY


def test_a_run_that_has_not_ended_stays_however_old(
    tmp_path: Path, engine: LocalEngine, clock: Clock
) -> None:
    waiting, running = (engine.submit_stage("factor", f"ipp-{n}", f"token-{n}") for n in range(2))
    claim = RunTable(tmp_path / "runs.sqlite").claim_run("worker", clock.now)
    assert claim is not None
    clock.now += 100 * DAY
    engine.submit_stage("factor", "ipp-3", "new")
    assert {known(engine, waiting), known(engine, running)} == {True}


def test_a_run_that_took_long_counts_from_its_end(
    tmp_path: Path, engine: LocalEngine, clock: Clock
) -> None:
    run_id = engine.submit_stage("factor", "ipp-1", "long")
    runs = RunTable(tmp_path / "runs.sqlite")
    claim = runs.claim_run("worker", clock.now)
    assert claim is not None
    clock.now += 10 * DAY
    runs.end_run(claim, succeeded=True, message="", done=1, now=clock.now)
    engine.submit_stage("factor", "ipp-2", "next")
    assert engine.run_state(run_id).result == "SUCCESS"


def test_asking_again_by_an_old_token_gives_the_same_run_and_not_another(
    engine: LocalEngine, clock: Clock
) -> None:
    run_id = ended(engine, "old")
    clock.now += 30 * DAY
    assert engine.submit_stage("factor", "ipp-1", "old") == run_id
    assert engine.run_state(run_id).result == "CANCELED"


@settings(max_examples=30)
@given(moments=st.lists(st.integers(-(10**8), 10**8), min_size=1, max_size=8))
def test_runs_are_taken_in_the_order_of_asking_whatever_the_clock_does(moments: list[int]) -> None:
    with TemporaryDirectory() as folder:
        path, clock = Path(folder) / "runs.sqlite", Clock()
        engine, runs = LocalEngine(path, clock), RunTable(path)
        asked = []
        for number, moment in enumerate(moments):
            clock.now = NOW + moment
            asked.append(engine.submit_stage("factor", "ipp-1", f"token-{number}"))
        taken = []
        while claim := runs.claim_run("elsewhere:1:a", clock.now):
            taken.append(claim.run_id)
        assert taken == asked


def test_a_run_tells_for_how_long_its_last_worker_has_been_running_it(
    tmp_path: Path, engine: LocalEngine
) -> None:
    runs = RunTable(tmp_path / "runs.sqlite")
    run_id = engine.submit_stage("factor", "ipp-1", "token")
    assert engine.run_state(run_id).ran == 0
    first = runs.claim_run("elsewhere:1:a", NOW)
    assert first is not None
    runs.record_heartbeat(
        first, 1, NOW + 9 * DAY, ran=5.0
    )  # the clock was set, or the machine slept
    assert engine.run_state(run_id).ran == 5.0
    impatient = RunTable(tmp_path / "runs.sqlite", silence=-1.0)  # takes everyone for dead
    second = impatient.claim_run("elsewhere:2:b", NOW + 10 * DAY)
    assert second is not None
    assert engine.run_state(run_id).ran == 0
    runs.record_heartbeat(second, 1, NOW + 10 * DAY, ran=3.0)
    assert runs.record_heartbeat(first, 1, NOW + 10 * DAY, ran=99.0) is None
    assert engine.run_state(run_id).ran == 3.0
    runs.release_run(second, NOW + 11 * DAY)
    assert engine.run_state(run_id).ran == 0


def test_a_file_of_an_earlier_release_goes_on(tmp_path: Path, engine: LocalEngine) -> None:
    """Its table lacks the column that says for how long a run has been running."""
    run_id = engine.submit_stage("factor", "ipp-1", "token")
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as db, db:
        db.execute("ALTER TABLE runs DROP COLUMN ran")
    again = LocalEngine(tmp_path / "runs.sqlite")
    assert again.submit_stage("factor", "ipp-1", "token") == run_id
    assert again.run_state(run_id).state == "PENDING"


HERE = process_place()


@pytest.mark.parametrize(
    "worker",
    [
        "otro:{dead}:abc", "{here}:{alive}:abc", "{here}:1:abc", "{here}:abc", "{here}:no:abc",
        "{here}:{dead}", "{here}0:{dead}:abc", "otro:x:{here}:0:{dead}:y", "{here}::abc", "worker",
        ":::", "",
    ],
)  # fmt: skip
def test_a_worker_that_may_live_keeps_its_run_until_it_has_been_silent(
    tmp_path: Path, engine: LocalEngine, ended_process: int, worker: str
) -> None:
    """Two containers may share a folder, and their name: another's process ids say nothing here."""
    engine.submit_stage("factor", "ipp-1", "token")
    runs, began = RunTable(tmp_path / "runs.sqlite", silence=0.05), time.monotonic()
    name = worker.format(here=HERE, alive=os.getpid(), dead=ended_process)
    assert runs.claim_run(name, NOW) is not None
    assert runs.claim_run("elsewhere:1:b", NOW) is None
    wait_until(lambda: runs.claim_run("elsewhere:1:b", NOW + time.monotonic() - began), bool)


def test_a_worker_of_this_machine_without_a_process_keeps_nothing(
    tmp_path: Path, engine: LocalEngine, ended_process: int
) -> None:
    runs = RunTable(tmp_path / "runs.sqlite")
    name = new_worker_name()
    dead = name.replace(f":{os.getpid()}:", f":{ended_process}:")
    for number, (worker, taken) in enumerate([(name, False), (dead, True)]):
        engine.submit_stage("factor", f"ipp-{number}", f"token-{number}")
        assert runs.claim_run(worker, NOW) is not None
        assert (runs.claim_run("elsewhere:1:b", NOW) is not None) == taken


def test_a_worker_that_finds_nothing_to_do_waits_for_no_writer(
    tmp_path: Path, engine: LocalEngine
) -> None:
    engine.submit_stage("factor", "ipp-1", "token")
    runs = RunTable(tmp_path / "runs.sqlite")
    assert runs.claim_run("elsewhere:1:a", NOW) is not None
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert runs.claim_run("elsewhere:1:b", NOW) is None
