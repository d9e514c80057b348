"""Delta tables as they are now, each read from its log once for every commit and not once for every question."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import polars as pl
from deltalake import DeltaTable


class StoredTable(DeltaTable):
    """A table whose files are named as the file system names them: delta-rs writes the folder with ``%20``."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return Path(url2pathname(urlsplit(self.table_uri).path))

    def scan_partitions(self, values: Collection[object]) -> pl.LazyFrame:
        """The rows with ``values`` in the one partition column; the files of others are not so much as listed."""
        (column,) = self.metadata().partition_columns
        schema = pl.Schema(self.schema())
        wanted = list(values)
        return pl.scan_parquet(
            self.file_uris(file_pruning_predicate=[(column, "in", wanted)]) if wanted else [],
            schema=schema,
            hive_schema={column: schema[column]},
            missing_columns="insert",  # in a file that an older version wrote
        )

    def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
        """The paths of its files; arguments as `DeltaTable` has them."""
        root = self.folder
        below = len(self.metadata().partition_columns) + 1
        return [
            str(root.joinpath(*uri.split("/")[-below:]))
            for uri in super().file_uris(*arguments, **options)
        ]


class _CachedTable(NamedTuple):
    table: StoredTable
    commit: tuple[int, int] | None


class TableCache:
    """The tables that a process has read, to be used by all of its threads.

    Who opens a table reads the checkpoint of its log and what came after, some milliseconds and megabytes for a table
    of hundreds of commits. A table here is never changed, since others may be in the middle of reading it: the
    next commit makes another one.
    """

    def __init__(self) -> None:
        self._opened: dict[str, _CachedTable] = {}

    def latest_table(self, uri: str) -> StoredTable | None:
        """The table at ``uri`` with every commit so far; None where it was never written."""
        opened = self._opened.get(uri)
        if opened is not None and _is_current(opened):
            return opened.table
        if not DeltaTable.is_deltatable(uri):
            self._opened.pop(uri, None)
            return None
        table = StoredTable(uri)
        self._opened[uri] = _CachedTable(table, _commit_identity(table, table.version()))
        return table


def _is_current(opened: _CachedTable) -> bool:
    """Whether the commit is still there that it was opened at, and none after it."""
    version = opened.table.version()
    if opened.commit is None or _commit_identity(opened.table, version + 1) is not None:
        return False
    return (
        _commit_identity(opened.table, version) == opened.commit
    )  # else another table has taken its place


def _commit_identity(table: StoredTable, version: int) -> tuple[int, int] | None:
    """What tells the file of a commit from every other one of its name; None where there is no such file."""
    try:
        found = (table.folder / "_delta_log" / f"{version:020}.json").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
