"""What a lakehouse promises, whatever it is made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from ipp.core.contract import Table

ReportPartitions = Callable[[int, int], None]
"""Told (partitions done, partitions in all)."""


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """How many files were replaced, and how many took their place."""

    replaced: int
    written: int


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """How many files went, and their size in bytes."""

    files: int
    size: int


class Lakehouse(Protocol):
    """Tables by contract: read by the names in code, stored under the names people read.

    One writer a table: a write waits for the one before. A write is one atomic commit: readers see all of it or
    nothing, and are never kept waiting. Where a table has ``sort_by`` the rows of a partition come in its order.
    """

    def table_exists(self, table: Table) -> bool:
        """Whether the table was ever written."""
        ...

    def address(self, table: Table) -> str:
        """Where a person finds the table."""
        ...

    def scan_table(
        self, table: Table, partitions: Collection[object] | None = None
    ) -> pl.LazyFrame:
        """The table's rows as they are now, lazily, by its contract; no rows where it was never written.

        Of the table's one partition column, where ``partitions`` is given, the rows with those values alone: what that
        costs does not grow with the others.
        """
        ...

    def write_lock(self, table: Table) -> AbstractContextManager[None]:
        """Keep other writers of the table out while the block lasts: what was read in it is still so when written.

        May be entered again inside itself. Raises `BusyError` where another writer does not finish in time.
        """
        ...

    def replace_table(self, table: Table, rows: pl.LazyFrame) -> None:
        """Make ``rows`` the whole table."""
        ...

    def replace_partitions(
        self, table: Table, rows: pl.LazyFrame, values: Collection[object]
    ) -> None:
        """Make ``rows`` the content of the partitions ``values`` of the table's one partition column.

        Every row lies in one of them; a partition of ``values`` without rows ends up empty.
        """
        ...

    def compact_table(self, table: Table, progress: ReportPartitions = ...) -> CompactionReport:
        """Write again, in few files and in order, what lies in many or in disorder; no row changes.

        Waits for a writer and keeps the next one out. Who reads goes on with the files there were.
        """
        ...

    def vacuum_table(self, table: Table, keep: dt.timedelta) -> VacuumReport:
        """Remove the files that no version of the last ``keep`` needs, and what killed writers left before that.

        Waits for a writer and keeps the next one out. Who began to read within ``keep`` is not disturbed. Raises
        ValueError where ``keep`` is longer than the table remembers what it replaced.
        """
        ...
