"""Interface of a lakehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from ipp.core.contract import Table

ReportPartitions = Callable[[int, int], None]
"""Progress callback: (partitions done, partitions in total)."""


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """Number of files that a compaction replaced, and of those it wrote."""

    replaced: int
    written: int


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """Number of files that a vacuum removed, and their total size in bytes."""

    files: int
    size: int


class PartitionRewrite(Protocol):
    """The new content of some partitions, which no reader sees before the commit."""

    def add_partition(self, value: object, rows: pl.DataFrame) -> None:
        """Write the rows of the partition ``value``, in their order.

        ``value`` is None where the table has no partitions: then the rows are the whole table's.
        """
        ...

    def commit(self, metadata: Mapping[str, Any]) -> None:
        """Replace the partitions that were added, in one commit, which keeps ``metadata``."""
        ...


class Lakehouse(Protocol):
    """Tables by contract: read by the names in code, stored under the names people read.

    Each table has one writer at a time: a write waits for the previous one. A write is one atomic
    commit: readers see all of it or nothing, and never wait. If a table has ``sort_by``, the rows
    of a partition are read in that order.
    """

    def table_exists(self, table: Table) -> bool:
        """Return whether the table has ever been written."""
        ...

    def address(self, table: Table) -> str:
        """Return where a person finds the table."""
        ...

    def scan_table(
        self, table: Table, partitions: Collection[object] | None = None
    ) -> pl.LazyFrame:
        """Return the table's current rows, lazily, by its contract; empty if never written.

        ``partitions`` limits them to those values of the table's one partition column, at a cost
        that does not grow with the number of other partitions.
        """
        ...

    def scan_version(self, table: Table, version: str) -> pl.LazyFrame:
        """Return the rows of the version with that `version_id`; none of an empty one.

        Raises `DeltaError` or OSError, here or when they are read, if its files were removed.
        """
        ...

    def write_lock(self, table: Table) -> AbstractContextManager[None]:
        """Exclude other writers of the table during the block.

        What is read inside it is still current when written. Reentrant. Raises `BusyError` if
        another writer does not finish in time.
        """
        ...

    def replace_table(
        self, table: Table, rows: pl.LazyFrame, metadata: Mapping[str, Any] = ...
    ) -> None:
        """Replace the whole table with ``rows``, in a commit that keeps ``metadata``."""
        ...

    def append_rows(self, table: Table, rows: pl.DataFrame) -> None:
        """Add ``rows`` to a table, whose files stay few however often this is called."""
        ...

    def replace_partitions(
        self, table: Table, rows: pl.LazyFrame, values: Collection[object]
    ) -> None:
        """Replace the partitions ``values`` of the table's one partition column with ``rows``.

        Every row must belong to one of them; a partition of ``values`` without rows becomes empty.
        """
        ...

    def replace_with_parts(self, table: Table, value: str, parts: Path) -> None:
        """Replace the partition ``value`` of a table with the files in the folder ``parts``.

        They are what `ipp.storage.lakehouse.table_part.write_part` wrote, on the same file system;
        they become files of the table as they lie.
        """
        ...

    def rewrite_partitions(self, table: Table) -> AbstractContextManager[PartitionRewrite]:
        """Rewrite partitions one after the other, each once, under the write lock.

        What is not committed within the block is discarded.
        """
        ...

    def last_metadata(self, table: Table) -> Mapping[str, Any]:
        """Return the metadata of the last commit that changed rows; empty if it has none."""
        ...

    def metadata_since(self, table: Table, version: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Yield each later commit's `version_id` and metadata, in their order.

        Every commit is later than an empty ``version``, or than one of another table in its place.
        """
        ...

    def version_id(self, table: Table) -> str:
        """Return a text that no other version of the table has; empty if it was never written."""
        ...

    def compact_table(self, table: Table, progress: ReportPartitions = ...) -> CompactionReport:
        """Rewrite small or unsorted files as few sorted ones; no row changes.

        Takes the write lock. Readers continue with the previous files.
        """
        ...

    def vacuum_table(self, table: Table, keep: dt.timedelta) -> VacuumReport:
        """Remove the files that no version of the last ``keep`` needs.

        That includes files which killed writers left before then. Takes the write lock. Reads that
        started within ``keep`` are not disturbed. Raises ValueError if ``keep`` is longer than the
        table remembers replaced files.
        """
        ...
