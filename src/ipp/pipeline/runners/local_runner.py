"""Runner on one machine: Polars, Delta tables and files in folders, and a process pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic

import narwhals as nw
import polars as pl
from typing_extensions import override

from ipp.core.contract import Table
from ipp.core.counter_rows import partition_counters
from ipp.core.tables import FAILURES
from ipp.pipeline.runners.counter_batch import count_fitting, try_counters
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
from ipp.storage.lakehouse.table_part import write_part

MAX_BATCH_COUNTERS: Final = 16
"""Most counters computed at a time: enough to spread the cost of a call over many rows."""

MAX_PART_COUNTERS: Final = 32
"""Most counters published as one file, because a reader opens every file of a job."""

GROUP_BATCH_COUNTERS: Final = 144
"""Counters collected per batch of groups: large, because every batch opens all files."""

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

_RowSource = pl.DataFrame | Path
"""The rows of a counter, or the Parquet file that holds them."""

_Batch = dict[int, _RowSource | None]
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
        for batch, result in self._map_batches(call, batches, len(mostradores)):
            for mostrador, cause in result.causes.items():
                work.record_failure(mostrador, cause)
            yield from result.made
            for mostrador, rows in batch.items():
                if rows is not None and mostrador not in result.causes:
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
            for batch, result in self._map_batches(call, batches, len(todo)):
                for mostrador in batch:
                    if mostrador in result.causes:
                        work.record_failure(mostrador, result.causes[mostrador])
                    else:
                        work.progress(mostrador)
            work.check_any_left()
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
        self,
        call: Callable[[_Batch], _BatchResult[Rendered]],
        batches: Iterable[_Batch],
        counters: int,
    ) -> Iterator[tuple[_Batch, _BatchResult[Rendered]]]:
        """Yield each batch with its result; a counter that kills its process is lost alone."""
        worth = counters >= POOL_THRESHOLD_COUNTERS
        for batch, result in self.pool.map_pieces(
            call, batches, self.scratch, worth=worth, queued=_QUEUED_BATCHES
        ):
            if not isinstance(result, LostPiece):
                yield batch, result
            elif len(batch) == 1:
                yield batch, _BatchResult((), dict.fromkeys(batch, result.cause))
            else:
                alone = ({mostrador: rows} for mostrador, rows in batch.items())
                yield from self._map_batches(call, alone, counters)

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
            yield {mostrador: rows.get(mostrador) for mostrador in batch}
            first += size
            if rows:
                size = count_fitting(next(iter(rows.values())), most)

    def _counter_rows(
        self, source: RowsOfGroups | StoredRows, mostradores: Sequence[int]
    ) -> Mapping[int, _RowSource]:
        """Return the rows of each counter, or the path of its stored rows, still unread."""
        if isinstance(source, StoredRows):
            return {mostrador: self._stored_path(source, mostrador) for mostrador in mostradores}
        if not mostradores:
            return {}
        return partition_counters(_to_polars(source(mostradores)).collect())

    def _stored_path(self, source: StoredRows, mostrador: int) -> Path:
        return self.files.local_path(_parquet_key(source, mostrador))


@dataclass(frozen=True, slots=True)
class _BatchResult(Generic[Rendered]):
    """What was ``made`` of a batch, and the ``causes`` of the counters that failed, in Spanish."""

    made: Sequence[Rendered]
    causes: Mapping[int, str]


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

    def __call__(self, batch: _Batch) -> _BatchResult[Rendered]:
        rows = {m: _read_rows(self.stored, own) for m, own in batch.items() if own is not None}
        made, causes = try_counters(self._compute_results, rows)
        results = {m: own for part in made for m, own in partition_counters(part).items()}
        for mostrador, result in results.items():
            with self.files.write_object(self._key(mostrador)) as path:
                _write_rows(result, path)
        left = [mostrador for mostrador in batch if mostrador not in causes]
        frames = [results[m] if m in results else self._read_result(m) for m in left]
        return _BatchResult([self.render(pl.concat(frames))] if frames else [], causes)

    def _compute_results(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.into.table.conform_rows(self.kernel(rows).lazy()).collect()

    def _read_result(self, mostrador: int) -> pl.DataFrame:
        return _read_rows(self.into.table, self.files.local_path(self._key(mostrador)))

    def _key(self, mostrador: int) -> str:
        return _parquet_key(self.into, mostrador)


@dataclass(frozen=True, slots=True)
class _PublishCounters:
    """Picklable task: apply a kernel to some counters' rows and write a part of each table."""

    kernel: MultiTableKernel
    stored: Table
    tables: tuple[Table, ...]
    folder: Path

    def __call__(self, batch: _Batch) -> _BatchResult[None]:
        rows = {m: _read_rows(self.stored, own) for m, own in batch.items() if own is not None}
        made, causes = try_counters(self.kernel, rows)
        for index, table in enumerate(self.tables if made else ()):
            parts = [table.conform_rows(frames[index].lazy()) for frames in made]
            name = "-".join(map(str, (next(iter(batch)), len(batch))))
            write_part(table, pl.concat(parts), self.folder / table.title / name)
        return _BatchResult((), causes)


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
