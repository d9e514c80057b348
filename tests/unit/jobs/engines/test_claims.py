"""Whose a run is: who may change it, and how it ends when its worker is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipp.jobs.engines.engine import RunState
from ipp.jobs.engines.run_table import RunClaim, RunTable, new_worker_name

NOW = 1_800_000_000.0
CANCELLED = "La ejecución se canceló."

Write = Callable[[RunTable, RunClaim, float], object]

WRITES: dict[str, Write] = {
    "success": lambda runs, claim, now: runs.end_run(
        claim, succeeded=True, message="", done=9, now=now
    ),
    "failure": lambda runs, claim, now: runs.end_run(
        claim, succeeded=False, message="Sin precio.", done=9, now=now
    ),
    "release": lambda runs, claim, now: runs.release_run(claim, now),
    "heartbeat": lambda runs, claim, now: runs.record_heartbeat(claim, 9, now, ran=9.0),
}
"""What the worker that holds a run may write about it."""


@pytest.fixture
def runs(tmp_path: Path) -> RunTable:
    return RunTable(tmp_path / "runs.sqlite")


def add(runs: RunTable, number: int = 1) -> str:
    return runs.add_run(f"token-{number}", "factor", f"ipp-{number}", NOW)


def claim(runs: RunTable, *, worker: str = "otro:1:a") -> RunClaim:
    made = runs.claim_run(worker, NOW)
    assert made is not None
    return made


@pytest.fixture
def dead(ended_process: int) -> str:
    """The name of a worker of this machine whose process has ended."""
    return new_worker_name().replace(f":{os.getpid()}:", f":{ended_process}:")


def state_of(runs: RunTable, run_id: str) -> RunState:
    state = runs.get_run(run_id)
    assert state is not None
    return state


def test_a_worker_may_ask_for_the_runs_of_one_job(runs: RunTable) -> None:
    ids = [add(runs, number) for number in (1, 2)]
    taken = runs.claim_run("otro:1:a", NOW, "ipp-2")
    assert taken is not None
    assert (taken.run_id, taken.job_id, taken.stage) == (ids[1], "ipp-2", "factor")
    assert runs.claim_run("otro:1:b", NOW, "ipp-2") is None
    assert claim(runs).run_id == ids[0]


def test_a_run_that_is_taken_again_counts_from_the_start(runs: RunTable) -> None:
    run_id = add(runs)
    first = claim(runs)
    assert runs.record_heartbeat(first, 5, NOW, ran=7.0) == "RUNNING"
    assert (state_of(runs, run_id).done, state_of(runs, run_id).ran) == (5, 7.0)
    runs.release_run(first, NOW)
    assert state_of(runs, run_id).state == "PENDING"
    second = claim(runs)
    assert second.number > first.number
    assert (state_of(runs, run_id).done, state_of(runs, run_id).ran) == (0, 0.0)


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_worker_that_was_taken_for_dead_changes_nothing(
    runs: RunTable, dead: str, write: Write, cancelled: bool
) -> None:
    run_id = add(runs)
    first, second = claim(runs, worker=dead), claim(runs, worker="otro:2:b")
    if cancelled:
        runs.cancel_run(run_id, NOW)
    before = state_of(runs, run_id)
    assert before.state == ("TERMINATING" if cancelled else "RUNNING")
    assert write(runs, first, NOW) is None
    assert state_of(runs, run_id) == before
    runs.end_run(second, succeeded=True, message="", done=2, now=NOW)
    assert state_of(runs, run_id) == RunState("TERMINATED", "SUCCESS", done=2)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("end", ["success", "failure"])
def test_a_run_that_has_ended_stays_as_it_ended(runs: RunTable, end: str, write: Write) -> None:
    run_id, held = add(runs), claim(runs)
    WRITES[end](runs, held, NOW)
    before = state_of(runs, run_id)
    expected = ("SUCCESS", "") if end == "success" else ("FAILED", "Sin precio.")
    assert (before.state, before.result, before.message) == ("TERMINATED", *expected)
    runs.end_run(held, succeeded=end != "success", message="otra", done=3, now=NOW)
    assert write(runs, held, NOW) is None
    runs.cancel_run(run_id, NOW)
    assert state_of(runs, run_id) == before
    assert runs.claim_run("otro:1:b", NOW) is None


@pytest.mark.parametrize(
    ("end", "result", "message"),
    [("success", "SUCCESS", ""), ("failure", "CANCELED", CANCELLED),
     ("release", "CANCELED", CANCELLED)],
)  # fmt: skip
def test_a_run_that_was_to_be_cancelled_ends_so_unless_it_had_succeeded(
    runs: RunTable, end: str, result: str, message: str
) -> None:
    run_id, held = add(runs), claim(runs)
    runs.cancel_run(run_id, NOW)
    assert runs.record_heartbeat(held, 1, NOW, ran=1.0) == "TERMINATING"
    WRITES[end](runs, held, NOW)
    ended = state_of(runs, run_id)
    assert (ended.state, ended.result, ended.message) == ("TERMINATED", result, message)


def test_a_message_of_a_success_is_left_out(runs: RunTable) -> None:
    run_id, held = add(runs), claim(runs)
    runs.end_run(held, succeeded=True, message="un aviso", done=1, now=NOW)
    assert state_of(runs, run_id).message == ""


PASSERS: dict[str, Callable[[RunTable, RunClaim], object]] = {
    "cancels": lambda runs, _other: runs.cancel_run("another", NOW),
    "claims": lambda runs, _other: runs.claim_run("otro:3:c", NOW, "ipp-1"),
    "beats": lambda runs, other: runs.record_heartbeat(other, 1, NOW, ran=1.0),
}
"""What somebody else does to the same file."""


@pytest.mark.parametrize("passes", PASSERS.values(), ids=PASSERS)
def test_a_cancelled_run_without_a_worker_is_ended_by_whoever_passes(
    runs: RunTable, passes: Callable[[RunTable, RunClaim], object]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE
    ) as worker:
        run_id = add(runs)
        name = new_worker_name().replace(f":{os.getpid()}:", f":{worker.pid}:")
        held = claim(runs, worker=name)
        add(runs, 2)
        other = claim(runs, worker="otro:2:b")
        runs.cancel_run(run_id, NOW)
        passes(runs, other)
        assert state_of(runs, run_id).state == "TERMINATING", "its worker is to stop it"
        worker.kill()
    passes(runs, other)
    assert state_of(runs, run_id) == RunState("TERMINATED", "CANCELED", CANCELLED)
    assert runs.record_heartbeat(held, 5, NOW, ran=5.0) is None
    runs.end_run(held, succeeded=True, message="", done=5, now=NOW)
    assert state_of(runs, run_id) == RunState("TERMINATED", "CANCELED", CANCELLED)


def test_a_silent_worker_may_still_end_its_own_run(runs: RunTable) -> None:
    """Its machine slept: nobody else passed meanwhile."""
    run_id, held = add(runs), claim(runs)
    runs.cancel_run(run_id, NOW)
    assert runs.record_heartbeat(held, 4, NOW + 3_600, ran=4.0) == "TERMINATING"
    runs.release_run(held, NOW + 3_600)
    assert state_of(runs, run_id).result == "CANCELED"
