"""Whatever happens to the machine, every job ends once, with the rows of a quiet day."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest

from ipp.core.tables import PROCESSES, RESULTS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.e2e.chaos import EVILS, Machine, build_clock, run_machine
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="the clock is moved by a library that is compiled"
)


def play(machine: Machine, evils: list[str]) -> dict[str, list[str]]:
    """Play a round for each evil; return the jobs that broke an invariant, by invariant."""
    quiet = machine.begin()
    wait_for(machine, {quiet})
    for number, evil in enumerate(evils):
        machine.play_round(number, evil)
    machine.set_clock(0)
    for command in machine.commands:
        wait_until(command.poll, lambda status: status is not None)
    wait_for(machine, machine.jobs | {job["job_id"] for job in machine.listed()})
    return broken(machine, quiet)


def wait_for(machine: Machine, jobs: set[str]) -> None:
    """Wait until jobs have ended, whoever is asked."""
    wait_until(
        lambda: [job for job in jobs if machine.status(job)["progress"] not in {0, 100}],
        lambda left: not left,
    )


def broken(machine: Machine, quiet: str) -> dict[str, list[str]]:
    status = {job["job_id"]: job["status"] for job in machine.listed()}
    lakehouse = DeltaLakehouse(machine.home / "lakehouse")
    rows = lakehouse.scan_table(RESULTS).sort("job_id", *RESULTS.key[1:]).collect()
    by_job = {str(job): part for (job,), part in rows.partition_by("job_id", as_dict=True).items()}
    expected = by_job[quiet].drop("job_id")
    processes = lakehouse.scan_table(PROCESSES).collect()["job_id"].to_list()
    repeated = rows.filter(pl.struct(RESULTS.key).is_duplicated())["job_id"].unique().to_list()
    by_commands = len(set(status) - machine.jobs)
    return {
        "lost": sorted(machine.jobs - set(status))
        + [job for job, word in status.items() if word in {"FAILED", "CANCELLED"}],
        "twice": repeated
        + [job for job in status if processes.count(job) > 1]
        + ["more jobs than were started"] * (by_commands > len(machine.commands)),
        "stale": [
            job
            for job, word in status.items()
            if word == "COMPLETED"
            and (job not in by_job or not by_job[job].drop("job_id").equals(expected))
        ],
        "stuck": [
            job for job, word in status.items() if word not in {"COMPLETED", "FAILED", "CANCELLED"}
        ],
    }


NOTHING: dict[str, list[str]] = {"lost": [], "twice": [], "stale": [], "stuck": []}


@pytest.mark.long
def test_bad_rounds(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Play ``IPP_CHAOS_ROUNDS`` rounds, one of each kind if not set, and print what happened."""
    rounds = int(os.environ.get("IPP_CHAOS_ROUNDS", len(EVILS)))
    seed = int(os.environ.get("IPP_CHAOS_SEED", "7"))
    preload = build_clock(tmp_path)
    with run_machine(chain, tmp_path, seed=seed, longest_stop=30.0, preload=preload) as machine:
        found = play(machine, [EVILS[number % len(EVILS)] for number in range(rounds)])
        jobs = len(machine.listed())
        broken_by = ", ".join(f"{len(names)} {name}" for name, names in found.items())
        evils = ", ".join(f"{count} {evil}" for evil, count in sorted(machine.done.items()))
        with capsys.disabled():
            sys.stdout.write(f"\n{rounds} rounds, {jobs} jobs: {broken_by}\n{evils}\n")
    assert found == NOTHING
