"""SQLite database shared by processes and threads; committed data survives a killed process."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ipp.storage.storage_error import unavailable_error

_POOLED_CONNECTIONS: Final = 8
"""Idle connections kept open, because opening one costs ten times what a small read does."""

_INHERITED_CONNECTIONS: Final[list[sqlite3.Connection]] = []
"""Connections inherited over a fork; closing the parent's here would break it there."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """An open connection with the file and process it belongs to.

    A process must not use another's connection, nor one to a file that has been replaced.
    """

    db: sqlite3.Connection
    file: tuple[int, int]
    process: int


class SqliteDatabase:
    """The database at ``path``, created with ``schema`` by the first write.

    Until then it is read as empty, so that a question leaves no file behind.

    Every new connection runs each statement of the schema, so they must be idempotent; a duplicate
    ADD COLUMN is tolerated. ``functions`` of one argument can be called in SQL. A call waits up to
    ``busy`` seconds for another process's write. What was written is on disk when a block ends.
    Every call raises `UnavailableError` if the file cannot be read or written, as does a block that
    raises sqlite3.Error or OSError.
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
        self.close()

    def close(self) -> None:
        """Close the idle connections; the last one of all processes empties the write-ahead log."""
        while self._idle:
            self._idle.pop().db.close()

    def copy_to(self, path: Path) -> None:
        """Copy a consistent snapshot of the database to a new file while others write.

        Raises `UnavailableError` also if it is damaged.
        """
        with self.connection() as db, closing(sqlite3.connect(path)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            (state,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection with the only write transaction, committed if the block succeeds."""
        with (
            self._translate_errors(),
            self._lend_connection(self._take_pooled() or self._open_connection(self._path)) as db,
        ):
            db.execute("BEGIN IMMEDIATE")
            yield db
            # After an error this is not reached, and closing the connection rolls everything back.
            db.execute("COMMIT")

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for exclusive use in the block; an error closes it for good."""
        with self._translate_errors():
            pooled = self._take_pooled()
            if pooled is None and not self._path.exists():
                with closing(self._open_connection(":memory:").db) as db:
                    yield db
                return
            with self._lend_connection(pooled or self._open_connection(self._path)) as db:
                yield db

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise unavailable_error(self._path.name, error) from error

    @contextmanager
    def _lend_connection(self, connection: _Connection) -> Iterator[sqlite3.Connection]:
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
        """Return an idle connection to the file that is now at the path, or None."""
        while True:
            try:
                # pop is atomic, so that no two threads take the same connection.
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.process != os.getpid():
                _INHERITED_CONNECTIONS.append(connection.db)
                continue
            if connection.file == self._file_identity():
                return connection
            # The file has been removed or replaced since.
            connection.db.close()

    def _open_connection(self, path: Path | str) -> _Connection:
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            path, timeout=self._busy, isolation_level=None, check_same_thread=False
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
            status = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_dev, status.st_ino

    def _prepare_connection(self, db: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._busy
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # SQLite does not wait when two processes switch a new file to WAL at once.
                if (
                    error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                    or time.monotonic() > deadline
                ):
                    raise
                time.sleep(0.01)
        for statement in self._schema:
            try:
                db.execute(statement)
            except sqlite3.OperationalError as error:
                # SQLite has no ADD COLUMN IF NOT EXISTS.
                if "duplicate column name" not in str(error):
                    raise
