"""Kernels as Spark calls them: Arrow in, Arrow out, and failed counters as rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl

from ipp.core.contract import Column, Kind, Table
from ipp.pipeline.runners.process_pool import LostPiece, try_piece
from ipp.pipeline.runners.runner import Kernel, MultiTableKernel

if TYPE_CHECKING:  # Databricks provides both.
    import pyarrow as pa
    from pyspark.sql import DataFrame

TABLE_COLUMN: Final = "de_tabla"
"""Column with the table whose rows are packed; null in a failed counter's row."""

FAILURE_COLUMN: Final = "falla"
"""Column with the cause in a failed counter's only row; null in a kernel's rows."""

COUNT_COLUMN: Final = "renglones"
CONTENT_COLUMN: Final = "contenido"

PACKED_SCHEMA: Final = pl.Schema(
    {
        "mostrador": pl.Int64(),
        TABLE_COLUMN: pl.String(),
        COUNT_COLUMN: pl.Int64(),
        CONTENT_COLUMN: pl.Binary(),
        FAILURE_COLUMN: pl.String(),
    }
)
"""Schema of published rows before they are in their tables: a cell has a counter's rows of a table.

Spark carries a cell for what would be thousands of rows of forty columns, each of which it converts
on its way from Python, to a file and back. The cell is an Arrow file.
"""

MAX_TASKS: Final = 400
"""Most tasks that groups are spread over."""

_SQL_TYPES: Final = {
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.String(): "STRING",
    pl.Date(): "DATE",
    pl.Boolean(): "BOOLEAN",
    pl.Binary(): "BINARY",
}


@dataclass(frozen=True, slots=True)
class ConformKernel:
    """A kernel with rows by the contract of ``table``, or one row with the cause of failure."""

    kernel: Kernel
    table: Table

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of one counter."""
        result = try_piece(self.kernel, rows)
        if isinstance(result, LostPiece):
            return _failure_row(rows, result, with_failure_column(self.table.columns))
        return with_failure_column(self.table.columns).conform_rows(result.lazy()).collect()


@dataclass(frozen=True, slots=True)
class PackKernel:
    """A kernel that returns a row of `PACKED_SCHEMA` for each table with rows, or a failure."""

    kernel: MultiTableKernel
    tables: tuple[Table, ...]

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the packed rows of one counter."""
        mostrador = rows["mostrador"][0]
        result = try_piece(self.kernel, rows)
        packed: list[tuple[Any, ...]]
        if isinstance(result, LostPiece):
            packed = [(mostrador, None, None, None, result.cause)]
        else:
            packed = [
                (mostrador, table.name, frame.height, _pack_rows(table, frame), None)
                for table, frame in zip(self.tables, result, strict=True)
                if not frame.is_empty()
            ]
        return pl.DataFrame(packed, schema=PACKED_SCHEMA, orient="row")


def _pack_rows(table: Table, frame: pl.DataFrame) -> bytes:
    """Return the rows by the contract of ``table``, as an Arrow file."""
    stream = io.BytesIO()
    table.conform_rows(frame.lazy()).collect().write_ipc(stream, compression="zstd")
    return stream.getvalue()


def unpack_rows(table: Table, cell: bytes) -> pl.DataFrame:
    """Return the rows of `_pack_rows` by the contract of ``table``, which may be narrower."""
    return table.conform_rows(pl.read_ipc(io.BytesIO(cell)).lazy()).collect()


def with_failure_column(columns: Sequence[Column]) -> Table:
    """Return the contract of the rows of a kernel that may fail."""
    return Table(
        "",
        "",
        (
            *columns,
            Column(FAILURE_COLUMN, FAILURE_COLUMN, Kind.TEXT, "Por qué falló el mostrador."),
        ),
        (),
    )


def _failure_row(rows: pl.DataFrame, lost: LostPiece, table: Table) -> pl.DataFrame:
    """Return the only row of a counter whose kernel failed."""
    row = rows.lazy().head(1).select("mostrador", pl.lit(lost.cause).alias(FAILURE_COLUMN))
    return table.conform_rows(row).collect()


def apply_in_arrow(
    kernel: Kernel, rows: DataFrame, key: str, tasks: int, schema: pl.Schema
) -> DataFrame:
    """Apply ``kernel`` to each group of ``rows``, spread over at most `MAX_TASKS` tasks.

    Repartitions by group, because kernels cost per group, whereas Spark sizes tasks by bytes and
    would put many groups into one.
    """
    spread = rows.repartition(min(tasks, MAX_TASKS), key)
    return spread.groupBy(key).applyInArrow(_arrow_kernel(kernel, schema), schema_ddl(schema))


def _arrow_kernel(kernel: Kernel, schema: pl.Schema) -> Callable[[pa.Table], pa.Table]:
    """Return the kernel as Spark calls it in a worker: Arrow in, Arrow of ``schema`` out."""
    convert = _arrow_result(schema)
    return lambda rows: convert(kernel(cast("pl.DataFrame", pl.from_arrow(rows)).rechunk()))


def _arrow_result(schema: pl.Schema) -> Callable[[pl.DataFrame], Any]:
    """Return the conversion of a kernel's rows to an Arrow table of ``schema``."""

    def convert(result: pl.DataFrame) -> Any:
        arrow = result.select(schema.names()).to_arrow(compat_level=pl.CompatLevel.oldest())
        return arrow.cast(_spark_schema(arrow.schema))

    return convert


def return_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows``, as the kernel that only unpacks them."""
    return rows


def map_cells(table: Table, kernel: Kernel, cells: DataFrame, schema: pl.Schema) -> DataFrame:
    """Apply ``kernel`` to the rows of ``table`` in each packed cell, one cell at a time."""
    call = _arrow_result(schema)

    def map_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for cell in batch.column(CONTENT_COLUMN):
                yield from call(kernel(unpack_rows(table, cell.as_py()))).to_batches()

    return cells.mapInArrow(map_batches, schema_ddl(schema))


def _spark_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with strings and binaries of the types that Spark supports."""
    import pyarrow as pa  # noqa: PLC0415  # Databricks provides it.

    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return pa.schema([pa.field(field.name, small.get(field.type, field.type)) for field in schema])


def schema_ddl(schema: pl.Schema) -> str:
    """Return a Polars schema as a Spark DDL schema."""
    return ", ".join(f"`{name}` {_SQL_TYPES[dtype]}" for name, dtype in schema.items())
