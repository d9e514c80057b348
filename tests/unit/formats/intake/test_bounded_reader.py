"""A file that its reader cannot bear costs one child process, and nothing else."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from ipp.errors import BusyError, InvalidInputError, MissingColumnError, UnreadableFileError
from ipp.formats.intake.bounded_reader import MAX_ANSWER_BYTES, BoundedReader, ReadLimits
from ipp.formats.intake.id_list import read_id_list
from ipp.storage.files.scratch import Scratch
from tests.waiting import PATIENCE_SECONDS

FILE = Path("lista.xlsx")


@pytest.fixture(scope="module")
def reader() -> BoundedReader:
    return BoundedReader([read_id_list.__module__])


def take_memory(size: int) -> int:
    return len(b"x" * size)


def loop() -> None:
    while True:
        pass


def panic() -> None:
    """Panic in Rust, as a damaged file makes a library do."""
    raise pl.exceptions.PanicException("called `Option::unwrap()` on a `None` value")


def read_address_zero() -> None:
    ctypes.string_at(0)


def refuse(hint: str) -> None:
    raise MissingColumnError("Falta la columna mostrador.", hint=hint)


def fail_at_will() -> None:
    raise ZeroDivisionError("none of our business")


def answer_much() -> bytes:
    return bytes(2 * MAX_ANSWER_BYTES)


def test_what_the_child_returns_and_raises_arrives(reader: BoundedReader) -> None:
    assert reader.read(sum, FILE, [1, 2, 3]) == 6
    with pytest.raises(MissingColumnError) as error:
        reader.read(refuse, FILE, "Agréguela.")
    assert (error.value.message, error.value.hint) == ("Falta la columna mostrador.", "Agréguela.")


def test_each_read_has_a_process_of_its_own(reader: BoundedReader) -> None:
    pids = {os.getpid(), *(reader.read(os.getpid, FILE) for _ in range(3))}
    assert len(pids) == 4


@pytest.mark.parametrize("fault", [panic, fail_at_will, read_address_zero])
def test_a_reader_that_fails_means_a_file_that_cannot_be_read(fault: object) -> None:
    assert callable(fault)
    with pytest.raises(UnreadableFileError, match=r"^No se puede leer lista\.xlsx"):
        BoundedReader().read(fault, FILE)


@pytest.mark.parametrize("fault", [answer_much, os.abort])
def test_a_reader_that_aborts_or_answers_too_much_exceeded_the_memory(
    fault: object, reader: BoundedReader
) -> None:
    assert callable(fault)
    with pytest.raises(InvalidInputError, match="640 MB de memoria, que es el límite"):
        reader.read(fault, FILE)


def test_memory_has_a_limit_of_its_own_and_this_process_none(reader: BoundedReader) -> None:
    assert reader.read(take_memory, FILE, 100 << 20) == 100 << 20
    with pytest.raises(InvalidInputError, match="640 MB de memoria, que es el límite"):
        reader.read(take_memory, FILE, 800 << 20)
    assert take_memory(800 << 20) == 800 << 20


def test_a_reader_that_does_not_end_is_ended() -> None:
    limited = BoundedReader(limits=ReadLimits(cpu_seconds=1))
    with pytest.raises(InvalidInputError, match="más de 1 segundos, que es el límite"):
        limited.read(loop, FILE)
    limited = BoundedReader(limits=ReadLimits(seconds=0.5))
    with pytest.raises(InvalidInputError, match="segundos, que es el límite"):
        limited.read(time.sleep, FILE, PATIENCE_SECONDS)


def test_a_table_of_run_lengths_is_refused_and_an_honest_one_is_read(
    reader: BoundedReader, tmp_path: Path
) -> None:
    """A Parquet of a kilobyte may hold as many rows as it likes."""

    def read(rows: int) -> int:
        file = tmp_path / "mostradores.parquet"
        pl.DataFrame({"mostrador": pl.repeat(7, rows, eager=True)}).write_parquet(file)
        assert file.stat().st_size < 1 << 20
        return len(reader.read(read_id_list, file, file, Scratch(tmp_path)))

    assert read(10_000) == 10_000
    with pytest.raises(InvalidInputError, match="que es el límite"):
        read(60_000_000)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A file that makes `wait_for_removal` wait; it is removed at the end at the latest."""
    file = tmp_path / "held"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


def wait_for_removal(file: Path) -> None:
    (file.parent / str(os.getpid())).touch()
    while file.exists():
        time.sleep(0.01)


def test_a_few_read_at_a_time_a_few_wait_and_more_are_sent_away(
    reader: BoundedReader, held: Path
) -> None:
    refused: list[BusyError] = []

    def read() -> None:
        try:
            reader.read(wait_for_removal, held, held)
        except BusyError as error:
            refused.append(error)

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len(refused) < 4 or len([*held.parent.iterdir()]) < 3:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert len([*held.parent.iterdir()]) == 1 + 2, "two read, and the rest waits"
    held.unlink()
    for thread in threads:
        thread.join()
    assert len(refused) == 4
    assert reader.read(len, FILE, "abc") == 3
