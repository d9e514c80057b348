"""One SQLite file for many: what a kept connection must not carry from one call to the next."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ipp.storage.sqlite import SqliteDatabase
from tests.waiting import PATIENCE_SECONDS

SCHEMA = ("CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL)",)


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(
        tmp_path / "folder" / "some.sqlite", SCHEMA, busy=10, functions={"double": lambda n: 2 * n}
    )


def add(database: SqliteDatabase, name: str, n: int = 1) -> None:
    with database.write_transaction() as db:
        db.execute(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            (name, n),
        )


def read(database: SqliteDatabase, name: str) -> int | None:
    with database.connection() as db:
        row = db.execute("SELECT double(n) / 2 FROM counts WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def test_no_two_calls_at_once_share_a_connection(database: SqliteDatabase) -> None:
    both, seen = threading.Barrier(6), []

    def hold() -> None:
        with database.connection() as db:
            seen.append(id(db))
            both.wait(timeout=PATIENCE_SECONDS)

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 6


def test_a_block_that_fails_leaves_nothing_and_the_next_starts_afresh(
    database: SqliteDatabase,
) -> None:
    add(database, "a")
    with pytest.raises(ZeroDivisionError), database.write_transaction() as db:
        db.execute("UPDATE counts SET n = 99")
        raise ZeroDivisionError
    assert read(database, "a") == 1
    add(database, "a")
    assert read(database, "a") == 2


def open_files(folder: Path) -> int:
    """The files below a folder that this process has open, those that were removed too."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.readlink().is_relative_to(folder) for link in links)


def test_calls_one_after_another_open_the_file_once(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To open it costs ten times what a small read does."""
    opened: list[Any] = []
    connect = sqlite3.connect

    def note(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(arguments)
        made: sqlite3.Connection = connect(*arguments, **options)
        return made

    monkeypatch.setattr(sqlite3, "connect", note)
    for n in range(10):
        add(database, "a")
        assert read(database, "a") == n + 1
    assert len(opened) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")
def test_a_file_that_is_replaced_again_and_again_is_not_kept_open(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    add(database, "a")
    first = open_files(tmp_path)
    for _ in range(5):
        for path in (tmp_path / "folder").iterdir():
            path.unlink()
        add(database, "a")
        assert read(database, "a") == 1
    assert open_files(tmp_path) == first


def test_a_file_that_was_taken_away_is_made_again(database: SqliteDatabase, tmp_path: Path) -> None:
    add(database, "a")
    for path in (tmp_path / "folder").iterdir():
        path.unlink()
    assert read(database, "a") is None
    add(database, "b")
    with sqlite3.connect(tmp_path / "folder" / "some.sqlite") as other:
        assert other.execute("SELECT name, n FROM counts").fetchall() == [("b", 1)]
    other.close()


@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # pytest has threads; the child uses none
def test_a_child_process_uses_none_of_its_parents_connections(database: SqliteDatabase) -> None:
    add(database, "a")
    with database.connection() as db:
        parents = id(db)
    child = os.fork()
    if child == 0:
        ok = False
        try:
            with database.write_transaction() as db:
                ok = id(db) != parents
                db.execute("UPDATE counts SET n = 7")
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read(database, "a") == 7
