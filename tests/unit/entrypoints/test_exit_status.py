"""What a command says of an error: in Spanish, without colour codes, tracebacks or hidden names."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from ipp.entrypoints.exit_status import FAILED, report_error
from ipp.errors import is_machine_error, is_temporary


def locked(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "a", isolation_level=None)) as one:
        one.execute("BEGIN IMMEDIATE")
        with closing(sqlite3.connect(folder / "a", timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")


def damaged(folder: Path) -> None:
    (folder / "a").write_bytes(b"no database" * 100)
    with closing(sqlite3.connect(folder / "a")) as db:
        db.execute("SELECT * FROM sqlite_master")


def full(_folder: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/.b.csv.123-0123abcd.partial")


def full_by_a_library(_folder: Path) -> None:
    raise OSError(
        "Generic LocalFileSystem error \x1b[31m↳\x1b[0m Unable to copy data to file /a: "
        "No space left on device (os error 28)"
    )


def full_by_polars(_folder: Path) -> None:
    """Write to a device that is always full."""
    pl.DataFrame({"a": range(100_000)}).write_csv("/dev/full")


def too_much_memory(_folder: Path) -> None:
    raise MemoryError


ENGLISH = re.compile(r"error|No space|os error|locked|disk|device|\x1b|\.partial|not a database")


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        (locked, "otro proceso la está usando"),
        (damaged, "no es una base de datos"),
        (full, "No se pudo leer o escribir /a/b.csv: el disco está lleno."),
        (full_by_a_library, "el disco está lleno"),
        (full_by_polars, "el disco está lleno"),
        (too_much_memory, "Falta memoria"),
    ],
)
def test_what_the_machine_refuses_is_told_in_spanish(
    fail: Callable[[Path], None],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011  # whatever it is
        fail(tmp_path)
    assert report_error(raised.value) == FAILED
    told = capsys.readouterr().err
    assert said in told
    assert not ENGLISH.search(told.replace("Error: ", "", 1)), told
    assert is_temporary(raised.value) == is_machine_error(raised.value)
    assert is_machine_error(raised.value) == (fail not in {damaged, too_much_memory})
