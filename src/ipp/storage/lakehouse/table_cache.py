"""Cache of Delta tables: each log is read once per commit, not once per query."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import polars as pl
from deltalake import DeltaTable
from typing_extensions import override

from ipp.storage.lakehouse.commit_metadata import commit_file


class StoredTable(DeltaTable):
    """Delta table with file-system paths; delta-rs percent-encodes the folder (``%20``)."""

    @property
    def folder(self) -> Path:
        """Folder of the table."""
        return Path(url2pathname(urlsplit(self.table_uri).path))

    def scan_partitions(self, values: Collection[object]) -> pl.LazyFrame:
        """Return the rows of the partitions ``values``; other partitions' files are not listed."""
        (column,) = self.metadata().partition_columns
        schema = pl.Schema(self.schema())
        partition_values = list(values)
        return pl.scan_parquet(
            self.file_uris(file_pruning_predicate=[(column, "in", partition_values)])
            if partition_values
            else [],
            schema=schema,
            hive_schema={column: schema[column]},
            # A file written by an older version of IPP lacks the newer columns.
            missing_columns="insert",
        )

    @override
    def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
        """Return the paths of the table's files; takes the arguments of `DeltaTable.file_uris`."""
        root = self.folder
        relative_parts = len(self.metadata().partition_columns) + 1
        return [
            str(root.joinpath(*uri.split("/")[-relative_parts:]))
            for uri in super().file_uris(*arguments, **options)
        ]


class _CachedTable(NamedTuple):
    table: StoredTable
    commit: tuple[int, int] | None


class TableCache:
    """Cache of the tables that a process has read, shared by its threads.

    Opening a table reads its log's last checkpoint and the commits since: some milliseconds and
    megabytes for a table of hundreds of commits. A cached table is never updated in place, because
    another thread may be reading it; a new commit creates a new entry.
    """

    def __init__(self) -> None:
        self._opened: dict[str, _CachedTable] = {}

    def latest_table(self, uri: str) -> StoredTable | None:
        """Return the table at ``uri`` with every commit so far; None if it was never written."""
        cached = self._opened.get(uri)
        if cached is not None and _is_current(cached):
            return cached.table
        if not DeltaTable.is_deltatable(uri):
            self._opened.pop(uri, None)
            return None
        table = StoredTable(uri)
        self._opened[uri] = _CachedTable(table, _commit_identity(table, table.version()))
        return table


def _is_current(opened: _CachedTable) -> bool:
    """Return whether the commit it was opened at still exists and is the last."""
    version = opened.table.version()
    if opened.commit is None or _commit_identity(opened.table, version + 1) is not None:
        return False
    # A different file under the same version means that another table has taken its place.
    return _commit_identity(opened.table, version) == opened.commit


def _commit_identity(table: StoredTable, version: int) -> tuple[int, int] | None:
    """Return the inode and modification time (ns) of a commit's file; None if it does not exist."""
    try:
        status = commit_file(table.folder, version).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
