"""Runner on one machine: Polars, Delta tables and files in folders, and a process pool."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic

import narwhals as nw
import polars as pl
from typing_extensions import override

from ipp.core.contract import Table
from ipp.core.counter_rows import partition_counters
from ipp.core.tables import FAILURES
from ipp.pipeline.runners.counter_batch import (
    CounterSource,
    batch_groups,
    count_fitting,
    read_counter,
)
from ipp.pipeline.runners.process_pool import LostPiece, Made, ProcessPool, try_piece
from ipp.pipeline.runners.runner import (
    GroupedRows,
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
from ipp.storage.lakehouse.table_part import write_part

_LOG: Final = logging.getLogger("ipp.pipeline")

MAX_BATCH_COUNTERS: Final = 16
"""Most counters computed at a time: enough to spread the cost of a call over many rows."""

MAX_PART_COUNTERS: Final = 32
"""Most counters published as one file, because a reader opens every file of a job."""

POOL_THRESHOLD_COUNTERS: Final = 48
"""Below this many counters, starting worker processes costs more than it saves."""

POOL_THRESHOLD_GROUPS: Final = 12
"""Same threshold, for groups."""

_BATCHES_PER_PROCESS: Final = 4
"""Fewest batches per process, so that none waits long for the others at the end."""

_QUEUED_BATCHES: Final = 3
"""Batches queued per process, so that none waits while the next one is joined."""

_QUEUED_GROUPS: Final = 16
"""Groups queued per process while the next batch of groups is read, which takes longer."""

_Batch = dict[int, CounterSource | None]
"""Counters computed together, in their order; without rows, one whose stored result is kept."""


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
        self, source: GroupedRows, kernel: Kernel, schema: pl.Schema, lose: ReportLostGroup
    ) -> LazyRows:
        """Apply ``kernel`` to each group, with the rows of one batch in memory at a time."""
        frames = [pl.DataFrame(schema=schema)]
        pieces = _group_rows(source)
        use_pool = len(source.sizes) >= POOL_THRESHOLD_GROUPS
        for (group, _), result in self.pool.map_pieces(
            _ApplyKernel(kernel), pieces, self.scratch, worth=use_pool, queued=_QUEUED_GROUPS
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
        size = self._batch_size(mostradores, MAX_BATCH_COUNTERS)
        batches = self._counter_batches(source, mostradores, work, size)
        stored = source.table if isinstance(source, StoredRows) else None
        call = _StoreCounters(kernel, stored, into, self.files, render)
        for batch, made in self._map_batches(call, batches, len(mostradores)):
            if isinstance(made, LostPiece):
                self._record_lost(batch, made, work)
                continue
            yield from made
            for mostrador, rows in batch.items():
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
            for table in (FAILURES, *tables):
                (folder / table.title).mkdir()
            call = _PublishCounters(kernel, source.table, tuple(tables), folder)
            size = self._batch_size(todo, MAX_PART_COUNTERS)
            batches = self._counter_batches(source, todo, work, size)
            written = set[str]()
            for batch, name in self._map_batches(call, batches, len(todo)):
                if isinstance(name, LostPiece):
                    self._record_lost(batch, name, work)
                    continue
                written.add(name)
                for mostrador in batch:
                    work.progress(mostrador)
            work.check_any_left()
            for table in tables:
                _remove_others(folder / table.title, written)
            write_part(FAILURES, work.failures_frame().lazy(), folder / FAILURES.title / "all")
            for table in (FAILURES, *tables):
                self._replace_counters(table, folder / table.title, work)

    @override
    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        self.lakehouse.replace_partitions(table, rows.lazy(), [job_id])

    def _replace_counters(self, table: Table, parts: Path, work: StageExecution) -> None:
        """Replace the rows of the job in one commit, except those of counters not asked for."""
        with self.lakehouse.write_lock(table):
            if set(work.asked) != set(work.mostradores):
                kept = self.lakehouse.scan_table(table, [work.job_id]).filter(
                    ~pl.col("mostrador").is_in(work.asked)
                )
                write_part(table, kept, parts / "kept")
            self.lakehouse.replace_with_parts(table, work.job_id, parts)

    def _map_batches(
        self, call: Callable[[_Batch], Made], batches: Iterable[_Batch], counters: int
    ) -> Iterator[tuple[_Batch, Made | LostPiece]]:
        """Yield each batch with its result.

        The counters of a batch that fails, or that kills its process, are tried one by one: only a
        batch of one counter is lost.
        """
        worth = counters >= POOL_THRESHOLD_COUNTERS
        for batch, result in self.pool.map_pieces(
            _TryBatch(call), batches, self.scratch, worth=worth, queued=_QUEUED_BATCHES
        ):
            if not isinstance(result, LostPiece) or len(batch) == 1:
                yield batch, result
            else:
                alone = ({mostrador: rows} for mostrador, rows in batch.items())
                yield from self._map_batches(call, alone, counters)

    def _record_lost(self, batch: _Batch, lost: LostPiece, work: StageExecution) -> None:
        """Record the failure of the counter that is a batch alone, unless its result was kept."""
        for mostrador, rows in batch.items():
            if rows is not None:
                work.record_failure(mostrador, lost.cause)
            else:
                _LOG.warning("%s: mostrador %d left out: %s", work.job_id, mostrador, lost.cause)

    def _batch_size(self, mostradores: Sequence[int], most: int) -> int:
        """Return the counters of a batch, so few that every process gets some batches."""
        if len(mostradores) < POOL_THRESHOLD_COUNTERS:
            return most
        return min(most, -(-len(mostradores) // (_BATCHES_PER_PROCESS * self.pool.size)))

    def _counter_batches(
        self,
        source: RowsOfGroups | StoredRows,
        mostradores: Sequence[int],
        work: StageExecution,
        most: int,
    ) -> Iterator[_Batch]:
        """Yield the counters in batches, each with its rows or their file's path.

        A counter that is not recomputed has None. A batch has at most ``most`` counters, and only
        one until some rows tell how many fit into memory together.
        """
        first, size = 0, 1
        while first < len(mostradores):
            if isinstance(source, StoredRows):
                size = count_fitting(self._stored_path(source, mostradores[first]), most)
            batch = mostradores[first : first + size]
            recomputed = [mostrador for mostrador in batch if work.is_recomputed(mostrador)]
            rows = self._counter_rows(source, recomputed)
            missing = dict.fromkeys(recomputed, LostPiece("No hay renglones del mostrador."))
            yield {mostrador: {**missing, **rows}.get(mostrador) for mostrador in batch}
            first += size
            if rows:
                size = count_fitting(next(iter(rows.values())), most)

    def _counter_rows(
        self, source: RowsOfGroups | StoredRows, mostradores: Sequence[int]
    ) -> Mapping[int, CounterSource]:
        """Return the rows of each counter, or the path of its stored rows, still unread."""
        if isinstance(source, StoredRows):
            return {mostrador: self._stored_path(source, mostrador) for mostrador in mostradores}
        if not mostradores:
            return {}
        return partition_counters(_to_polars(source(mostradores)).collect())

    def _stored_path(self, source: StoredRows, mostrador: int) -> Path | LostPiece:
        return try_piece(self.files.local_path, _parquet_key(source, mostrador))


@dataclass(frozen=True, slots=True)
class _TryBatch(Generic[Made]):
    """Picklable task: a batch by ``call``, or why it failed."""

    call: Callable[[_Batch], Made]

    def __call__(self, batch: _Batch) -> Made | LostPiece:
        return try_piece(self.call, batch)


@dataclass(frozen=True, slots=True)
class _ApplyKernel:
    """Picklable task: apply a kernel to the rows of a group."""

    kernel: Kernel

    def __call__(self, piece: tuple[int, pl.DataFrame]) -> pl.DataFrame | LostPiece:
        return try_piece(self.kernel, piece[1])


@dataclass(frozen=True, slots=True)
class _StoreCounters(Generic[Rendered]):
    """Picklable task: apply a kernel to some counters' rows, store the results and render them.

    Rows given as a path are a Parquet file by the contract ``stored``. A counter without rows is
    not computed: its stored result is rendered.
    """

    kernel: Kernel
    stored: Table | None
    into: StoredRows
    files: FileStore
    render: Render[Rendered]

    def __call__(self, batch: _Batch) -> Sequence[Rendered]:
        rows = _read_batch(self.stored, batch)
        results = partition_counters(self._compute_results(pl.concat(rows))) if rows else {}
        for mostrador, result in results.items():
            with self.files.write_object(self._key(mostrador)) as path:
                _write_rows(result, path)
        frames = [results[m] if m in results else self._read_result(m) for m in batch]
        return [self.render(pl.concat(frames))]

    def _compute_results(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.into.table.conform_rows(self.kernel(rows).lazy()).collect()

    def _read_result(self, mostrador: int) -> pl.DataFrame:
        path = self.files.local_path(self._key(mostrador))
        return read_counter(self.into.table, mostrador, path)

    def _key(self, mostrador: int) -> str:
        return _parquet_key(self.into, mostrador)


@dataclass(frozen=True, slots=True)
class _PublishCounters:
    """Picklable task: apply a kernel to some counters' rows and write a part of each table."""

    kernel: MultiTableKernel
    stored: Table
    tables: tuple[Table, ...]
    folder: Path

    def __call__(self, batch: _Batch) -> str:
        """Return the name of the parts, which are of the table only if this returns."""
        frames = self.kernel(pl.concat(_read_batch(self.stored, batch)))
        name = "-".join(map(str, (next(iter(batch)), len(batch))))
        for index, table in enumerate(self.tables):
            write_part(table, frames[index].lazy(), self.folder / table.title / name)
        return name


def _read_batch(stored: Table | None, batch: _Batch) -> list[pl.DataFrame]:
    """Return the rows of each counter of a batch that is computed."""
    return [
        read_counter(stored, mostrador, source)
        for mostrador, source in batch.items()
        if source is not None
    ]


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove the parts that a batch left before it failed: its counters were tried again."""
    for part in folder.iterdir():
        if part.name not in names:
            part.unlink()


def _group_rows(source: GroupedRows) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield each group that has rows, with its rows."""
    for batch in batch_groups(source.sizes):
        parts = (
            _to_polars(source.rows_of(batch))
            .collect(engine="streaming")
            .partition_by(source.key, as_dict=True, include_key=False)
        )
        yield from ((group, parts.pop((group,))) for group in batch if (group,) in parts)


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
