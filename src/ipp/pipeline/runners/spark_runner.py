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
from ipp.pipeline.runners.process_pool import Lost, attempt
from ipp.pipeline.runners.runner import Kept, Kernel, Kernels, Lose, Made, Render, Rows, RowsOf
from ipp.pipeline.runners.stage_run import Work
from ipp.storage.files.file_store import Files
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.catalog_tables import SparkTables, ddl

if TYPE_CHECKING:  # Databricks brings both
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

TOGETHER: Final = 16
"""Mostradores whose rows are brought to the driver at a time."""

_PARTS: Final = "partes"
"""The folder, beside the files that people open, of what a stage leaves for the next."""

_OF: Final = "de_tabla"
"""The column that tells which table a row is of, where a kernel gives rows for several."""

_WHY: Final = "falla"
"""The column that tells of a mostrador's one row why its kernel failed; null in rows that a kernel made."""

_PUBLISHED: Final = "publicado/"
"""The same, of what was published."""

_TASKS: Final = 400
"""Tasks that groups are spread over, at most."""

_SQL: Final = {
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.String(): "STRING",
    pl.Date(): "DATE",
    pl.Boolean(): "BOOLEAN",
    pl.Binary(): "BINARY",
}

FILES: Final = pl.Schema({"key": pl.String(), "content": pl.Binary()})
"""What a kernel gives whose rows are files."""


@dataclass(frozen=True, slots=True)
class SparkRunner:
    """A `Runner` over ``tables``; what stages leave is Parquet that Spark writes and reads under ``parts``.

    Where that is not where ``files`` are, what is kept is put there too.
    """

    spark: SparkSession
    tables: SparkTables
    files: Files
    parts: Files
    scratch: Scratch

    def scan(self, table: Table) -> Rows:
        """The table's rows by its contract; none where it was never written."""
        return self.tables.scan(table)

    def frame(self, rows: pl.DataFrame) -> Rows:
        """Rows that are here already, sent to the cluster."""
        return _rows(self._send(rows))

    def once(self, rows: Rows) -> Rows:
        """The rows; computed again by each who looks at them, for a serverless cluster keeps nothing."""
        return rows

    def each(
        self, key: str, groups: Mapping[int, int], rows_of: RowsOf, kernel: Kernel, schema: pl.Schema, lose: Lose
    ) -> Rows:
        """What ``kernel`` makes of each group, on whichever machine its rows are brought together.

        It is computed when it is needed: what goes wrong then is the whole stage's, and ``lose`` is not told.
        """
        del lose
        if not groups:
            return _rows(self._send(pl.DataFrame(schema=schema)))
        rows = cast("DataFrame", rows_of(sorted(groups)).to_native())
        return _rows(_applied(kernel, rows, key, len(groups), schema))

    def leave(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, work: Work) -> None:
        """Write what the kernel makes of all mostradores, each where its rows were brought together."""
        self._write(source, kernel, into, work)
        for mostrador in work.kept:
            work.progress(mostrador)

    def keep(
        self, source: RowsOf | Kept, kernel: Kernel, into: Kept, work: Work, render: Render[Made]
    ) -> Iterator[Made]:
        """Write what the kernel makes of all mostradores, then bring back one after the other."""
        self._write(source, kernel, into, work)
        for mostrador, frame in self._parts(into, work.kept):
            yield render(frame)
            work.progress(mostrador)

    def _write(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, work: Work) -> None:
        """Write what the kernel makes of each mostrador to do, and tell which it failed for."""
        todo = work.todo
        conforming = _Conforming(kernel, into.table)
        made = _applied(
            conforming, self._rows(source, todo), "mostrador", len(todo), _with_why(into.table.columns).schema
        )
        made.write.mode("overwrite").parquet(self._place(into.prefix))
        self._tell(into.prefix + _PARTS, work)
        if self.files is not self.parts:
            self._copy(f"{into.prefix}{_PARTS}/")

    def _tell(self, parts: str, work: Work) -> None:
        stored = pl.scan_parquet(Path(self.parts.address(parts)) / "*.parquet").filter(pl.col(_WHY).is_not_null())
        for mostrador, cause in stored.select("mostrador", _WHY).collect().iter_rows():
            work.fail(mostrador, cause)
        work.check()

    def publish(self, source: Kept, kernel: Kernels, tables: Sequence[Table], work: Work) -> None:
        """Replace the job's rows of each table, once the kernels of all mostradores are done."""
        packing = _Packing(kernel, tuple(tables))
        todo = work.todo
        made = _applied(packing, self._rows(source, todo), "mostrador", len(todo), packing.packed.schema)
        made.write.mode("overwrite").parquet(self._place(source.prefix + _PUBLISHED))
        self._tell(source.prefix + _PUBLISHED + _PARTS, work)
        self.tables.replace_job(FAILURES, self._send(work.table()), work.job_id)
        for table in tables:
            self.tables.replace_job(table, self._published(source.prefix, table), work.job_id)
        for mostrador in work.kept:
            work.progress(mostrador)

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        """Replace what the table has of the job."""
        self.tables.replace_job(table, self.spark.createDataFrame(rows.to_arrow()), job_id)

    def published(self, source: Kept, table: Table) -> pl.LazyFrame:
        """What `publish` made of ``source`` for ``table``, read by this process alone."""
        stored = pl.scan_parquet(Path(self._place(source.prefix + _PUBLISHED)) / "*.parquet")
        return table.conform(stored.filter(pl.col(_OF) == table.name))

    def files_of_each(
        self, source: Kept, table: Table, kernel: Kernel, mostradores: int
    ) -> Iterator[tuple[str, bytes]]:
        """What ``kernel`` makes of each mostrador's published rows, a key and a content each, some at a time."""
        rows = self._published(source.prefix, table)
        made = _applied(kernel, rows, "mostrador", mostradores, FILES)
        for key, content in made.toLocalIterator():
            yield key, bytes(content)

    def _send(self, rows: pl.DataFrame) -> DataFrame:
        """Send rows to the cluster with their schema: Spark Connect reads none off a table without rows."""
        return self.spark.createDataFrame(rows.to_arrow(), _ddl(rows.schema))

    def _published(self, prefix: str, table: Table) -> DataFrame:
        packed = self.spark.read.parquet(self._place(prefix + _PUBLISHED))
        return packed.filter(packed[_OF] == table.name).select(*(column.name for column in table.columns))

    def _rows(self, source: RowsOf | Kept, mostradores: Collection[int]) -> DataFrame:
        if isinstance(source, Kept):
            stored = self.spark.read.schema(f"{ddl(source.table)}, `{_WHY}` STRING").parquet(self._place(source.prefix))
            return stored.filter(stored[_WHY].isNull()).drop(_WHY)
        return cast("DataFrame", source(mostradores).to_native())

    def _parts(self, kept: Kept, mostradores: Sequence[int]) -> Iterator[tuple[int, pl.DataFrame]]:
        """The rows of one mostrador after the other, in order of material."""
        stored = pl.scan_parquet(Path(self._place(kept.prefix)) / "*.parquet")
        for first in range(0, len(mostradores), TOGETHER):
            some = mostradores[first : first + TOGETHER]
            together = kept.table.conform(stored.filter(pl.col("mostrador").is_in(some))).sort("material").collect()
            parts = together.partition_by("mostrador", as_dict=True, maintain_order=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in some)

    def _copy(self, prefix: str) -> None:
        """Put the parts where people's files are, by their numbers: Spark names them anew each time."""
        parts = [key for key in self.parts.keys(prefix) if key.endswith(".parquet")]
        for number, key in enumerate(parts):
            with self.files.writing(f"{prefix}{number:05}.parquet") as path:
                shutil.copyfile(self.parts.local(key), path)

    def _place(self, prefix: str) -> str:
        return self.parts.address(f"{prefix}{_PARTS}")


@dataclass(frozen=True, slots=True)
class _Conforming:
    """A kernel whose rows are by the contract of ``table``, each without a failure, or one row with why it failed."""

    kernel: Kernel
    table: Table

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        made = attempt(self.kernel, rows)
        if isinstance(made, Lost):
            return _failed(rows, made, _with_why(self.table.columns))
        return _with_why(self.table.columns).conform(made.lazy()).collect()


@dataclass(frozen=True, slots=True)
class _Packing:
    """A kernel that gives the rows of several tables as one, each with its table's name, or one with why it failed."""

    kernel: Kernels
    tables: tuple[Table, ...]

    @property
    def packed(self) -> Table:
        """Every column of the tables once: of one name they are of one kind."""
        named = {column.name: column for table in self.tables for column in table.columns}
        return _with_why((Column(_OF, _OF, Kind.TEXT, "De qué tabla es el renglón."), *named.values()))

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        packed = self.packed
        found = attempt(self.kernel, rows)
        if isinstance(found, Lost):
            return _failed(rows, found, packed)
        made = [
            packed.conform(table.conform(frame.lazy()).with_columns(pl.lit(table.name).alias(_OF)))
            for table, frame in zip(self.tables, found, strict=True)
        ]
        return pl.concat(made).collect()


def _with_why(columns: Sequence[Column]) -> Table:
    return Table("", "", (*columns, Column(_WHY, _WHY, Kind.TEXT, "Por qué falló el mostrador.")), ())


def _failed(rows: pl.DataFrame, lost: Lost, table: Table) -> pl.DataFrame:
    """The one row of a mostrador whose kernel failed."""
    row = rows.lazy().head(1).select("mostrador", pl.lit(lost.cause).alias(_WHY))
    return table.conform(row).collect()


def _applied(kernel: Kernel, rows: DataFrame, key: str, groups: int, schema: pl.Schema) -> DataFrame:
    """What ``kernel`` makes of each group of ``rows``.

    A kernel costs by its group and not by its bytes, by which Spark would put many into one task.
    """
    spread = rows.repartition(min(groups, _TASKS), key)
    return spread.groupBy(key).applyInArrow(_arrow(kernel, schema), _ddl(schema))


def _arrow(kernel: Kernel, schema: pl.Schema) -> Callable[[pa.Table], pa.Table]:
    """The kernel as Spark calls it, in a process of its own: Arrow in, Arrow of ``schema`` out."""

    def call(rows: pa.Table) -> Any:
        made = kernel(cast("pl.DataFrame", pl.from_arrow(rows)).rechunk())
        arrow = made.select(schema.names()).to_arrow(compat_level=pl.CompatLevel.oldest())
        return arrow.cast(_plain(arrow.schema))

    return call


def _rows(native: DataFrame) -> Rows:
    rows: Rows = nw.from_native(native)
    return rows


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with texts and contents as Spark has them."""
    import pyarrow as pa  # noqa: PLC0415  # Databricks brings it

    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return pa.schema([pa.field(field.name, small.get(field.type, field.type)) for field in schema])


def _ddl(schema: pl.Schema) -> str:
    return ", ".join(f"`{name}` {_SQL[dtype]}" for name, dtype in schema.items())
