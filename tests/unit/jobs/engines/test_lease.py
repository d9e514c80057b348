"""A worker's hold on its run: what ends it, and that a file that is away for a moment does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ipp.jobs.engines import run_lease
from ipp.jobs.engines.engine import RunState
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.run_lease import LeaseState, RunLease
from ipp.jobs.engines.run_table import RunTable

NOW = 1_800_000_000.0
SILENCE_SECONDS = 10.0


class Clock:
    """Seconds that pass when told to."""

    now = 5_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The monotonic clock of what holds a run; nothing sleeps."""
    clock = Clock()
    fake = SimpleNamespace(monotonic=clock, sleep=lambda _seconds: None)
    monkeypatch.setattr(run_lease, "time", fake)
    return clock


class Held:
    """A run and its holder, over a file that can be taken away and put back."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "runs.sqlite"
        self.engine = LocalEngine(self.path, lambda: NOW)
        self.run_id = self.engine.submit_stage("factor", "ipp-1", "token")
        self.runs = RunTable(self.path)
        claim = self.runs.claim_run("elsewhere:1:a", NOW)
        assert claim is not None
        self.lease = RunLease(self.runs, claim, clock=lambda: NOW, silence=SILENCE_SECONDS)

    @property
    def state(self) -> RunState:
        return self.engine.run_state(self.run_id)

    def take_away(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))
        self.path.mkdir()

    def put_back(self) -> None:
        self.path.rmdir()
        self.path.with_suffix(".away").rename(self.path)


@pytest.fixture
def held(clock: Clock, tmp_path: Path) -> Held:
    return Held(tmp_path)


def test_a_holder_that_cannot_write_gives_up_when_another_may_have_taken_over(
    held: Held, clock: Clock
) -> None:
    clock.now += 100.0
    assert held.lease.record_heartbeat(1) is LeaseState.HELD
    held.take_away()
    clock.now += SILENCE_SECONDS
    assert held.lease.record_heartbeat(2) is LeaseState.HELD
    clock.now += 0.01
    assert held.lease.record_heartbeat(2) is LeaseState.LOST


def test_a_holder_that_writes_again_in_time_holds_on(held: Held, clock: Clock) -> None:
    for _ in range(3):
        held.take_away()
        clock.now += SILENCE_SECONDS - 1.0
        assert held.lease.record_heartbeat(1) is LeaseState.HELD
        held.put_back()
        assert held.lease.record_heartbeat(2) is LeaseState.HELD
    assert (held.state.done, held.state.ran) == (2, 3 * (SILENCE_SECONDS - 1.0))


def test_a_holder_sees_at_its_next_heartbeat_that_its_run_is_cancelled_or_anothers(
    held: Held, clock: Clock
) -> None:
    held.engine.cancel_run(held.run_id)
    assert held.lease.record_heartbeat(1) is LeaseState.CANCELLED
    held.lease.release()
    assert held.state.result == "CANCELED"
    assert held.lease.record_heartbeat(2) is LeaseState.LOST
    assert held.state.done == 1


def test_an_end_that_cannot_be_written_is_left_to_whoever_takes_over(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    held.take_away()
    held.lease.end(succeeded=True, done=2)
    held.lease.release()
    held.put_back()
    assert held.state.state == "RUNNING"
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    held.lease.end(succeeded=True, done=2)
    assert held.state == RunState("TERMINATED", "SUCCESS", done=2)
