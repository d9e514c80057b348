"""Spark: tables of a catalog, files on a path that every machine of the cluster sees, a kernel for each group.

What a serverless cluster does not have is not used: no cache, no context, no file or network inside a kernel.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import narwhals as nw
import polars as pl

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
    StoredRows,
)
from ipp.pipeline.runners.stage_run import StageRun
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.catalog_tables import SparkTables, columns_ddl

if TYPE_CHECKING:  # Databricks brings both
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

DRIVER_BATCH_COUNTERS: Final = 16
"""Mostradores whose rows are brought to the driver at a time."""

_PARTS_FOLDER: Final = "partes"
"""The folder, beside the files that people open, of what a stage leaves for the next."""

_TABLE_COLUMN: Final = "de_tabla"
"""The column that tells which table a row is of, where a kernel gives rows for several."""

_FAILURE_COLUMN: Final = "falla"
"""The column that tells of a mostrador's one row why its kernel failed; null in rows that a kernel made."""

_PUBLISHED_FOLDER: Final = "publicado/"
"""The same, of what was published."""

_MAX_TASKS: Final = 400
"""Tasks that groups are spread over, at most."""

_SQL_TYPES: Final = {
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.String(): "STRING",
    pl.Date(): "DATE",
    pl.Boolean(): "BOOLEAN",
    pl.Binary(): "BINARY",
}

FILES_SCHEMA: Final = pl.Schema({"key": pl.String(), "content": pl.Binary()})
"""What a kernel gives whose rows are files."""


@dataclass(frozen=True, slots=True)
class SparkRunner:
    """A `Runner` over ``tables``; what stages leave is Parquet that Spark writes and reads under ``parts``.

    Where that is not where ``files`` are, what is kept is put there too.
    """

    spark: SparkSession
    tables: SparkTables
    files: FileStore
    parts: FileStore
    scratch: Scratch

    def scan_table(self, table: Table) -> LazyRows:
        """The table's rows by its contract; none where it was never written."""
        return self.tables.scan_table(table)

    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        """Rows that are here already, sent to the cluster."""
        return _lazy_rows(self._send(rows))

    def cache_rows(self, rows: LazyRows) -> LazyRows:
        """The rows; computed again by each who looks at them, for a serverless cluster keeps nothing."""
        return rows

    def map_groups(
        self,
        key: str,
        groups: Mapping[int, int],
        rows_of: RowsOfGroups,
        kernel: Kernel,
        schema: pl.Schema,
        lose: ReportLostGroup,
    ) -> LazyRows:
        """What ``kernel`` makes of each group, on whichever machine its rows are brought together.

        It is computed when it is needed: what goes wrong then is the whole stage's, and ``lose`` is not told.
        """
        del lose
        if not groups:
            return _lazy_rows(self._send(pl.DataFrame(schema=schema)))
        rows = cast("DataFrame", rows_of(sorted(groups)).to_native())
        return _lazy_rows(_apply_in_arrow(kernel, rows, key, len(groups), schema))

    def store_counters(
        self, source: RowsOfGroups | StoredRows, kernel: Kernel, into: StoredRows, work: StageRun
    ) -> None:
        """Write what the kernel makes of all mostradores, each where its rows were brought together."""
        self._write_counters(source, kernel, into, work)
        for mostrador in work.counters_to_keep:
            work.progress(mostrador)

    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageRun,
        render: Render[Rendered],
    ) -> Iterator[Rendered]:
        """Write what the kernel makes of all mostradores, then bring back one after the other."""
        self._write_counters(source, kernel, into, work)
        for mostrador, frame in self._stored_rows(into, work.counters_to_keep):
            yield render(frame)
            work.progress(mostrador)

    def _write_counters(
        self, source: RowsOfGroups | StoredRows, kernel: Kernel, into: StoredRows, work: StageRun
    ) -> None:
        """Write what the kernel makes of each mostrador to do, and tell which it failed for."""
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

    def _report_failures(self, parts: str, work: StageRun) -> None:
        stored = pl.scan_parquet(Path(self.parts.address(parts)) / "*.parquet").filter(
            pl.col(_FAILURE_COLUMN).is_not_null()
        )
        for mostrador, cause in stored.select("mostrador", _FAILURE_COLUMN).collect().iter_rows():
            work.record_failure(mostrador, cause)
        work.check_any_left()

    def publish_tables(
        self, source: StoredRows, kernel: MultiTableKernel, tables: Sequence[Table], work: StageRun
    ) -> None:
        """Replace the job's rows of each table, once the kernels of all mostradores are done."""
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

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        """Replace what the table has of the job."""
        self.tables.replace_job(table, self.spark.createDataFrame(rows.to_arrow()), job_id)

    def read_published(self, source: StoredRows, table: Table) -> pl.LazyFrame:
        """What `publish` made of ``source`` for ``table``, read by this process alone."""
        stored = pl.scan_parquet(
            Path(self._parts_path(source.prefix + _PUBLISHED_FOLDER)) / "*.parquet"
        )
        return table.conform_rows(stored.filter(pl.col(_TABLE_COLUMN) == table.name))

    def render_files(
        self, source: StoredRows, table: Table, kernel: Kernel, mostradores: int
    ) -> Iterator[tuple[str, bytes]]:
        """What ``kernel`` makes of each mostrador's published rows, a key and a content each, some at a time."""
        rows = self._scan_published(source.prefix, table)
        made = _apply_in_arrow(kernel, rows, "mostrador", mostradores, FILES_SCHEMA)
        for key, content in made.toLocalIterator():
            yield key, bytes(content)

    def _send(self, rows: pl.DataFrame) -> DataFrame:
        """Send rows to the cluster with their schema: Spark Connect reads none off a table without rows."""
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
        self, kept: StoredRows, mostradores: Sequence[int]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """The rows of one mostrador after the other, in order of material."""
        stored = pl.scan_parquet(Path(self._parts_path(kept.prefix)) / "*.parquet")
        for first in range(0, len(mostradores), DRIVER_BATCH_COUNTERS):
            some = mostradores[first : first + DRIVER_BATCH_COUNTERS]
            together = (
                kept.table.conform_rows(stored.filter(pl.col("mostrador").is_in(some)))
                .sort("material")
                .collect()
            )
            parts = together.partition_by("mostrador", as_dict=True, maintain_order=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in some)

    def _copy_parts(self, prefix: str) -> None:
        """Put the parts where people's files are, by their numbers: Spark names them anew each time."""
        parts = [key for key in self.parts.list_keys(prefix) if key.endswith(".parquet")]
        for number, key in enumerate(parts):
            with self.files.write_object(f"{prefix}{number:05}.parquet") as path:
                shutil.copyfile(self.parts.local_path(key), path)

    def _parts_path(self, prefix: str) -> str:
        return self.parts.address(f"{prefix}{_PARTS_FOLDER}")


@dataclass(frozen=True, slots=True)
class _ConformKernel:
    """A kernel whose rows are by the contract of ``table``, each without a failure, or one row with why it failed."""

    kernel: Kernel
    table: Table

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        made = try_piece(self.kernel, rows)
        if isinstance(made, LostPiece):
            return _failure_row(rows, made, _with_failure_column(self.table.columns))
        return _with_failure_column(self.table.columns).conform_rows(made.lazy()).collect()


@dataclass(frozen=True, slots=True)
class _PackKernel:
    """A kernel that gives the rows of several tables as one, each with its table's name, or one with why it failed."""

    kernel: MultiTableKernel
    tables: tuple[Table, ...]

    @property
    def packed_schema(self) -> Table:
        """Every column of the tables once: of one name they are of one kind."""
        named = {column.name: column for table in self.tables for column in table.columns}
        return _with_failure_column(
            (
                Column(_TABLE_COLUMN, _TABLE_COLUMN, Kind.TEXT, "De qué tabla es el renglón."),
                *named.values(),
            )
        )

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        packed = self.packed_schema
        found = try_piece(self.kernel, rows)
        if isinstance(found, LostPiece):
            return _failure_row(rows, found, packed)
        made = [
            packed.conform_rows(
                table.conform_rows(frame.lazy()).with_columns(
                    pl.lit(table.name).alias(_TABLE_COLUMN)
                )
            )
            for table, frame in zip(self.tables, found, strict=True)
        ]
        return pl.concat(made).collect()


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
    """The one row of a mostrador whose kernel failed."""
    row = rows.lazy().head(1).select("mostrador", pl.lit(lost.cause).alias(_FAILURE_COLUMN))
    return table.conform_rows(row).collect()


def _apply_in_arrow(
    kernel: Kernel, rows: DataFrame, key: str, groups: int, schema: pl.Schema
) -> DataFrame:
    """What ``kernel`` makes of each group of ``rows``.

    A kernel costs by its group and not by its bytes, by which Spark would put many into one task.
    """
    spread = rows.repartition(min(groups, _MAX_TASKS), key)
    return spread.groupBy(key).applyInArrow(_arrow_kernel(kernel, schema), _schema_ddl(schema))


def _arrow_kernel(kernel: Kernel, schema: pl.Schema) -> Callable[[pa.Table], pa.Table]:
    """The kernel as Spark calls it, in a process of its own: Arrow in, Arrow of ``schema`` out."""

    def call(rows: pa.Table) -> Any:
        made = kernel(cast("pl.DataFrame", pl.from_arrow(rows)).rechunk())
        arrow = made.select(schema.names()).to_arrow(compat_level=pl.CompatLevel.oldest())
        return arrow.cast(_spark_schema(arrow.schema))

    return call


def _lazy_rows(native: DataFrame) -> LazyRows:
    rows: LazyRows = nw.from_native(native)
    return rows


def _spark_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with texts and contents as Spark has them."""
    import pyarrow as pa  # noqa: PLC0415  # Databricks brings it

    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return pa.schema([pa.field(field.name, small.get(field.type, field.type)) for field in schema])


def _schema_ddl(schema: pl.Schema) -> str:
    return ", ".join(f"`{name}` {_SQL_TYPES[dtype]}" for name, dtype in schema.items())
