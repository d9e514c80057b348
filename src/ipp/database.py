"""A SQLite file that several processes and threads write: what is stored survives whatever is killed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any


class Database:
    """The file at ``path``, made with ``schema`` where there is none.

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
        self._prepared = False

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that alone may write; it is stored when the block ends without an error."""
        with self.open() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")  # closing without it takes everything back

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call: none is ever shared by threads or carried over a fork."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=self._busy, isolation_level=None)) as db:
            if not self._prepared or not self._path.stat().st_size:  # the second: somebody took the file away
                self._prepare(db)
                self._prepared = True
            db.execute("PRAGMA synchronous = FULL")
            for name, function in self._functions.items():
                db.create_function(name, 1, function)
            yield db

    def _prepare(self, db: sqlite3.Connection) -> None:
        give_up = time.monotonic() + self._busy
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:  # SQLite does not wait where two make a new file a WAL at once
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
        for statement in self._schema:
            db.execute(statement)
