"""The interface through which stages compute, independent of the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import narwhals as nw
import polars as pl

from ipp.core.contract import Table
from ipp.pipeline.runners.stage_execution import StageExecution
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.scratch import Scratch

LazyRows = nw.LazyFrame[Any]
"""Lazy rows of any engine, through Narwhals."""

Kernel = Callable[[pl.DataFrame], pl.DataFrame]
"""Map the rows of some groups, in any order, to rows. Picklable: may run in another process.

A kernel of counters takes several at once, and gives each the rows that it would give it alone.
"""

MultiTableKernel = Callable[[pl.DataFrame], Sequence[pl.DataFrame]]
"""A kernel that returns rows for several tables."""

RowsOfGroups = Callable[[Collection[int]], LazyRows]
"""Return the rows of some groups, given their keys."""

ReportLostGroup = Callable[[int, str], None]
"""Callback with the key of a group that failed, and the cause in Spanish."""

Rendered = TypeVar("Rendered")

Render = Callable[[pl.DataFrame], Rendered]
"""Render the rows of successive counters for output. Picklable, as a `Kernel`."""


@dataclass(frozen=True, slots=True)
class GroupedRows:
    """Groups of counters, and their rows.

    ``sizes`` maps each group, a value of the column ``key``, to its number of counters.
    ``counter_bytes`` is the most memory that each of them takes in the kernel of its group. An
    engine may store the kernel's rows under ``prefix`` meanwhile.
    """

    key: str
    sizes: Mapping[int, int]
    rows_of: RowsOfGroups
    counter_bytes: int
    prefix: str


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows by counter that a stage stores under ``prefix``, by the contract of ``table``."""

    table: Table
    prefix: str


class Runner(Protocol):
    """An engine that reads tables, applies kernels to groups of rows and writes the results.

    Writes are idempotent: writing again replaces the earlier result.
    """

    @property
    def files(self) -> FileStore:
        """The store of the job's files."""
        ...

    @property
    def scratch(self) -> Scratch:
        """The store of temporary files."""
        ...

    def scan_table(self, table: Table) -> LazyRows:
        """Return the table's rows by its contract; none if it was never written."""
        ...

    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        """Return in-memory rows as lazy rows, to join with others."""
        ...

    def cache_rows(self, rows: LazyRows) -> LazyRows:
        """Return rows to be read several times, computed only once if the engine allows."""
        ...

    def map_groups(
        self, source: GroupedRows, kernel: Kernel, schema: pl.Schema, lose: ReportLostGroup
    ) -> LazyRows:
        """Apply ``kernel`` to each group that has rows, and return rows of ``schema``.

        A group that fails is reported to ``lose``, and the others continue. The kernel may receive
        rows without the column ``key``, which is constant within a group.
        """
        ...

    def store_counters(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
    ) -> None:
        """Apply ``kernel`` to each counter to compute and store the rows for the next stage.

        An exception of the kernel becomes the cause of that counter's failure.
        """
        ...

    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
        render: Render[Rendered],
    ) -> Iterator[Rendered]:
        """Store as `store_counters`, and yield the stored counters through ``render``, in order.

        The work is complete only once the iterator is exhausted.
        """
        ...

    def publish_tables(
        self,
        source: StoredRows,
        kernel: MultiTableKernel,
        tables: Sequence[Table],
        work: StageExecution,
    ) -> None:
        """Replace the rows of the requested counters in ``tables`` with those of ``kernel``.

        Each table is one commit, in this order and after the failures: a reader who sees the last
        table sees all of them. The tables are partitioned by job.
        """
        ...

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        """Replace a job's rows in ``table``, partitioned by job, in one commit."""
        ...
