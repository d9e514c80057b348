"""What a lakehouse promises, whatever it is made of."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

import polars as pl

from ipp.core.contract import Table


class Lakehouse(Protocol):
    """Tables by contract: read by the names in code, stored under the names people read.

    One writer a table: a write waits for the one before. A write is one atomic commit: readers see all of it or
    nothing, and are never kept waiting.
    """

    def exists(self, table: Table) -> bool:
        """Whether the table was ever written."""
        ...

    def address(self, table: Table) -> str:
        """Where a person finds the table."""
        ...

    def scan(self, table: Table) -> pl.LazyFrame:
        """The table's rows, lazily, by its contract; no rows where it was never written."""
        ...

    def writing(self, table: Table) -> AbstractContextManager[None]:
        """Keep other writers of the table out while the block lasts: what was read in it is still so when written.

        May be entered again inside itself. Raises `BusyError` where another writer does not finish in time.
        """
        ...

    def replace(self, table: Table, rows: pl.LazyFrame) -> None:
        """Make ``rows`` the whole table."""
        ...

    def replace_partitions(self, table: Table, rows: pl.LazyFrame, values: Collection[object]) -> None:
        """Make ``rows`` the content of the partitions ``values`` of the table's one partition column.

        Every row lies in one of them; a partition of ``values`` without rows ends up empty.
        """
        ...
