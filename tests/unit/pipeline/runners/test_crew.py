"""Work in parallel: the same as in sequence, and a piece that kills its process is lost alone."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from ipp.errors import InvalidInputError
from ipp.pipeline.runners.process_pool import LostPiece, ProcessPool, try_piece
from ipp.storage.fence import SupersededError
from ipp.storage.files.scratch import Scratch
from tests.waiting import is_alive, wait_until


@pytest.fixture(scope="module")
def crew() -> Iterator[ProcessPool]:
    made = ProcessPool(2)
    yield made
    made.close()


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch")


def squared(number: int) -> int:
    return number * number


@dataclass(frozen=True)
class Deadly:
    """Kills the process that squares one of ``numbers``: always, or once each with a ``mark``."""

    numbers: tuple[int, ...]
    mark: Path | None = None

    def __call__(self, number: int) -> int:
        if number in self.numbers:
            mark = self.mark and self.mark / str(number)
            if mark is None or not mark.exists():
                if mark is not None:
                    mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return squared(number)


@dataclass(frozen=True)
class Failing:
    """Raises for one number."""

    number: int
    error: BaseException

    def __call__(self, number: int) -> int:
        if number == self.number:
            raise self.error
        return squared(number)


def process(_piece: int) -> tuple[int, int, str | None]:
    return os.getpid(), pl.thread_pool_size(), os.environ.get("OPENBLAS_NUM_THREADS")


def processes(
    crew: ProcessPool, scratch: Scratch, count: int, *, worth: bool
) -> set[tuple[int, int, str | None]]:
    """Who did ``count`` pieces, and with how many threads."""
    found = [
        made for _, made in crew.map_pieces(process, range(count), scratch, worth=worth, queued=16)
    ]
    assert len(found) == count
    return {made for made in found if not isinstance(made, LostPiece)}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("worth", [False, True])
def test_every_piece_is_done_once_and_they_come_in_order(
    crew: ProcessPool, scratch: Scratch, count: int, worth: bool
) -> None:
    assert list(crew.map_pieces(squared, range(count), scratch, worth=worth, queued=16)) == [
        (n, n * n) for n in range(count)
    ]


def test_pieces_are_made_as_they_are_needed(crew: ProcessPool, scratch: Scratch) -> None:
    made: list[int] = []

    def pieces() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    results = crew.map_pieces(squared, pieces(), scratch, worth=True, queued=16)
    assert next(results) == (0, 0)
    assert len(made) < 50
    results.close()


def test_every_process_has_one_thread_and_is_none_of_ours(
    crew: ProcessPool, scratch: Scratch
) -> None:
    found = processes(crew, scratch, 60, worth=True)
    assert os.getpid() not in {pid for pid, *_ in found}
    assert {(polars, blas) for _, polars, blas in found} == {(1, "1")}


def test_what_is_not_worth_processes_or_has_one_core_stays_here(scratch: Scratch) -> None:
    for crew, worth in ((ProcessPool(2), False), (ProcessPool(1), True)):
        assert {pid for pid, *_ in processes(crew, scratch, 3, worth=worth)} == {os.getpid()}


@pytest.mark.parametrize("deadly", [(0,), (3,), (9,), (0, 1, 2), (4, 5), tuple(range(10))], ids=str)
def test_a_piece_that_kills_its_process_is_lost_and_no_other(
    crew: ProcessPool, scratch: Scratch, deadly: tuple[int, ...]
) -> None:
    found = dict(crew.map_pieces(Deadly(deadly), range(10), scratch, worth=True, queued=16))
    assert list(found) == list(range(10))
    for number, made in found.items():
        if number in deadly:
            assert isinstance(made, LostPiece)
            assert "murió" in made.cause
        else:
            assert made == number * number


def test_a_process_that_is_killed_from_outside_loses_nothing(
    crew: ProcessPool, scratch: Scratch, tmp_path: Path
) -> None:
    found = list(
        crew.map_pieces(Deadly((2, 7), tmp_path), range(10), scratch, worth=True, queued=16)
    )
    assert found == [(n, n * n) for n in range(10)]


@pytest.mark.parametrize("worth", [False, True])
def test_what_goes_wrong_around_the_pieces_is_raised(
    crew: ProcessPool, scratch: Scratch, worth: bool
) -> None:
    full = OSError(errno.ENOSPC, "disk")
    with pytest.raises(OSError, match="disk"):
        list(crew.map_pieces(Failing(3, full), range(10), scratch, worth=worth, queued=16))
    assert len(list(crew.map_pieces(squared, range(10), scratch, worth=worth, queued=16))) == 10


def test_a_piece_that_fails_says_why_and_where() -> None:
    assert try_piece(squared, 3) == 9
    ours = try_piece(Failing(1, InvalidInputError("No hay precio.", hint="Impórtelo.")), 1)
    assert ours == LostPiece("No hay precio. Impórtelo.")
    other = try_piece(Failing(1, ValueError("below zero")), 1)
    assert isinstance(other, LostPiece)
    assert other.cause.startswith("ValueError: below zero (test_crew.py, línea ")


class Panic(BaseException):
    """What a library written in Rust raises: no Exception."""


def test_a_panic_and_a_want_of_memory_are_a_pieces_own() -> None:
    assert isinstance(try_piece(Failing(1, Panic("index")), 1), LostPiece)
    assert try_piece(Failing(1, MemoryError()), 1) == LostPiece("Falta memoria para calcularlo.")


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        ValueError("KeyboardInterrupt"),
        SupersededError("relevado"),
        OSError(errno.ENOSPC, "full"),
        ValueError("Generic error: Unable to copy data (os error 28)"),
    ],
    ids=repr,
)
def test_what_stops_every_piece_is_no_failure_of_one(error: BaseException) -> None:
    with pytest.raises(type(error)):
        try_piece(Failing(1, error), 1)


def test_nothing_is_left_on_the_way(crew: ProcessPool, scratch: Scratch, tmp_path: Path) -> None:
    list(crew.map_pieces(squared, range(10), scratch, worth=True, queued=16))
    assert list(tmp_path.rglob("*")) == []


BEGINNER = """
import sys, time
from pathlib import Path
from ipp.storage.files.scratch import Scratch
from ipp.pipeline.runners.process_pool import ProcessPool
from tests.unit.pipeline.runners.test_crew import process

if __name__ == "__main__":
    scratch = Scratch(Path(sys.argv[1]))
    for _, made in ProcessPool(2).map_pieces(process, iter(int, 1), scratch, worth=True, queued=16):
        print(made[0], flush=True)
        time.sleep(0.01)
"""


def test_who_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    script = tmp_path / "beginner.py"
    script.write_text(BEGINNER, encoding="utf-8")
    root = str(Path(__file__).parents[4])
    command = [sys.executable, str(script), str(tmp_path / "scratch")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": root}, text=True
    ) as begun:
        assert begun.stdout is not None
        members = {int(begun.stdout.readline()) for _ in range(50)}
        begun.kill()
    wait_until(lambda: [pid for pid in members if is_alive(pid)], lambda left: not left)


UNGUARDED = """
import sys
from pathlib import Path
from ipp.storage.files.scratch import Scratch
from ipp.pipeline.runners.process_pool import ProcessPool
from tests.unit.pipeline.runners.test_crew import squared

scratch = Scratch(Path(sys.argv[1]))
print(list(ProcessPool(2).map_pieces(squared, range(40), scratch, worth=True, queued=16)))
"""


def test_processes_that_cannot_start_are_told_at_once_and_not_blamed_on_the_pieces(
    tmp_path: Path,
) -> None:
    """Here each child runs the program that started it, and so wants children of its own."""
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED, encoding="utf-8")
    root = str(Path(__file__).parents[4])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "scratch")],
        check=False, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert "PoolStartError: Los procesos de cálculo no se pueden iniciar." in done.stderr
    tried = done.stderr.count("An attempt has been made to start a new process")
    assert 1 <= tried <= 4, "a first start of two processes and a second of one"


def test_closed_it_begins_again(scratch: Scratch) -> None:
    crew, before = ProcessPool(2), set(multiprocessing.active_children())
    for _ in range(2):
        assert len(list(crew.map_pieces(squared, range(4), scratch, worth=True, queued=16))) == 4
        crew.close()
        assert set(multiprocessing.active_children()) == before, "which have no order"
