"""The local engine with real workers: runs that are killed, stopped or raced end cleanly."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from ipp.core.parameters import Parameters
from ipp.core.tables import RESULTS
from ipp.errors import UnavailableError
from ipp.jobs.engines import run_table
from ipp.jobs.engines.engine import RunState
from ipp.jobs.engines.stage_worker import MOST_DEATHS
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import save_spec
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import run_stage
from ipp.settings import Settings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.e2e.workers import SUBMITTER, WORKER, WRITER, Place, wait_until_gone
from tests.sample_chain import write_sample
from tests.waiting import PATIENCE_SECONDS, is_alive, stop_outside_writes, wait_until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def test_a_stage_dies_with_its_worker_and_another_worker_runs_it_again(place: Place) -> None:
    run_id = place.submit()
    first = place.worker()
    pids = place.began()
    first.kill()
    wait_until_gone(pids)
    place.worker()
    assert place.began(2) != pids
    place.go()
    assert place.ended(run_id) == RunState("TERMINATED", "SUCCESS")
    assert len(place.log("ended")) == 1
    assert not place.log("overlap")
    assert place.asked("SELECT claim FROM runs") == [(2,)]


def test_a_stage_that_is_killed_is_run_again_until_it_was_killed_too_often(place: Place) -> None:
    run_id = place.submit()
    place.worker()
    for time_ in range(1, MOST_DEATHS + 1):
        pids = place.began(time_)
        os.kill(pids[0], signal.SIGKILL)
        wait_until_gone(pids)
    state = place.ended(run_id)
    assert state.result == "FAILED"
    assert state.message.startswith(
        "El proceso de la etapa terminó por la señal SIGKILL. Suele ser falta de memoria."
    )
    assert len(place.log("began")) == MOST_DEATHS


def test_a_stage_outlives_any_number_of_deaths_of_its_workers(place: Place) -> None:
    """Neither those that are killed, nor those that end in order, nor two deaths of the stage."""
    run_id = place.submit()
    began = 0
    for how in ("worker", "stage", "worker", "orderly", "worker", "stage", "orderly", "worker"):
        worker = place.worker()
        began += 1
        pids = place.began(began)
        if how == "stage":
            os.kill(pids[0], signal.SIGKILL)
            began += 1
            place.began(began)
        worker.send_signal(signal.SIGTERM if how == "orderly" else signal.SIGKILL)
        worker.wait(PATIENCE_SECONDS)
    assert began > 2 * MOST_DEATHS - 1
    assert place.asked("SELECT deaths FROM runs") == [(2,)]
    place.go()
    place.worker()
    assert place.ended(run_id).result == "SUCCESS"


def test_a_stage_without_room_waits_for_it(place: Place) -> None:
    run_id = place.submit("full")
    place.worker()
    wait_until(lambda: place.log("refused"), lambda lines: len(lines) > 2 * MOST_DEATHS)
    assert place.engine.run_state(run_id).result == ""
    place.go()
    assert place.ended(run_id).result == "SUCCESS"
    assert place.asked("SELECT deaths FROM runs") == [(0,)]


def test_a_stage_that_waited_for_room_too_often_fails_with_the_reason(place: Place) -> None:
    run_id = place.submit("full")
    place.worker(MOST_WAITS="3")
    assert place.ended(run_id).message == "el disco está lleno."
    assert len(place.log("refused")) == 3


def test_a_stage_that_is_killed_once_ends_well(place: Place) -> None:
    run_id = place.submit()
    place.worker()
    os.kill(place.began()[0], signal.SIGKILL)
    place.began(2)
    place.go()
    assert place.ended(run_id).result == "SUCCESS"
    assert len(place.log("ended")) == 1


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a thread watches, and has to wait for its turn"
)
def test_a_stage_that_lets_no_thread_run_dies_with_its_worker_too(place: Place) -> None:
    place.submit("deaf")
    worker = place.worker()
    pids = place.began()
    time.sleep(0.1)
    worker.kill()
    wait_until_gone(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_end_gives_its_run_back(
    place: Place, number: signal.Signals
) -> None:
    run_id = place.submit()
    worker = place.worker()
    pids = place.began()
    worker.send_signal(number)
    worker.wait(PATIENCE_SECONDS)
    assert not any(is_alive(pid) for pid in pids)
    assert place.engine.run_state(run_id) == RunState("PENDING")
    assert place.asked("SELECT claim FROM runs") == [(1,)]
    place.go()
    place.worker()
    assert place.ended(run_id).result == "SUCCESS"


def test_a_shutdown_that_ends_the_stage_first_is_not_its_failure(place: Place) -> None:
    run_id = place.submit()
    worker = place.worker(TOGETHER_SECONDS=str(PATIENCE_SECONDS))  # however late the worker is told
    pids = place.began()
    os.kill(pids[0], signal.SIGTERM)
    time.sleep(0.05)
    worker.terminate()
    worker.wait(PATIENCE_SECONDS)
    assert place.engine.run_state(run_id) == RunState("PENDING")


def test_a_worker_that_was_taken_for_dead_writes_nothing_and_ends_its_stage(place: Place) -> None:
    run_id = place.submit()
    first = place.worker()
    pids = place.began()
    stop_outside_writes(first.pid, place.file)
    second = place.worker()
    others = place.began(2)
    first.send_signal(signal.SIGCONT)
    wait_until_gone(pids)
    assert place.engine.run_state(run_id).state == "RUNNING"
    assert all(is_alive(pid) for pid in others)
    assert [first.poll(), second.poll()] == [None, None]
    place.go()
    assert place.ended(run_id).result == "SUCCESS"
    assert place.log("ended") == [others[:1]]


def test_a_worker_that_cannot_write_ends_its_stage_before_another_may_begin(place: Place) -> None:
    run_id = place.submit()
    worker = place.worker()
    pids = place.began()
    aside = place.file.with_suffix(".aside")
    place.file.rename(aside)
    place.file.mkdir()
    wait_until_gone(pids)
    assert worker.poll() is None
    place.file.rmdir()
    aside.rename(place.file)
    place.go()
    assert place.ended(run_id).result == "SUCCESS"
    assert len(place.log("began")) == 2
    assert not place.log("overlap")


def test_workers_that_are_killed_at_any_moment_lose_no_run_and_never_run_one_twice_at_once(
    place: Place,
) -> None:
    generator = random.Random(7)
    jobs = [f"ipp-{number}" for number in range(24)]
    submitted = [place.submit("quick", job_id) for job_id in jobs]
    workers = [place.worker() for _ in range(2)]
    for number in range(8):
        time.sleep(generator.uniform(0.1, 0.4))
        workers[number % 2].kill()
        workers[number % 2] = place.worker()
    assert {place.ended(run_id).result for run_id in submitted} == {"SUCCESS"}
    claims = dict(place.asked("SELECT job_id, claim FROM runs"))
    for job_id in jobs:
        assert not place.log("overlap", job_id)
        assert (
            1
            <= len(place.log("ended", job_id))
            <= len(place.log("began", job_id))
            <= claims[job_id]
        )


def test_two_workers_share_the_runs(place: Place) -> None:
    jobs = [f"ipp-{number}" for number in range(12)]
    submitted = [place.submit("quick", job_id) for job_id in jobs]
    for _ in range(2):
        place.worker()
    assert {place.ended(run_id).result for run_id in submitted} == {"SUCCESS"}
    assert [len(place.log("began", job_id)) for job_id in jobs] == [1] * len(jobs)
    assert place.asked("SELECT count(DISTINCT worker) FROM runs") == [(2,)]


def test_a_cancelled_run_whose_worker_died_is_ended_by_whoever_asks(place: Place) -> None:
    run_id = place.submit()
    worker = place.worker()
    place.began()
    worker.kill()
    place.engine.cancel_run(run_id)
    assert place.engine.run_state(run_id).state == "TERMINATING"
    wait_until(lambda: is_alive(worker.pid), lambda alive: not alive)
    worker.wait()
    place.engine.cancel_run(run_id)
    assert place.engine.run_state(run_id).result == "CANCELED"


@pytest.mark.parametrize("other", ["busy", "idle"])
def test_a_cancelled_run_whose_worker_died_is_ended_by_any_worker(place: Place, other: str) -> None:
    run_id = place.submit()
    first = place.worker()
    place.began()
    first.kill()
    if other == "busy":
        place.submit(job_id="ipp-2")
    place.engine.cancel_run(run_id)
    place.worker()
    assert place.ended(run_id).result == "CANCELED"
    assert len(place.log("began")) == 1


def test_a_clock_that_was_set_back_does_not_keep_a_dead_workers_run(place: Place) -> None:
    run_id = place.submit("quick")
    assert run_table.RunTable(place.file).claim_run("dead", time.time() + 3_600) is not None
    place.worker()
    assert place.ended(run_id).result == "SUCCESS"


def test_one_token_is_one_run_whoever_submits(place: Place) -> None:
    submitters = [place.start(SUBMITTER, place.file) for _ in range(4)]
    said = {
        process.communicate("\n", timeout=PATIENCE_SECONDS)[0].strip() for process in submitters
    }
    assert [process.returncode for process in submitters] == [0] * 4
    assert said == {str(run_id) for (run_id,) in place.asked("SELECT run_id FROM runs")}
    assert len(said) == 1


def test_what_was_submitted_survives_kill_9_in_the_middle_of_writes(place: Place) -> None:
    known: list[str] = []
    for number in range(6):
        writers = [place.start(WRITER, place.file, f"{number}-{writer}") for writer in range(2)]
        outputs = [process.stdout for process in writers if process.stdout is not None]
        known += [output.readline().strip() for output in outputs]
        time.sleep(0.03 * number)
        for process in writers:
            process.kill()
        known += [line.strip() for output in outputs for line in output if line.endswith("\n")]
    assert place.asked("PRAGMA integrity_check") == [("ok",)]
    assert len(known) > 12
    assert {place.engine.run_state(run_id).state for run_id in known} == {"PENDING"}


def _spoilt(place: Place) -> None:
    place.file.write_bytes(b"not a database, whatever its name says" * 200)


def _a_folder(place: Place) -> None:
    place.file.mkdir()


@pytest.mark.parametrize("spoil", [_spoilt, _a_folder])
def test_a_file_that_cannot_be_used_is_an_engine_that_cannot_be_asked(
    place: Place, spoil: Callable[[Place], None]
) -> None:
    spoil(place)
    for ask in (
        place.submit,
        lambda: place.engine.run_state("run-0"),
        lambda: place.engine.cancel_run("run-0"),
    ):
        with pytest.raises(
            UnavailableError, match=r"No se pudo leer o escribir runs\.sqlite"
        ) as error:
            ask()
        assert "si sigue, mire si el disco está lleno" in error.value.hint


def test_a_file_that_another_writes_for_too_long_is_an_engine_that_cannot_be_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = place.submit()
    monkeypatch.setattr(run_table, "_BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(place.file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError):
            place.submit(job_id="ipp-2")
        assert place.engine.run_state(run_id).state == "PENDING"
    place.submit(job_id="ipp-2")


NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
JOB = "ipp-real"


def at(home: Path) -> LocalRunner:
    settings = Settings.from_environment({"IPP_HOME": str(home)})
    return LocalRunner(
        DeltaLakehouse(settings.lakehouse), LocalFiles(settings.files), Scratch(settings.scratch)
    )


def files_of(workspace: LocalRunner) -> dict[str, str]:
    keys = [*workspace.files.list_keys("ipp-raw/"), *workspace.files.list_keys("ipp-processed/")]
    return {
        key: hashlib.sha256(workspace.files.local_path(key).read_bytes()).hexdigest()
        for key in keys
    }


def rows_of(workspace: LocalRunner) -> pl.DataFrame:
    return workspace.lakehouse.scan_table(RESULTS).sort("mostrador", "material").collect()


def test_the_real_stages_leave_what_they_leave_without_an_engine(place: Place) -> None:
    here, there = place.folder / "aquí", place.folder / "allá"
    workspace = write_sample(at(here), materials=60, days=120)
    spec = plan_job(
        None, Parameters(), LakehouseWarehouse(workspace.lakehouse), job_id=JOB, created_at=NOW
    )
    save_spec(spec, workspace.files)
    shutil.copytree(here, there)
    for stage in Stage:
        run_stage(stage, spec, workspace, lambda _mostrador: None)

    place.start(
        WORKER, place.file, sys.executable, "-m", "ipp.entrypoints.stage", IPP_HOME=str(there)
    )
    early = place.ended(place.engine.submit_stage("factor", JOB, "early"))
    assert early.message.startswith("Fallaron los 4 mostradores. El 7051602: No existe el archivo ")
    nobody = place.ended(place.engine.submit_stage("factor", "ipp-nobody", "nobody"))
    assert nobody.message.startswith("Job no encontrado: ipp-nobody.")
    unknown = place.ended(place.engine.submit_stage("otra", JOB, "unknown"))
    assert unknown.message == "No existe la etapa otra. Son normalizador, factor, publicacion."
    for name in Stage:
        assert place.ended(place.engine.submit_stage(name, JOB, name)) == RunState(
            "TERMINATED", "SUCCESS", done=4
        )

    by_worker = at(there)
    assert files_of(by_worker) == files_of(workspace)
    assert rows_of(by_worker).equals(rows_of(workspace))
    assert len(rows_of(by_worker)) == 4 * 60
