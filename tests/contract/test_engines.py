"""What every engine promises, run on each of them."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ipp.cloud.databricks.client import DatabricksClient
from ipp.jobs.engines.databricks_engine import DatabricksEngine
from ipp.jobs.engines.engine import Engine, RunNotFoundError, RunOutcome, RunState
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.stage_worker import StageWorker
from tests.cloud.workspace import JobDefinition, run_workspace
from tests.waiting import is_alive, wait_until

STAGE = "factor"

SCRIPT = """
import json, os, subprocess, sys, time
from pathlib import Path

folder, stage, job_id, *_ = Path(sys.argv[1]), *sys.argv[2:]

def say(done):
    print(json.dumps({"etapa": stage, "mostrador": 7051602, "hechos": done, "total": 9}),\
 file=sys.stderr, flush=True)

with (folder / "effects.txt").open("a") as effects:
    effects.write(f"{stage} {job_id}\\n")
if job_id == "ipp-ok":
    say(0), say(1), say(2)
if job_id == "ipp-wrong":
    say(1)
    sys.stderr.write("algo de una biblioteca\\nError: Falta el precio de 12.\\n  → Impórtelo.\\n")
    sys.exit(2)
if job_id == "ipp-mute":
    sys.exit(3)
if job_id == "ipp-broken":
    raise ValueError("nobody expected this")
if job_id == "ipp-long":
    say(5)
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(900)"])
    (folder / "pids.part").write_text(f"{os.getpid()} {child.pid}")
    (folder / "pids.part").rename(folder / "pids.txt")
    time.sleep(900)
if job_id == "ipp-obedient":
    (folder / "half.txt").touch()
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (folder / "pids.txt").write_text("")
    try:
        time.sleep(900)
    finally:
        (folder / "half.txt").unlink()
"""
"""A stage that does as the job's name says."""


@dataclass(frozen=True)
class Place:
    """Return an engine and how to run what was submitted; stages leave traces in ``folder``."""

    engine: Engine
    working: Callable[[], None]
    folder: Path

    def submit(self, job_id: str, token: str = "token-1") -> str:  # no secret
        return self.engine.submit_stage(STAGE, job_id, token)

    def ran(self, job_id: str) -> RunState:
        run_id = self.submit(job_id)
        self.working()
        return self.ended(run_id)

    def ended(self, run_id: str) -> RunState:
        return wait_until(
            lambda: self.engine.run_state(run_id), lambda state: state.state == "TERMINATED"
        )

    def pids(self) -> list[int]:
        file = self.folder / "pids.txt"
        wait_until(file.exists, bool)
        return [int(pid) for pid in file.read_text().split()]

    def effects(self) -> list[str]:
        file = self.folder / "effects.txt"
        return file.read_text().splitlines() if file.exists() else []


@contextmanager
def local(folder: Path) -> Iterator[Place]:
    (folder / "stage.py").write_text(SCRIPT)
    command = (sys.executable, "-I", "-S", str(folder / "stage.py"), str(folder))
    worker = StageWorker(folder / "runs.sqlite", command, beat=0.02, poll=0.02)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_until, args=(stop,))
    try:
        yield Place(LocalEngine(folder / "runs.sqlite"), thread.start, folder)
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()


@contextmanager
def databricks(folder: Path) -> Iterator[Place]:
    (folder / "stage.py").write_text(SCRIPT)
    command = (sys.executable, "-I", "-S", str(folder / "stage.py"), str(folder), STAGE, "{job_id}")
    jobs = [JobDefinition(id=number, name="stage", command=command) for number in (789, 790, 791)]
    with run_workspace(folder / "workspace", jobs) as made:
        made.hold()
        client = DatabricksClient(made.settings)
        try:
            yield Place(DatabricksEngine(client, made.settings), lambda: made.hold(False), folder)
        finally:
            client.close()


ENGINES = {"local": local, "databricks": databricks}


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ENGINES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """The engine of one machine, for its own promises: a run's progress, its words in Spanish."""
    with local(tmp_path) as made:
        yield made


def test_the_same_token_gives_the_same_run_and_one_effect(place: Place) -> None:
    run_id = place.submit("ipp-ok")
    assert place.submit("ipp-ok") == run_id
    place.working()
    place.ended(run_id)
    assert place.submit("ipp-ok") == run_id
    assert place.engine.run_state(run_id).state == "TERMINATED"
    place.ended(place.submit("ipp-ok", "token-2"))
    assert place.effects() == [f"{STAGE} ipp-ok"] * 2


def test_another_token_gives_another_run(place: Place) -> None:
    assert place.submit("ipp-ok", "token-1") != place.submit("ipp-ok", "token-2")


def test_a_run_waits_runs_and_ends(place: Place) -> None:
    run_id = place.submit("ipp-long")
    waiting = place.engine.run_state(run_id)
    assert (waiting.state, waiting.result, waiting.outcome) == ("PENDING", "", RunOutcome.RUNNING)
    place.working()
    running = wait_until(
        lambda: place.engine.run_state(run_id), lambda state: state.state != "PENDING"
    )
    assert (running.state, running.result, running.outcome) == ("RUNNING", "", RunOutcome.RUNNING)
    place.engine.cancel_run(run_id)
    assert place.ended(run_id).outcome is RunOutcome.FAILED


def test_a_run_counts_the_time_that_it_runs_and_not_that_it_waits(place: Place) -> None:
    run_id = place.submit("ipp-long")
    time.sleep(1.0)
    assert place.engine.run_state(run_id).ran == 0
    released = time.monotonic()
    place.working()
    running = wait_until(lambda: place.engine.run_state(run_id), lambda state: state.ran > 0.1)
    assert running.state == "RUNNING"
    assert running.ran <= time.monotonic() - released + 0.01  # told in whole milliseconds
    place.engine.cancel_run(run_id)


def test_a_run_that_waits_has_said_nothing_yet(here: Place) -> None:
    assert here.engine.run_state(here.submit("ipp-ok")) == RunState("PENDING")


def test_a_stage_that_ends_well_is_a_success(place: Place) -> None:
    state = place.ran("ipp-ok")
    assert (state.result, state.message) == ("SUCCESS", "")
    assert state.outcome is RunOutcome.DONE


def test_a_stage_that_ends_well_says_how_many_it_did(here: Place) -> None:
    assert here.ran("ipp-ok") == RunState("TERMINATED", "SUCCESS", done=2)


def test_every_run_that_was_asked_for_runs_once(place: Place) -> None:
    runs = [place.submit(f"ipp-{number}", f"token-{number}") for number in range(4)]
    place.working()
    for run_id in runs:
        place.ended(run_id)
    assert sorted(place.effects()) == [f"{STAGE} ipp-{number}" for number in range(4)]


def test_runs_are_taken_in_the_order_of_asking(here: Place) -> None:
    runs = [here.submit(f"ipp-{number}", f"token-{number}") for number in range(4)]
    here.working()
    for run_id in runs:
        here.ended(run_id)
    assert here.effects() == [f"{STAGE} ipp-{number}" for number in range(4)]


def test_a_failure_carries_the_error_that_the_stage_wrote(place: Place) -> None:
    state = place.ran("ipp-wrong")
    assert (state.result, state.outcome) == ("FAILED", RunOutcome.FAILED)
    assert re.search(r"Falta el precio de 12\. (→ )?Impórtelo\.$", state.message)
    assert "algo de una biblioteca" not in state.message
    assert place.effects() == [f"{STAGE} ipp-wrong"], "bad data do not get better by trying again"


def test_a_failure_is_told_in_the_stages_own_words_and_says_how_many_it_did(here: Place) -> None:
    state = here.ran("ipp-wrong")
    assert (state.message, state.done) == ("Falta el precio de 12. Impórtelo.", 1)


def test_a_failure_without_an_error_tells_its_last_lines(place: Place) -> None:
    assert place.ran("ipp-broken").message.endswith("ValueError: nobody expected this")


def test_a_failure_without_an_error_tells_its_status_first(here: Place) -> None:
    assert here.ran("ipp-broken").message.startswith("El proceso de la etapa terminó con 1.")


def test_a_failure_without_a_word_tells_its_status(place: Place) -> None:
    state = place.ran("ipp-mute")
    assert state.result == "FAILED"
    assert re.search(r"\b3\b", state.message)


def test_a_failure_without_a_word_says_so(here: Place) -> None:
    assert here.ran("ipp-mute").message == "El proceso de la etapa terminó con 3. No dijo nada."


def test_progress_is_seen_while_it_runs(here: Place) -> None:
    run_id = here.submit("ipp-long")
    here.working()
    assert wait_until(
        lambda: here.engine.run_state(run_id), lambda state: state.done > 0
    ) == RunState("RUNNING", done=5)


def test_a_run_that_waits_is_cancelled_and_never_starts(place: Place) -> None:
    run_id = place.submit("ipp-ok")
    place.engine.cancel_run(run_id)
    state = place.engine.run_state(run_id)
    assert (state.state, state.result, state.outcome) == (
        "TERMINATED",
        "CANCELED",
        RunOutcome.FAILED,
    )
    assert state.message
    place.working()
    place.ended(place.submit("ipp-after", "token-2"))
    assert place.effects() == [f"{STAGE} ipp-after"]
    assert place.submit("ipp-ok") == run_id
    assert place.engine.run_state(run_id) == state


def test_a_run_that_was_cancelled_says_so(here: Place) -> None:
    run_id = here.submit("ipp-ok")
    here.engine.cancel_run(run_id)
    assert here.engine.run_state(run_id).message == "La ejecución se canceló."


def test_cancelling_ends_the_stage_and_what_it_started(place: Place) -> None:
    run_id = place.submit("ipp-long")
    place.working()
    pids = place.pids()
    assert len(pids) == 2
    assert all(is_alive(pid) for pid in pids)
    place.engine.cancel_run(run_id)
    place.engine.cancel_run(run_id)
    assert place.engine.run_state(run_id).state in {"TERMINATING", "TERMINATED"}
    assert place.ended(run_id).result == "CANCELED"
    assert not any(is_alive(pid) for pid in pids)


def test_a_cancelled_stage_may_put_things_in_order(place: Place) -> None:
    run_id = place.submit("ipp-obedient")
    place.working()
    place.pids()
    place.engine.cancel_run(run_id)
    assert place.ended(run_id).result == "CANCELED"
    assert not (place.folder / "half.txt").exists()


@pytest.mark.parametrize("job_id", ["ipp-ok", "ipp-mute"])
def test_cancelling_what_has_ended_changes_nothing(place: Place, job_id: str) -> None:
    state = place.ran(job_id)
    run_id = place.submit(job_id)
    place.engine.cancel_run(run_id)
    assert place.engine.run_state(run_id) == state


def test_a_run_that_nobody_knows_is_not_found(place: Place) -> None:
    place.submit("ipp-ok")
    with pytest.raises(RunNotFoundError, match="No existe la ejecución run-0") as error:
        place.engine.run_state("run-0")
    assert error.value.hint == "Empiece el proceso otra vez."


def test_cancelling_a_run_that_nobody_knows_is_nothing(place: Place) -> None:
    place.engine.cancel_run("run-0")
