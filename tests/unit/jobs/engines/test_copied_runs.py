"""The runs of a copied home are its own: nothing of the original's workers counts or is touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipp.jobs.engines.run_table import RunTable, new_worker_name
from tests.waiting import is_alive

NOW = 1_800_000_000.0

STAGE = """
import time
from ipp.jobs.engines.process_identity import own_identity
print(own_identity(), flush=True)
time.sleep(900)
"""


@contextmanager
def run_stage() -> Iterator[tuple[int, str]]:
    """Run a process that a run may name; yield its id and identity."""
    process = subprocess.Popen([sys.executable, "-c", STAGE], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip()
        process.stdout.close()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def runs(tmp_path: Path) -> RunTable:
    return RunTable(tmp_path / "runs.sqlite")


def copy_runs(runs: RunTable, path: Path, jobs: set[str], last_claim: int = 0) -> RunTable:
    runs.copy_to(path)
    RunTable(path).detach_workers(jobs, lambda _run_id: last_claim, NOW)
    assert [file.name for file in path.parent.glob("copy*")] == ["copy.sqlite"]
    return RunTable(path)


def test_a_worker_of_the_copy_takes_the_run_at_once_and_ends_no_process_of_the_original(
    runs: RunTable, tmp_path: Path
) -> None:
    run_id = runs.add_run("token", "factor", "ipp-1", NOW)
    claim = runs.claim_run(new_worker_name(), NOW)
    assert claim is not None
    with run_stage() as (pid, identity):
        assert runs.register_process(run_id, claim.number, identity)
        copy = copy_runs(runs, tmp_path / "copy.sqlite", {"ipp-1"})
        taken = copy.claim_run("another:1:ab", NOW)
        assert taken is not None
        assert taken.run_id == run_id
        assert is_alive(pid)
        assert runs.is_held(run_id, claim.number)
        copy.cancel_run(run_id, NOW)
        assert is_alive(pid)


@pytest.mark.parametrize("last_claim", [0, 1, 2, 7])
def test_the_next_claim_is_one_that_the_tables_accept(
    runs: RunTable, tmp_path: Path, last_claim: int
) -> None:
    runs.add_run("token", "publicacion", "ipp-1", NOW)
    held = runs.claim_run("another:1:ab", NOW)
    assert held is not None
    copy = copy_runs(runs, tmp_path / "copy.sqlite", {"ipp-1"}, last_claim)
    taken = copy.claim_run("another:1:cd", NOW)
    assert taken is not None
    assert taken.number > max(held.number, last_claim)


def test_open_runs_of_unknown_jobs_are_left_out_and_those_being_cancelled_end(
    runs: RunTable, tmp_path: Path
) -> None:
    cancelled = runs.add_run("one", "factor", "ipp-1", NOW)
    assert runs.claim_run("another:1:ab", NOW) is not None
    runs.cancel_run(cancelled, NOW)
    unknown = runs.add_run("two", "factor", "ipp-2", NOW)
    ended = runs.add_run("three", "factor", "ipp-3", NOW)
    runs.cancel_run(ended, NOW)
    copy = copy_runs(runs, tmp_path / "copy.sqlite", {"ipp-1"})
    state = copy.get_run(cancelled)
    assert state is not None
    assert (state.state, state.result) == ("TERMINATED", "CANCELED")
    assert copy.get_run(unknown) is None
    assert copy.get_run(ended) == runs.get_run(ended)
    assert copy.claim_run("another:1:cd", NOW) is None


def test_runs_that_were_never_stored_are_copied_as_none(runs: RunTable, tmp_path: Path) -> None:
    copy = copy_runs(runs, tmp_path / "copy.sqlite", set())
    assert copy.claim_run("another:1:ab", NOW) is None
    assert not (tmp_path / "runs.sqlite").exists()
