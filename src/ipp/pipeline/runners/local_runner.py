"""Runner on one machine: Polars, Delta tables and files in folders, and a process pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic

import narwhals as nw
import polars as pl
from typing_extensions import override

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
    Runner,
    StoredRows,
)
from ipp.pipeline.runners.stage_execution import StageExecution
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

JOIN_BATCH_COUNTERS: Final = 32
"""Counters joined per batch: few enough for memory, enough to keep all cores busy."""

GROUP_BATCH_COUNTERS: Final = 144
"""Counters collected per batch of groups: large, because every batch opens all files."""

POOL_THRESHOLD_COUNTERS: Final = 48
"""Below this many counters, starting worker processes costs more than it saves."""

POOL_THRESHOLD_GROUPS: Final = 12
"""Same threshold, for groups."""

_RowSource = pl.DataFrame | Path
"""The rows of a counter, or the Parquet file that holds them."""


@dataclass(frozen=True, slots=True)
class LocalRunner(Runner):
    """A `Runner` over a lakehouse; stages store one Parquet file per counter."""

    lakehouse: Lakehouse
    # A bare annotation would take the protocol's property for the field's default.
    files: FileStore = field()
    scratch: Scratch = field()
    pool: ProcessPool = field(default_factory=lambda: ProcessPool(1))

    @override
    def scan_table(self, table: Table) -> LazyRows:
        return nw.from_native(self.lakehouse.scan_table(table))

    @override
    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        return nw.from_native(rows.lazy())

    @override
    def cache_rows(self, rows: LazyRows) -> LazyRows:
        """Collect the rows into memory."""
        return self.from_polars(_to_polars(rows).collect(engine="streaming"))

    @override
    def map_groups(
        self,
        key: str,
        groups: Mapping[int, int],
        rows_of: RowsOfGroups,
        kernel: Kernel,
        schema: pl.Schema,
        lose: ReportLostGroup,
    ) -> LazyRows:
        """Apply ``kernel`` to each group, with the rows of one batch in memory at a time."""
        frames = [pl.DataFrame(schema=schema)]
        pieces = _group_rows(key, groups, rows_of)
        use_pool = len(groups) >= POOL_THRESHOLD_GROUPS
        for (group, _), result in self.pool.map_pieces(
            _ApplyKernel(kernel), pieces, self.scratch, worth=use_pool
        ):
            if isinstance(result, LostPiece):
                lose(group, result.cause)
            else:
                frames.append(result)
        return self.from_polars(pl.concat(frames))

    @override
    def store_counters(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
    ) -> None:
        deque(
            self._store_and_render(
                source, kernel, into, work, _discard_rows, work.counters_to_compute
            ),
            maxlen=0,
        )

    @override
    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
        render: Render[Rendered],
    ) -> Iterator[Rendered]:
        # A counter counts as done once the next one is requested.
        return self._store_and_render(source, kernel, into, work, render, work.counters_to_keep)

    def _store_and_render(  # Shared by `store_counters` and `store_and_render`.
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
        render: Render[Rendered],
        mostradores: Sequence[int],
    ) -> Iterator[Rendered]:
        recomputed = [mostrador for mostrador in mostradores if work.is_recomputed(mostrador)]
        fresh = self._counter_rows(source, recomputed)
        # ``fresh`` yields only recomputed counters, in the same order, so each takes the next one
        # and the others get None. With 1 and 3 of 1, 2, 3 recomputed: (1, a), (2, None), (3, c).
        pieces = ((m, next(fresh)[1] if m in work.asked else None) for m in mostradores)
        call = _StoreCounter(
            kernel,
            source.table if isinstance(source, StoredRows) else None,
            into,
            self.files,
            render,
        )
        for (mostrador, rows), result in self.pool.map_pieces(
            call, pieces, self.scratch, worth=len(mostradores) >= POOL_THRESHOLD_COUNTERS
        ):
            if isinstance(result, LostPiece):
                work.record_failure(mostrador, result.cause)
                continue
            yield result
            if rows is not None:
                work.progress(mostrador)
        work.check_any_left()

    @override
    def publish_tables(
        self,
        source: StoredRows,
        kernel: MultiTableKernel,
        tables: Sequence[Table],
        work: StageExecution,
    ) -> None:
        todo = work.counters_to_compute
        with self.scratch.temporary_folder() as folder:
            for table in tables:
                (folder / table.title).mkdir()
                pl.DataFrame(schema=table.schema).write_parquet(
                    folder / table.title / "none.parquet"
                )
            call = _PublishCounter(kernel, source.table, tuple(tables), folder)
            pieces = self._counter_rows(source, todo)
            for (mostrador, _), result in self.pool.map_pieces(
                call, pieces, self.scratch, worth=len(todo) >= POOL_THRESHOLD_COUNTERS
            ):
                if isinstance(result, LostPiece):
                    work.record_failure(mostrador, result.cause)
                else:
                    work.progress(mostrador)
            work.check_any_left()
            self._replace_counters(FAILURES, work.failures_frame().lazy(), work)
            for table in tables:
                self._replace_counters(table, pl.scan_parquet(folder / table.title), work)

    @override
    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        self.lakehouse.replace_partitions(table, rows.lazy(), [job_id])

    def _replace_counters(self, table: Table, rows: pl.LazyFrame, work: StageExecution) -> None:
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
        """Yield each counter with its rows, or with the path of its stored rows, still unread."""
        if isinstance(source, StoredRows):
            yield from (
                (mostrador, self.files.local_path(_parquet_key(source, mostrador)))
                for mostrador in mostradores
            )
            return
        for first in range(0, len(mostradores), JOIN_BATCH_COUNTERS):
            batch = mostradores[first : first + JOIN_BATCH_COUNTERS]
            joined = _to_polars(source(batch)).collect()
            parts = joined.partition_by("mostrador", as_dict=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in batch)


@dataclass(frozen=True, slots=True)
class _ApplyKernel:
    """Picklable task: apply a kernel to the rows of a group."""

    kernel: Kernel

    def __call__(self, piece: tuple[int, pl.DataFrame]) -> pl.DataFrame | LostPiece:
        return try_piece(self.kernel, piece[1])


@dataclass(frozen=True, slots=True)
class _StoreCounter(Generic[Rendered]):
    """Picklable task: apply a kernel to a counter's rows, store the result and render it.

    Rows given as a path are a Parquet file by the contract ``stored``. A counter without rows is
    not computed: its stored result is rendered.
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
        result = try_piece(self._compute_result, rows)
        if isinstance(result, LostPiece):
            return result
        with self.files.write_object(key) as path:
            _write_rows(result, path)
        return self.render(result)

    def _compute_result(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.into.table.conform_rows(self.kernel(rows).lazy()).collect()


@dataclass(frozen=True, slots=True)
class _PublishCounter:
    """Picklable task: apply a kernel to a counter's rows and write a file per table."""

    kernel: MultiTableKernel
    stored: Table
    tables: tuple[Table, ...]
    folder: Path

    def __call__(self, piece: tuple[int, _RowSource]) -> LostPiece | None:
        mostrador, source = piece
        result = try_piece(self._compute_result, _read_rows(self.stored, source))
        if isinstance(result, LostPiece):
            return result
        for table, rows in zip(self.tables, result, strict=True):
            _write_rows(rows, self.folder / table.title / f"{mostrador:010}.parquet")
        return None

    def _compute_result(self, processed: pl.DataFrame) -> list[pl.DataFrame]:
        pairs = zip(self.tables, self.kernel(processed), strict=True)
        return [table.conform_rows(rows.lazy()).collect() for table, rows in pairs]


def _group_rows(
    key: str, groups: Mapping[int, int], rows_of: RowsOfGroups
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield each group that has rows, with its rows."""
    for batch in _group_batches(groups):
        parts = (
            _to_polars(rows_of(batch))
            .collect(engine="streaming")
            .partition_by(key, as_dict=True, include_key=False)
        )
        yield from ((group, parts.pop((group,))) for group in batch if (group,) in parts)


def _group_batches(groups: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield sorted groups in batches of at most `GROUP_BATCH_COUNTERS` counters.

    A group with more counters forms a batch alone.
    """
    batch, mostradores = list[int](), 0
    for group, size in sorted(groups.items()):
        if batch and mostradores + size > GROUP_BATCH_COUNTERS:
            yield batch
            batch, mostradores = [], 0
        batch.append(group)
        mostradores += size
    if batch:
        yield batch


def _read_rows(table: Table | None, source: _RowSource) -> pl.DataFrame:
    """Return the rows, read by today's contract ``table`` if they are stored.

    An older version may have started the job and stored rows by an older contract.
    """
    if isinstance(source, pl.DataFrame):
        return source
    stored = pl.scan_parquet(source)
    return (stored if table is None else table.conform_rows(stored)).collect()


def _write_rows(rows: pl.DataFrame, path: Path) -> None:
    """Write rows that are soon read whole: fast compression, no statistics for skipping."""
    rows.write_parquet(path, compression="lz4", statistics=False)


def _discard_rows(_rows: pl.DataFrame) -> None:
    """Render nothing."""


def _parquet_key(stored: StoredRows, mostrador: int) -> str:
    return f"{stored.prefix}{mostrador}.parquet"


def _to_polars(rows: LazyRows) -> pl.LazyFrame:
    native = rows.to_native()
    assert isinstance(native, pl.LazyFrame)  # All rows come from this runner.
    return native
