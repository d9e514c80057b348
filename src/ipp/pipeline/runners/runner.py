"""What a runner promises a stage, whatever computes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import narwhals as nw
import polars as pl

from ipp.core.contract import Table
from ipp.pipeline.runners.stage_run import StageRun
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.scratch import Scratch

LazyRows = nw.LazyFrame[Any]
"""Rows of whichever engine: joined and summed by Narwhals, computed when they are needed."""

Kernel = Callable[[pl.DataFrame], pl.DataFrame]
"""From the rows of one group, in any order, to rows. It may run in another process: a value, or bound to values."""

MultiTableKernel = Callable[[pl.DataFrame], Sequence[pl.DataFrame]]
"""A kernel that gives rows for several tables."""

RowsOfGroups = Callable[[Collection[int]], LazyRows]
"""The rows of some groups, by their keys."""

ReportLostGroup = Callable[[int, str], None]
"""Told the key of a group whose rows could not be computed, and why, in Spanish."""

Rendered = TypeVar("Rendered")

Render = Callable[[pl.DataFrame], Rendered]
"""What a stage hands on of a mostrador's rows. It may run in another process, as a `Kernel`."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows of mostradores that a stage leaves for the next under ``prefix``, by the contract of ``table``."""

    table: Table
    prefix: str


class Runner(Protocol):
    """Tables in, kernels over groups of their rows, rows and tables out.

    Whatever is written again takes the place of what was there.
    """

    @property
    def files(self) -> FileStore:
        """Where the job's files are."""
        ...

    @property
    def scratch(self) -> Scratch:
        """Where what is written on the way is."""
        ...

    def scan_table(self, table: Table) -> LazyRows:
        """The table's rows by its contract; none where it was never written."""
        ...

    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        """Rows that are here already, to be joined with others."""
        ...

    def cache_rows(self, rows: LazyRows) -> LazyRows:
        """Rows that are looked at several times: computed once, where the engine can."""
        ...

    def map_groups(
        self,
        key: str,
        groups: Mapping[int, int],
        rows_of: RowsOfGroups,
        kernel: Kernel,
        schema: pl.Schema,
        lose: ReportLostGroup,
    ) -> LazyRows:
        """What ``kernel`` makes of each group: rows of ``schema``. A group without rows is not asked for.

        ``groups`` tells how many mostradores each has; its rows may come without ``key``, which is the same in all.
        """
        ...

    def store_counters(
        self, source: RowsOfGroups | StoredRows, kernel: Kernel, into: StoredRows, work: StageRun
    ) -> None:
        """Leave what ``kernel`` makes of the rows of each mostrador to do for the next stage.

        What it raises for a mostrador is why that one failed.
        """
        ...

    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageRun,
        render: Render[Rendered],
    ) -> Iterator[Rendered]:
        """As `leave`, and hand on what ``render`` makes of all that is left, one mostrador after the other in order.

        Done when all of it was taken.
        """
        ...

    def publish_tables(
        self, source: StoredRows, kernel: MultiTableKernel, tables: Sequence[Table], work: StageRun
    ) -> None:
        """Make what ``kernel`` gives for each of ``tables`` all that they have of the job's mostradores asked for.

        Each in one commit and in this order, the failures first: whoever sees the last sees all of them. The tables
        lie by job.
        """
        ...

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        """Make ``rows`` all that ``table``, which lies by job, has of a job, in one commit."""
        ...
