"""Runner on Spark: catalog tables, files on a shared path, a kernel per group.

Uses only what a serverless cluster supports: no cache, no SparkContext, no files or network inside
a kernel.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import narwhals as nw
import polars as pl
from typing_extensions import override

from ipp.core.contract import Table
from ipp.core.tables import FAILURES
from ipp.errors import name_some
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
from ipp.pipeline.runners.spark_groups import GroupKernel, GroupMap
from ipp.pipeline.runners.spark_kernel import (
    CONTENT_COLUMN,
    COUNT_COLUMN,
    FAILURE_COLUMN,
    MAX_TASKS,
    PACKED_SCHEMA,
    TABLE_COLUMN,
    ConformKernel,
    PackKernel,
    apply_in_arrow,
    map_cells,
    return_rows,
    schema_ddl,
    unpack_rows,
    with_failure_column,
)
from ipp.pipeline.runners.stage_execution import StageExecution
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.catalog_tables import SparkTables, columns_ddl

if TYPE_CHECKING:  # Databricks provides both.
    from pyspark.sql import DataFrame, SparkSession

DRIVER_BATCH_COUNTERS: Final = 16
"""Counters whose rows are collected on the driver per batch."""

_PARTS_FOLDER: Final = "partes"
"""Folder of a stage's rows for the next one, beside the files for people."""

_PUBLISHED_FOLDER: Final = "publicado/"
"""Folder of the published rows, which has its own `_PARTS_FOLDER`."""

_NO_ROWS_CAUSE: Final = "Faltan los renglones que dejó la etapa anterior."

_DAMAGED_PART_ERRORS: Final = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Polars raises of a file that is missing, cut or changed."""

_COUNTERS_PER_TASK: Final = 4
"""Counters that one task computes, one after the other: the memory is that of one of them.

A task costs as much as a quarter of a counter. With more of them, tasks would be too few and, as
Spark spreads counters by a hash, too unequal to keep all processors busy until the end.
"""

FILES_SCHEMA: Final = pl.Schema({"key": pl.String(), "content": pl.Binary()})
"""Schema of a kernel whose rows are files."""


@dataclass(frozen=True, slots=True)
class SparkRunner(Runner):
    """A `Runner` over ``tables``; Spark stores the rows of stages as Parquet under ``parts``.

    If ``files`` is another store, the stored rows are copied there too.
    """

    spark: SparkSession
    tables: SparkTables
    # A bare annotation would take the protocol's property for the field's default.
    files: FileStore = field()
    parts: FileStore
    scratch: Scratch = field()

    @override
    def scan_table(self, table: Table) -> LazyRows:
        return self.tables.scan_table(table)

    @override
    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        """Send in-memory rows to the cluster and return them as lazy rows."""
        return _lazy_rows(self._send(rows))

    @override
    def cache_rows(self, rows: LazyRows) -> LazyRows:
        """Return ``rows``, recomputed at each use: a serverless cluster has no cache."""
        return rows

    @override
    def map_groups(
        self, source: GroupedRows, kernel: Kernel, schema: pl.Schema, lose: ReportLostGroup
    ) -> LazyRows:
        """Apply ``kernel`` to each group on the cluster, and to the largest on the driver."""
        if not source.sizes:
            return _lazy_rows(self._send(pl.DataFrame(schema=schema)))
        whole = GroupKernel(kernel, source.key, schema)
        return _lazy_rows(GroupMap(self.spark, self.parts, source, whole).apply_kernel(lose))

    @override
    def store_counters(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
    ) -> None:
        self._write_counters(source, kernel, into, work)
        for mostrador in work.counters_to_keep:
            work.progress(mostrador)

    @override
    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
        render: Render[Rendered],
    ) -> Iterator[Rendered]:
        self._write_counters(source, kernel, into, work)
        for mostrador, frame in self._stored_rows(into, work.counters_to_keep):
            yield render(frame)
            work.progress(mostrador)

    def _write_counters(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
    ) -> None:
        """Store the kernel's rows of each counter to compute, and record the failures."""
        conforming = ConformKernel(kernel, into.table)
        schema = with_failure_column(into.table.columns).schema
        self._apply_to_counters(source, conforming, schema, into.prefix, work)
        if self.files is not self.parts:
            self._copy_parts(f"{into.prefix}{_PARTS_FOLDER}/")

    def _apply_to_counters(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        schema: pl.Schema,
        prefix: str,
        work: StageExecution,
    ) -> None:
        """Store the kernel's rows of each counter to compute, and record the failures.

        A file of the stage before that is damaged fails only its own counters.
        """
        todo = work.counters_to_compute

        def write_rows(rows: DataFrame) -> None:
            made = apply_in_arrow(kernel, rows, "mostrador", _count_tasks(len(todo)), schema)
            made.write.mode("overwrite").parquet(self._parts_path(prefix))

        missing = _NO_ROWS_CAUSE
        try:
            write_rows(self._counter_rows(source, todo))
        except Exception:
            # Spark names no counter, and whatever it met may have been the cluster's own trouble.
            damaged, whole = self._check_parts(source)
            if not damaged:
                raise
            missing = f"Un archivo que dejó la etapa anterior está dañado ({name_some(damaged)})."
            write_rows(self._read_parts(cast("StoredRows", source), whole))
        self._report_failures(prefix + _PARTS_FOLDER, missing, work)

    def _check_parts(self, source: RowsOfGroups | StoredRows) -> tuple[list[str], list[str]]:
        """Return the names of the parts that cannot be read, and the paths of the others."""
        damaged, whole = [], []
        if isinstance(source, StoredRows):
            for part in sorted(Path(self._parts_path(source.prefix)).glob("*.parquet")):
                try:
                    pl.read_parquet(part)
                except _DAMAGED_PART_ERRORS:
                    damaged.append(part.name)
                else:
                    whole.append(str(part))
        return damaged, whole

    def _report_failures(self, parts: str, missing: str, work: StageExecution) -> None:
        """Record the counters that failed; ``missing`` is why nothing is left of the others."""
        stored = pl.scan_parquet(Path(self.parts.address(parts)) / "*.parquet")
        causes = dict.fromkeys(work.counters_to_compute, missing)
        told = stored.group_by("mostrador").agg(pl.col(FAILURE_COLUMN).first(ignore_nulls=True))
        for mostrador, cause in told.collect().iter_rows():
            if cause is None:
                causes.pop(mostrador, None)
            else:
                causes[mostrador] = cause
        for mostrador, cause in sorted(causes.items()):
            work.record_failure(mostrador, cause)
        work.check_any_left()

    @override
    def publish_tables(
        self,
        source: StoredRows,
        kernel: MultiTableKernel,
        tables: Sequence[Table],
        work: StageExecution,
    ) -> None:
        """Publish the tables, once the kernels of all counters are done."""
        packing = PackKernel(kernel, tuple(tables))
        prefix = source.prefix + _PUBLISHED_FOLDER
        self._apply_to_counters(source, packing, PACKED_SCHEMA, prefix, work)
        self.tables.replace_job(FAILURES, self._send(work.failures_frame()), work.job_id)
        for table in tables:
            self.tables.replace_job(table, self._scan_published(source.prefix, table), work.job_id)
        for mostrador in work.counters_to_keep:
            work.progress(mostrador)

    @override
    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        self.tables.replace_job(table, self.spark.createDataFrame(rows.to_arrow()), job_id)

    def count_published(self, source: StoredRows, table: Table) -> list[tuple[int, int]]:
        """Return each counter that `publish_tables` has rows of ``table`` for, and their number."""
        packed = self._packed_rows(source, table).select("mostrador", COUNT_COLUMN)
        return packed.sort("mostrador").collect().rows()

    def read_published(
        self, source: StoredRows, table: Table, first: int, last: int
    ) -> pl.DataFrame:
        """Return the rows of ``table`` of the counters ``first`` to ``last``, without Spark."""
        packed = self._packed_rows(source, table).filter(
            pl.col("mostrador").is_between(first, last)
        )
        cells = packed.select(CONTENT_COLUMN).collect().to_series()
        frames = [unpack_rows(table, cell) for cell in cells]
        return pl.concat([pl.DataFrame(schema=table.schema), *frames])

    def render_files(
        self, source: StoredRows, table: Table, kernel: Kernel, mostradores: int
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the files, key and content, that ``kernel`` renders of each counter's rows."""
        cells = self._scan_packed(source.prefix, table)
        tasks = min(_count_tasks(mostradores), MAX_TASKS)
        made = map_cells(table, kernel, cells.repartition(tasks, "mostrador"), FILES_SCHEMA)
        for key, content in made.toLocalIterator():
            yield key, bytes(content)

    def _packed_rows(self, source: StoredRows, table: Table) -> pl.LazyFrame:
        parts = Path(self._parts_path(source.prefix + _PUBLISHED_FOLDER)) / "*.parquet"
        return pl.scan_parquet(parts).filter(pl.col(TABLE_COLUMN) == table.name)

    def _send(self, rows: pl.DataFrame) -> DataFrame:
        """Send rows to the cluster with a schema, which Spark Connect cannot infer from no rows."""
        return self.spark.createDataFrame(rows.to_arrow(), schema_ddl(rows.schema))

    def _scan_published(self, prefix: str, table: Table) -> DataFrame:
        return map_cells(table, return_rows, self._scan_packed(prefix, table), table.schema)

    def _scan_packed(self, prefix: str, table: Table) -> DataFrame:
        packed = self.spark.read.schema(schema_ddl(PACKED_SCHEMA)).parquet(
            self._parts_path(prefix + _PUBLISHED_FOLDER)
        )
        return packed.filter(packed[TABLE_COLUMN] == table.name).select("mostrador", CONTENT_COLUMN)

    def _counter_rows(
        self, source: RowsOfGroups | StoredRows, mostradores: Collection[int]
    ) -> DataFrame:
        if isinstance(source, StoredRows):
            return self._read_parts(source, [self._parts_path(source.prefix)])
        return cast("DataFrame", source(mostradores).to_native())

    def _read_parts(self, source: StoredRows, paths: Sequence[str]) -> DataFrame:
        """Return the rows of the counters that have not failed, from some files or folders."""
        schema = f"{columns_ddl(source.table)}, `{FAILURE_COLUMN}` STRING"
        if not paths:
            return self.spark.createDataFrame([], columns_ddl(source.table))
        stored = self.spark.read.schema(schema).parquet(*paths)
        return stored.filter(stored[FAILURE_COLUMN].isNull()).drop(FAILURE_COLUMN)

    def _stored_rows(
        self, source: StoredRows, mostradores: Sequence[int]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield each counter with its rows, sorted by material."""
        stored = pl.scan_parquet(Path(self._parts_path(source.prefix)) / "*.parquet")
        for first in range(0, len(mostradores), DRIVER_BATCH_COUNTERS):
            batch = mostradores[first : first + DRIVER_BATCH_COUNTERS]
            collected = (
                source.table.conform_rows(stored.filter(pl.col("mostrador").is_in(batch)))
                .sort("material")
                .collect()
            )
            parts = collected.partition_by("mostrador", as_dict=True, maintain_order=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in batch)

    def _copy_parts(self, prefix: str) -> None:
        """Copy the parts to ``files`` by number, because Spark's part names change every run."""
        parts = [key for key in self.parts.list_keys(prefix) if key.endswith(".parquet")]
        for number, key in enumerate(parts):
            with self.files.write_object(f"{prefix}{number:05}.parquet") as path:
                shutil.copyfile(self.parts.local_path(key), path)

    def _parts_path(self, prefix: str) -> str:
        return self.parts.address(f"{prefix}{_PARTS_FOLDER}")


def _count_tasks(mostradores: int) -> int:
    """Return the number of tasks for so many counters."""
    return math.ceil(mostradores / _COUNTERS_PER_TASK)


def _lazy_rows(native: DataFrame) -> LazyRows:
    rows: LazyRows = nw.from_native(native)
    return rows
