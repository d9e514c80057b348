"""Runner on Spark: catalog tables, files on a shared path, a kernel per group.

Uses only what a serverless cluster supports: no cache, no SparkContext, no files or network inside
a kernel.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import narwhals as nw
import polars as pl
from typing_extensions import override

from ipp.core.contract import Column, Kind, Table
from ipp.core.tables import FAILURES
from ipp.pipeline.runners.process_pool import LostPiece, try_piece
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
from ipp.storage.lakehouse.catalog_tables import SparkTables, columns_ddl

if TYPE_CHECKING:  # Databricks provides both.
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

DRIVER_BATCH_COUNTERS: Final = 16
"""Counters whose rows are collected on the driver per batch."""

_PARTS_FOLDER: Final = "partes"
"""Folder of a stage's rows for the next one, beside the files for people."""

_TABLE_COLUMN: Final = "de_tabla"
"""Column with the table of a row, where a kernel returns rows for several tables."""

_FAILURE_COLUMN: Final = "falla"
"""Column with the cause in a failed counter's only row; null in a kernel's rows."""

_PUBLISHED_FOLDER: Final = "publicado/"
"""Folder of the published rows, which has its own `_PARTS_FOLDER`."""

_MAX_TASKS: Final = 400
"""Most tasks that groups are spread over."""

_SQL_TYPES: Final = {
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.String(): "STRING",
    pl.Date(): "DATE",
    pl.Boolean(): "BOOLEAN",
    pl.Binary(): "BINARY",
}

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
        self,
        key: str,
        groups: Mapping[int, int],
        rows_of: RowsOfGroups,
        kernel: Kernel,
        schema: pl.Schema,
        lose: ReportLostGroup,
    ) -> LazyRows:
        """Apply ``kernel`` to each group on the cluster.

        The rows are computed lazily, so an error fails the whole stage and ``lose`` is not called.
        """
        del lose
        if not groups:
            return _lazy_rows(self._send(pl.DataFrame(schema=schema)))
        rows = cast("DataFrame", rows_of(sorted(groups)).to_native())
        return _lazy_rows(_apply_in_arrow(kernel, rows, key, len(groups), schema))

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
        todo = work.counters_to_compute
        conforming = _ConformKernel(kernel, into.table)
        made = _apply_in_arrow(
            conforming,
            self._counter_rows(source, todo),
            "mostrador",
            len(todo),
            _with_failure_column(into.table.columns).schema,
        )
        made.write.mode("overwrite").parquet(self._parts_path(into.prefix))
        self._report_failures(into.prefix + _PARTS_FOLDER, work)
        if self.files is not self.parts:
            self._copy_parts(f"{into.prefix}{_PARTS_FOLDER}/")

    def _report_failures(self, parts: str, work: StageExecution) -> None:
        stored = pl.scan_parquet(Path(self.parts.address(parts)) / "*.parquet").filter(
            pl.col(_FAILURE_COLUMN).is_not_null()
        )
        for mostrador, cause in stored.select("mostrador", _FAILURE_COLUMN).collect().iter_rows():
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
        packing = _PackKernel(kernel, tuple(tables))
        todo = work.counters_to_compute
        made = _apply_in_arrow(
            packing,
            self._counter_rows(source, todo),
            "mostrador",
            len(todo),
            packing.packed_schema.schema,
        )
        made.write.mode("overwrite").parquet(self._parts_path(source.prefix + _PUBLISHED_FOLDER))
        self._report_failures(source.prefix + _PUBLISHED_FOLDER + _PARTS_FOLDER, work)
        self.tables.replace_job(FAILURES, self._send(work.failures_frame()), work.job_id)
        for table in tables:
            self.tables.replace_job(table, self._scan_published(source.prefix, table), work.job_id)
        for mostrador in work.counters_to_keep:
            work.progress(mostrador)

    @override
    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        self.tables.replace_job(table, self.spark.createDataFrame(rows.to_arrow()), job_id)

    def read_published(self, source: StoredRows, table: Table) -> pl.LazyFrame:
        """Return the rows of ``table`` that `publish_tables` computed, read without Spark."""
        stored = pl.scan_parquet(
            Path(self._parts_path(source.prefix + _PUBLISHED_FOLDER)) / "*.parquet"
        )
        return table.conform_rows(stored.filter(pl.col(_TABLE_COLUMN) == table.name))

    def render_files(
        self, source: StoredRows, table: Table, kernel: Kernel, mostradores: int
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the files, key and content, that ``kernel`` renders of each counter's rows."""
        rows = self._scan_published(source.prefix, table)
        made = _apply_in_arrow(kernel, rows, "mostrador", mostradores, FILES_SCHEMA)
        for key, content in made.toLocalIterator():
            yield key, bytes(content)

    def _send(self, rows: pl.DataFrame) -> DataFrame:
        """Send rows to the cluster with a schema, which Spark Connect cannot infer from no rows."""
        return self.spark.createDataFrame(rows.to_arrow(), _schema_ddl(rows.schema))

    def _scan_published(self, prefix: str, table: Table) -> DataFrame:
        packed = self.spark.read.parquet(self._parts_path(prefix + _PUBLISHED_FOLDER))
        return packed.filter(packed[_TABLE_COLUMN] == table.name).select(
            *(column.name for column in table.columns)
        )

    def _counter_rows(
        self, source: RowsOfGroups | StoredRows, mostradores: Collection[int]
    ) -> DataFrame:
        if isinstance(source, StoredRows):
            stored = self.spark.read.schema(
                f"{columns_ddl(source.table)}, `{_FAILURE_COLUMN}` STRING"
            ).parquet(self._parts_path(source.prefix))
            return stored.filter(stored[_FAILURE_COLUMN].isNull()).drop(_FAILURE_COLUMN)
        return cast("DataFrame", source(mostradores).to_native())

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


@dataclass(frozen=True, slots=True)
class _ConformKernel:
    """A kernel with rows by the contract of ``table``, or one row with the cause of failure."""

    kernel: Kernel
    table: Table

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        result = try_piece(self.kernel, rows)
        if isinstance(result, LostPiece):
            return _failure_row(rows, result, _with_failure_column(self.table.columns))
        return _with_failure_column(self.table.columns).conform_rows(result.lazy()).collect()


@dataclass(frozen=True, slots=True)
class _PackKernel:
    """A kernel that packs the rows of several tables into one, or returns a failure row.

    `_TABLE_COLUMN` names the table of each row.
    """

    kernel: MultiTableKernel
    tables: tuple[Table, ...]

    @property
    def packed_schema(self) -> Table:
        """The union of the tables' columns; columns of one name are of one kind."""
        named = {column.name: column for table in self.tables for column in table.columns}
        return _with_failure_column(
            (
                Column(_TABLE_COLUMN, _TABLE_COLUMN, Kind.TEXT, "De qué tabla es el renglón."),
                *named.values(),
            )
        )

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        packed = self.packed_schema
        result = try_piece(self.kernel, rows)
        if isinstance(result, LostPiece):
            return _failure_row(rows, result, packed)
        frames = [
            packed.conform_rows(
                table.conform_rows(frame.lazy()).with_columns(
                    pl.lit(table.name).alias(_TABLE_COLUMN)
                )
            )
            for table, frame in zip(self.tables, result, strict=True)
        ]
        return pl.concat(frames).collect()


def _with_failure_column(columns: Sequence[Column]) -> Table:
    return Table(
        "",
        "",
        (
            *columns,
            Column(_FAILURE_COLUMN, _FAILURE_COLUMN, Kind.TEXT, "Por qué falló el mostrador."),
        ),
        (),
    )


def _failure_row(rows: pl.DataFrame, lost: LostPiece, table: Table) -> pl.DataFrame:
    """Return the only row of a counter whose kernel failed."""
    row = rows.lazy().head(1).select("mostrador", pl.lit(lost.cause).alias(_FAILURE_COLUMN))
    return table.conform_rows(row).collect()


def _apply_in_arrow(
    kernel: Kernel, rows: DataFrame, key: str, groups: int, schema: pl.Schema
) -> DataFrame:
    """Apply ``kernel`` to each group of ``rows``.

    Repartitions by group, because kernels cost per group, whereas Spark sizes tasks by bytes and
    would put many groups into one.
    """
    spread = rows.repartition(min(groups, _MAX_TASKS), key)
    return spread.groupBy(key).applyInArrow(_arrow_kernel(kernel, schema), _schema_ddl(schema))


def _arrow_kernel(kernel: Kernel, schema: pl.Schema) -> Callable[[pa.Table], pa.Table]:
    """Return the kernel as Spark calls it in a worker: Arrow in, Arrow of ``schema`` out."""

    def call(rows: pa.Table) -> Any:
        result = kernel(cast("pl.DataFrame", pl.from_arrow(rows)).rechunk())
        arrow = result.select(schema.names()).to_arrow(compat_level=pl.CompatLevel.oldest())
        return arrow.cast(_spark_schema(arrow.schema))

    return call


def _lazy_rows(native: DataFrame) -> LazyRows:
    rows: LazyRows = nw.from_native(native)
    return rows


def _spark_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with strings and binaries of the types that Spark supports."""
    import pyarrow as pa  # noqa: PLC0415  # Databricks provides it.

    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return pa.schema([pa.field(field.name, small.get(field.type, field.type)) for field in schema])


def _schema_ddl(schema: pl.Schema) -> str:
    return ", ".join(f"`{name}` {_SQL_TYPES[dtype]}" for name, dtype in schema.items())
