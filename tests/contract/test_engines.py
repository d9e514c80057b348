"""What every engine promises, run on each of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from ipp.engines.base import Engine, Outcome, RunNotFoundError, RunState
from ipp.engines.local import LocalEngine
from ipp.engines.worker import Worker

STAGE = "factor"

SCRIPT = """
import json, os, subprocess, sys, time
from pathlib import Path

folder, stage, job_id = Path(sys.argv[1]), *sys.argv[2:]

def say(done):
    print(json.dumps({"etapa": stage, "mostrador": 7051602, "hechos": done, "total": 9}), file=sys.stderr, flush=True)

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
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"])
    (folder / "pids.part").write_text(f"{os.getpid()} {child.pid}")
    (folder / "pids.part").rename(folder / "pids.txt")
    time.sleep(60)
if job_id == "ipp-obedient":
    (folder / "half.txt").touch()
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (folder / "pids.txt").write_text("")
    try:
        time.sleep(60)
    finally:
        (folder / "half.txt").unlink()
"""
"""A stage that does as the job's name says."""


@dataclass(frozen=True)
class Place:
    """An engine, and how to have it run what was submitted; ``folder`` is where its stages leave traces."""

    engine: Engine
    working: Callable[[], None]
    folder: Path

    def submit(self, job_id: str, token: str = "token-1") -> str:  # no secret
        return self.engine.submit(STAGE, job_id, token)

    def ran(self, job_id: str) -> RunState:
        run_id = self.submit(job_id)
        self.working()
        return self.ended(run_id)

    def ended(self, run_id: str) -> RunState:
        return until(lambda: self.engine.state(run_id), lambda state: state.state == "TERMINATED")

    def pids(self) -> list[int]:
        file = self.folder / "pids.txt"
        until(file.exists, bool)
        return [int(pid) for pid in file.read_text().split()]

    def effects(self) -> list[str]:
        file = self.folder / "effects.txt"
        return file.read_text().splitlines() if file.exists() else []


Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], enough: Callable[[Seen], bool], seconds: float = 15.0) -> Seen:
    give_up = time.monotonic() + seconds
    while not enough(seen := look()):
        assert time.monotonic() < give_up, f"still {seen} after {seconds} s"
        time.sleep(0.01)
    return seen


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def local(folder: Path) -> Iterator[Place]:
    (folder / "stage.py").write_text(SCRIPT)
    command = (sys.executable, "-I", "-S", str(folder / "stage.py"), str(folder))
    worker = Worker(folder / "runs.sqlite", command, beat=0.02, poll=0.02)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_until, args=(stop,))
    try:
        yield Place(LocalEngine(folder / "runs.sqlite"), thread.start, folder)
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()


ENGINES = {"local": local}


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ENGINES[request.param](tmp_path) as made:
        yield made


def test_the_same_token_gives_the_same_run_and_one_effect(place: Place) -> None:
    run_id = place.submit("ipp-ok")
    assert place.submit("ipp-ok") == run_id
    place.working()
    place.ended(run_id)
    assert place.submit("ipp-ok") == run_id
    assert place.engine.state(run_id).state == "TERMINATED"
    place.ended(place.submit("ipp-ok", "token-2"))
    assert place.effects() == [f"{STAGE} ipp-ok"] * 2


def test_another_token_gives_another_run(place: Place) -> None:
    assert place.submit("ipp-ok", "token-1") != place.submit("ipp-ok", "token-2")


def test_a_run_waits_runs_and_ends(place: Place) -> None:
    run_id = place.submit("ipp-long")
    assert place.engine.state(run_id) == RunState("PENDING")
    place.working()
    running = until(lambda: place.engine.state(run_id), lambda state: state.state != "PENDING")
    assert (running.state, running.result, running.outcome) == ("RUNNING", "", Outcome.RUNNING)
    place.engine.cancel(run_id)
    assert place.ended(run_id).outcome is Outcome.FAILED


def test_a_stage_that_ends_well_is_a_success_and_says_how_many_it_did(place: Place) -> None:
    state = place.ran("ipp-ok")
    assert (state.result, state.message, state.done) == ("SUCCESS", "", 2)
    assert state.outcome is Outcome.DONE


def test_runs_are_taken_in_the_order_of_asking(place: Place) -> None:
    runs = [place.submit(f"ipp-{number}", f"token-{number}") for number in range(4)]
    place.working()
    for run_id in runs:
        place.ended(run_id)
    assert place.effects() == [f"{STAGE} ipp-{number}" for number in range(4)]


def test_a_failure_carries_the_error_that_the_stage_wrote(place: Place) -> None:
    state = place.ran("ipp-wrong")
    assert (state.result, state.done) == ("FAILED", 1)
    assert state.message == "Falta el precio de 12. Impórtelo."
    assert state.outcome is Outcome.FAILED


def test_a_failure_without_an_error_tells_its_last_lines(place: Place) -> None:
    message = place.ran("ipp-broken").message
    assert message.startswith("El proceso de la etapa terminó con 1.")
    assert message.endswith("ValueError: nobody expected this")


def test_a_failure_without_a_word_tells_its_status(place: Place) -> None:
    assert place.ran("ipp-mute").message == "El proceso de la etapa terminó con 3. No dijo nada."


def test_progress_is_seen_while_it_runs(place: Place) -> None:
    run_id = place.submit("ipp-long")
    place.working()
    assert until(lambda: place.engine.state(run_id), lambda state: state.done > 0) == RunState("RUNNING", done=5)


def test_a_run_that_waits_is_cancelled_and_never_starts(place: Place) -> None:
    run_id = place.submit("ipp-ok")
    place.engine.cancel(run_id)
    state = place.engine.state(run_id)
    assert (state.state, state.result, state.message) == ("TERMINATED", "CANCELED", "La ejecución se canceló.")
    place.working()
    place.ended(place.submit("ipp-after", "token-2"))
    assert place.effects() == [f"{STAGE} ipp-after"]
    assert place.submit("ipp-ok") == run_id
    assert place.engine.state(run_id) == state


def test_cancelling_ends_the_stage_and_what_it_started(place: Place) -> None:
    run_id = place.submit("ipp-long")
    place.working()
    pids = place.pids()
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    place.engine.cancel(run_id)
    place.engine.cancel(run_id)
    assert place.engine.state(run_id).state in {"TERMINATING", "TERMINATED"}
    assert place.ended(run_id).result == "CANCELED"
    assert not any(alive(pid) for pid in pids)


def test_a_cancelled_stage_may_put_things_in_order(place: Place) -> None:
    run_id = place.submit("ipp-obedient")
    place.working()
    place.pids()
    place.engine.cancel(run_id)
    assert place.ended(run_id).result == "CANCELED"
    assert not (place.folder / "half.txt").exists()


@pytest.mark.parametrize("job_id", ["ipp-ok", "ipp-mute"])
def test_cancelling_what_has_ended_changes_nothing(place: Place, job_id: str) -> None:
    state = place.ran(job_id)
    run_id = place.submit(job_id)
    place.engine.cancel(run_id)
    assert place.engine.state(run_id) == state


def test_a_run_that_nobody_knows_is_not_found(place: Place) -> None:
    place.submit("ipp-ok")
    with pytest.raises(RunNotFoundError, match="No existe la ejecución run-0") as error:
        place.engine.state("run-0")
    assert error.value.hint == "Empiece el proceso otra vez."


def test_cancelling_a_run_that_nobody_knows_is_nothing(place: Place) -> None:
    place.engine.cancel("run-0")
