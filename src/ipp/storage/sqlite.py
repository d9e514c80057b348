"""A SQLite file that several processes and threads write: what is stored survives whatever is killed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_POOLED_CONNECTIONS: Final = 8
"""Connections that are kept open for the next call: to open one costs ten times what a small read does."""

_INHERITED_CONNECTIONS: Final[list[sqlite3.Connection]] = []
"""Connections that came over a fork: they are the parent's, and to close one here would be to end it there."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """An open connection, and what it was opened on: a process must not use another's, nor a file that is gone."""

    db: sqlite3.Connection
    file: tuple[int, int]
    process: int


class SqliteDatabase:
    """The file at ``path``, made with ``schema`` where there is none.

    Each statement of the schema is run with every connection, and may find that what it makes is
    there already.
    ``functions`` of one argument may be called in SQL. A call waits ``busy`` seconds for another process's write.
    What was written is on the disk when a block ends. Every call raises sqlite3.Error or OSError where the file
    cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        *,
        busy: float,
        functions: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self._path = path
        self._schema = schema
        self._busy = busy
        self._functions = functions or {}
        self._idle: deque[_Connection] = deque()

    def __del__(self) -> None:
        for connection in self._idle:
            connection.db.close()

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that alone may write; it is stored when the block ends without an error."""
        with self.connection() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")  # where it is not reached, closing takes everything back

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call, which nobody else uses meanwhile: after an error it is closed, not used again."""
        connection = self._take_pooled() or self._open_connection()
        try:
            yield connection.db
        except BaseException:
            connection.db.close()
            raise
        if len(self._idle) < _POOLED_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.db.close()

    def _take_pooled(self) -> _Connection | None:
        """A connection that was kept, if it still is one to the file that is at the path."""
        while True:
            try:
                connection = self._idle.pop()  # of several threads each gets another
            except IndexError:
                return None
            if connection.process != os.getpid():
                _INHERITED_CONNECTIONS.append(connection.db)
                continue
            if connection.file == self._file_identity():
                return connection
            connection.db.close()  # somebody took the file away

    def _open_connection(self) -> _Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            self._path, timeout=self._busy, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare_connection(db)
            db.execute("PRAGMA synchronous = FULL")
            for name, function in self._functions.items():
                db.create_function(name, 1, function)
            return _Connection(db, self._file_identity(), os.getpid())
        except BaseException:
            db.close()
            raise

    def _file_identity(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _prepare_connection(self, db: sqlite3.Connection) -> None:
        give_up = time.monotonic() + self._busy
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except (
                sqlite3.OperationalError
            ) as error:  # SQLite does not wait where two make a new file a WAL at once
                if (
                    error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                    or time.monotonic() > give_up
                ):
                    raise
                time.sleep(0.01)
        for statement in self._schema:
            try:
                db.execute(statement)
            except sqlite3.OperationalError as error:  # SQLite has no ADD COLUMN IF NOT EXISTS
                if "duplicate column name" not in str(error):
                    raise
