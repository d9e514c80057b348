"""A command that computes its own runs: how each way of ending one is stored and told."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from ipp.jobs.engines import in_process_worker
from ipp.jobs.engines.engine import RunState
from ipp.jobs.engines.in_process_worker import InProcessWorker
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.run_table import RunClaim
from tests.waiting import PATIENCE_SECONDS, wait_until

Report = Callable[[int], None]


@dataclass
class Place:
    """A file of runs with one run in it."""

    path: Path

    def __post_init__(self) -> None:
        self.engine = LocalEngine(self.path)
        self.run_id = self.engine.submit_stage("factor", "ipp-1", "token")

    @property
    def state(self) -> RunState:
        return self.engine.run_state(self.run_id)

    def compute(self, stage: Callable[[RunClaim, Report], None]) -> bool:
        return InProcessWorker(self.path, stage, lambda error: f"¡{error}!").run_once("ipp-1")

    def lose(self) -> None:
        """Let another worker have claimed the run."""
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("UPDATE runs SET claim = claim + 1, worker = 'otro:1:b'")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(in_process_worker, "_BEAT_SECONDS", 0.02)
    return Place(tmp_path / "runs.sqlite")


def sleep_until_interrupted(_claim: RunClaim, _report: Report) -> None:
    time.sleep(PATIENCE_SECONDS)


def test_a_run_that_ends_well_is_a_success_with_what_it_counted(place: Place) -> None:
    def stage(claim: RunClaim, report: Report) -> None:
        assert (claim.stage, claim.job_id, claim.run_id) == ("factor", "ipp-1", place.run_id)
        report(3)
        wait_until(lambda: place.state.done, lambda done: done == 3)
        report(4)

    handler = signal.getsignal(signal.SIGUSR1)
    assert place.compute(stage) is True
    assert place.state == RunState("TERMINATED", "SUCCESS", done=4)
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert not place.compute(stage), "none waits"


def test_another_jobs_run_is_left_alone(place: Place) -> None:
    worker = InProcessWorker(place.path, sleep_until_interrupted, str)
    assert not worker.run_once("ipp-2")
    assert place.state == RunState("PENDING")


def test_an_error_ends_the_run_as_failed_and_is_raised(place: Place) -> None:
    def stage(_claim: RunClaim, report: Report) -> None:
        report(1)
        raise ValueError("sin precio")

    with pytest.raises(ValueError, match="sin precio"):
        place.compute(stage)
    assert place.state == RunState("TERMINATED", "FAILED", "¡sin precio!", done=1)


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_gives_the_run_back(place: Place, ends: type[BaseException]) -> None:
    def stage(_claim: RunClaim, _report: Report) -> None:
        raise ends

    with pytest.raises(ends):
        place.compute(stage)
    assert (place.state.state, place.state.message) == ("PENDING", "")


def test_a_run_that_is_cancelled_is_interrupted_and_nothing_is_raised(place: Place) -> None:
    def stage(claim: RunClaim, report: Report) -> None:
        report(2)
        place.engine.cancel_run(claim.run_id)
        sleep_until_interrupted(claim, report)

    assert not place.compute(stage)
    assert (place.state.result, place.state.done) == ("CANCELED", 2)


def test_a_run_that_another_has_taken_is_interrupted_and_left_to_it(place: Place) -> None:
    def stage(claim: RunClaim, report: Report) -> None:
        place.lose()
        sleep_until_interrupted(claim, report)

    assert not place.compute(stage)
    assert place.state.state == "RUNNING"


@pytest.mark.parametrize("loses", [True, False])
def test_a_stage_that_swallows_the_interruption_ends_at_its_next_report(
    place: Place, loses: bool
) -> None:
    """What a signal raises inside a library's callback is lost there."""

    def stage(claim: RunClaim, report: Report) -> None:
        if loses:
            place.lose()
        else:
            place.engine.cancel_run(claim.run_id)
        with pytest.raises(KeyboardInterrupt):
            sleep_until_interrupted(claim, report)
        report(7)
        raise AssertionError("it went on")

    assert not place.compute(stage)
    assert place.state.done == 0
    assert place.state.result == ("" if loses else "CANCELED")
