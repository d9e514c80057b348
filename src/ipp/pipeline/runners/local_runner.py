"""One machine: Delta tables in a folder, files in another, Polars, and a process for each core."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic

import narwhals as nw
import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import FAILURES
from ipp.pipeline.runners.process_pool import LostPiece, ProcessPool, try_piece
from ipp.pipeline.runners.runner import (
    Kernel,
    LazyRows,
    MultiTableKernel,
    Render,
    Rendered,
    ReportLostGroup,
    RowsOfGroups,
    StoredRows,
)
from ipp.pipeline.runners.stage_run import StageRun
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

JOIN_BATCH_COUNTERS: Final = 32
"""Mostradores whose rows are joined at a time: few enough for any memory, enough for all cores."""

GROUP_BATCH_COUNTERS: Final = 144
"""Mostradores whose rows are brought together in groups at a time: each time all files are opened."""

POOL_THRESHOLD_COUNTERS: Final = 48
"""Mostradores that take longer than more processes take to begin."""

POOL_THRESHOLD_GROUPS: Final = 12
"""The same, of groups."""

_RowSource = pl.DataFrame | Path
"""The rows of a mostrador, or the Parquet that they lie in."""


@dataclass(frozen=True, slots=True)
class LocalRunner:
    """A `Runner` over a lakehouse; what stages leave is one Parquet file a mostrador."""

    lakehouse: Lakehouse
    files: FileStore
    scratch: Scratch
    pool: ProcessPool = field(default_factory=lambda: ProcessPool(1))

    def scan_table(self, table: Table) -> LazyRows:
        """The table's rows by its contract; none where it was never written."""
        return nw.from_native(self.lakehouse.scan_table(table))

    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        """Rows that are here already."""
        return nw.from_native(rows.lazy())

    def cache_rows(self, rows: LazyRows) -> LazyRows:
        """The rows, in memory from now on."""
        return self.from_polars(_to_polars(rows).collect(engine="streaming"))

    def map_groups(
        self,
        key: str,
        groups: Mapping[int, int],
        rows_of: RowsOfGroups,
        kernel: Kernel,
        schema: pl.Schema,
        lose: ReportLostGroup,
    ) -> LazyRows:
        """What ``kernel`` makes of each group; the rows of few are in memory at a time."""
        made = [pl.DataFrame(schema=schema)]
        pieces = _group_rows(key, groups, rows_of)
        worth = len(groups) >= POOL_THRESHOLD_GROUPS
        for (group, _), found in self.pool.map_pieces(
            _ApplyKernel(kernel), pieces, self.scratch, worth=worth
        ):
            if isinstance(found, LostPiece):
                lose(group, found.cause)
            else:
                made.append(found)
        return self.from_polars(pl.concat(made))

    def store_counters(
        self, source: RowsOfGroups | StoredRows, kernel: Kernel, into: StoredRows, work: StageRun
    ) -> None:
        """Write a Parquet for each mostrador to do."""
        deque(
            self._store_and_render(
                source, kernel, into, work, _discard_rows, work.counters_to_compute
            ),
            maxlen=0,
        )

    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageRun,
        render: Render[Rendered],
    ) -> Iterator[Rendered]:
        """Write a Parquet for each mostrador to do and hand on what is left; done when the next is asked for."""
        return self._store_and_render(source, kernel, into, work, render, work.counters_to_keep)

    def _store_and_render(  # as `keep`
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageRun,
        render: Render[Rendered],
        those: Sequence[int],
    ) -> Iterator[Rendered]:
        again = [mostrador for mostrador in those if work.is_recomputed(mostrador)]
        fresh = self._counter_rows(source, again)
        pieces = ((m, next(fresh)[1] if m in work.asked else None) for m in those)
        call = _StoreCounter(
            kernel,
            source.table if isinstance(source, StoredRows) else None,
            into,
            self.files,
            render,
        )
        for (mostrador, rows), found in self.pool.map_pieces(
            call, pieces, self.scratch, worth=len(those) >= POOL_THRESHOLD_COUNTERS
        ):
            if isinstance(found, LostPiece):
                work.record_failure(mostrador, found.cause)
                continue
            yield found
            if rows is not None:
                work.progress(mostrador)
        work.check_any_left()

    def publish_tables(
        self, source: StoredRows, kernel: MultiTableKernel, tables: Sequence[Table], work: StageRun
    ) -> None:
        """Replace what each table has of the mostradores asked for; until the commit nothing of it is seen."""
        todo = work.counters_to_compute
        with self.scratch.temporary_folder() as folder:
            for table in tables:
                (folder / table.title).mkdir()
                pl.DataFrame(schema=table.schema).write_parquet(
                    folder / table.title / "none.parquet"
                )
            call = _PublishCounter(kernel, source.table, tuple(tables), folder)
            pieces = self._counter_rows(source, todo)
            for (mostrador, _), found in self.pool.map_pieces(
                call, pieces, self.scratch, worth=len(todo) >= POOL_THRESHOLD_COUNTERS
            ):
                if isinstance(found, LostPiece):
                    work.record_failure(mostrador, found.cause)
                else:
                    work.progress(mostrador)
            work.check_any_left()
            self._replace_counters(FAILURES, work.failures_frame().lazy(), work)
            for table in tables:
                self._replace_counters(table, pl.scan_parquet(folder / table.title), work)

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        """Replace the job's partition."""
        self.lakehouse.replace_partitions(table, rows.lazy(), [job_id])

    def _replace_counters(self, table: Table, rows: pl.LazyFrame, work: StageRun) -> None:
        with self.lakehouse.write_lock(table):
            if set(work.asked) != set(work.mostradores):
                stored = self.lakehouse.scan_table(table, [work.job_id]).filter(
                    ~pl.col("mostrador").is_in(work.asked)
                )
                rows = pl.concat([stored, table.conform_rows(rows)])
            self.lakehouse.replace_partitions(table, rows, [work.job_id])

    def _counter_rows(
        self, source: RowsOfGroups | StoredRows, mostradores: Sequence[int]
    ) -> Iterator[tuple[int, _RowSource]]:
        """The rows of one mostrador after the other; what was kept is read where it is looked at."""
        if isinstance(source, StoredRows):
            yield from (
                (mostrador, self.files.local_path(_parquet_key(source, mostrador)))
                for mostrador in mostradores
            )
            return
        for first in range(0, len(mostradores), JOIN_BATCH_COUNTERS):
            some = mostradores[first : first + JOIN_BATCH_COUNTERS]
            together = _to_polars(source(some)).collect()
            parts = together.partition_by("mostrador", as_dict=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in some)


@dataclass(frozen=True, slots=True)
class _ApplyKernel:
    """What a kernel makes of the rows of a group."""

    kernel: Kernel

    def __call__(self, piece: tuple[int, pl.DataFrame]) -> pl.DataFrame | LostPiece:
        return try_piece(self.kernel, piece[1])


@dataclass(frozen=True, slots=True)
class _StoreCounter(Generic[Rendered]):
    """Leaves what a kernel makes of a mostrador's rows, which may lie in a Parquet of ``stored``, and renders it.

    A mostrador without rows is not computed: what lies there of it is rendered.
    """

    kernel: Kernel
    stored: Table | None
    into: StoredRows
    files: FileStore
    render: Render[Rendered]

    def __call__(self, piece: tuple[int, _RowSource | None]) -> Rendered | LostPiece:
        mostrador, source = piece
        key = _parquet_key(self.into, mostrador)
        if source is None:
            return self.render(_read_rows(self.into.table, self.files.local_path(key)))
        rows = _read_rows(self.stored, source)
        made = try_piece(self._compute_result, rows)
        if isinstance(made, LostPiece):
            return made
        with self.files.write_object(key) as path:
            _write_rows(made, path)
        return self.render(made)

    def _compute_result(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.into.table.conform_rows(self.kernel(rows).lazy()).collect()


@dataclass(frozen=True, slots=True)
class _PublishCounter:
    """Writes what a kernel makes of a mostrador's rows into a folder for each table."""

    kernel: MultiTableKernel
    stored: Table
    tables: tuple[Table, ...]
    folder: Path

    def __call__(self, piece: tuple[int, _RowSource]) -> LostPiece | None:
        mostrador, source = piece
        made = try_piece(self._compute_result, _read_rows(self.stored, source))
        if isinstance(made, LostPiece):
            return made
        for table, rows in zip(self.tables, made, strict=True):
            _write_rows(rows, self.folder / table.title / f"{mostrador:010}.parquet")
        return None

    def _compute_result(self, processed: pl.DataFrame) -> list[pl.DataFrame]:
        made = zip(self.tables, self.kernel(processed), strict=True)
        return [table.conform_rows(rows.lazy()).collect() for table, rows in made]


def _group_rows(
    key: str, groups: Mapping[int, int], rows_of: RowsOfGroups
) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of one group after the other, of those that have any."""
    for some in _group_batches(groups):
        parts = (
            _to_polars(rows_of(some))
            .collect(engine="streaming")
            .partition_by(key, as_dict=True, include_key=False)
        )
        yield from ((group, parts.pop((group,))) for group in some if (group,) in parts)


def _group_batches(groups: Mapping[int, int]) -> Iterator[list[int]]:
    """The groups in order, as many at a time as have `GROUP_BATCH_COUNTERS` mostradores together, or one that has more."""
    some, mostradores = list[int](), 0
    for group, size in sorted(groups.items()):
        if some and mostradores + size > GROUP_BATCH_COUNTERS:
            yield some
            some, mostradores = [], 0
        some.append(group)
        mostradores += size
    if some:
        yield some


def _read_rows(table: Table | None, source: _RowSource) -> pl.DataFrame:
    """The rows, by the contract of the ``table`` that they were kept by: an older version may have begun the job."""
    if isinstance(source, pl.DataFrame):
        return source
    stored = pl.scan_parquet(source)
    return (stored if table is None else table.conform_rows(stored)).collect()


def _write_rows(rows: pl.DataFrame, path: Path) -> None:
    """Write what is soon read again, whole: quickly, and without what would help to skip some of it."""
    rows.write_parquet(path, compression="lz4", statistics=False)


def _discard_rows(_rows: pl.DataFrame) -> None:
    """Hand nothing on."""


def _parquet_key(kept: StoredRows, mostrador: int) -> str:
    return f"{kept.prefix}{mostrador}.parquet"


def _to_polars(rows: LazyRows) -> pl.LazyFrame:
    native = rows.to_native()
    assert isinstance(native, pl.LazyFrame)  # all rows here came from here
    return native
