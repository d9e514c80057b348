"""Groups of counters on Spark: a kernel each on the cluster, and the largest on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import polars as pl

from ipp.pipeline.runners.process_pool import LostPiece, try_piece
from ipp.pipeline.runners.runner import GroupedRows, Kernel, ReportLostGroup
from ipp.pipeline.runners.spark_kernel import FAILURE_COLUMN, apply_in_arrow, schema_ddl
from ipp.storage.files.file_store import FileStore

if TYPE_CHECKING:  # Databricks provides both.
    from pyspark.sql import DataFrame, SparkSession

KERNEL_MEMORY_BYTES: Final = 750_000_000
"""Memory that a group may take on the cluster: serverless Spark ends a kernel at 1 GB."""

DRIVER_MEMORY_BYTES: Final = 4_000_000_000
"""Memory that a group may take on the driver; a larger one is lost, so that the driver is not."""


@dataclass(frozen=True, slots=True)
class GroupKernel:
    """A kernel that returns its rows by ``schema``, or one row with the cause of its failure.

    Each row also has its group, in the column ``key``.
    """

    kernel: Kernel
    key: str
    schema: pl.Schema

    @property
    def stored_schema(self) -> pl.Schema:
        """The schema of the rows that are stored."""
        return pl.Schema({self.key: pl.Int64(), **self.schema, FAILURE_COLUMN: pl.String()})

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of one group."""
        group = rows[self.key][0]
        result = try_piece(self.kernel, rows)
        if isinstance(result, LostPiece):
            return self.failure_row(group, result.cause)
        return result.select(
            pl.lit(group, pl.Int64()).alias(self.key),
            *self.schema.names(),
            pl.lit(None, pl.String()).alias(FAILURE_COLUMN),
        ).cast(self.stored_schema)

    def failure_row(self, group: int, cause: str) -> pl.DataFrame:
        """Return the only row of a group that failed."""
        row = {self.key: [group], FAILURE_COLUMN: [cause]}
        empty = {name: pl.Series([None], dtype=dtype) for name, dtype in self.stored_schema.items()}
        return pl.DataFrame(empty | row, schema=self.stored_schema)


@dataclass(frozen=True, slots=True)
class GroupMap:
    """Applies ``kernel`` to the groups of ``source``; the rows are stored in ``files`` meanwhile.

    Stored, they are computed once, and a group that failed is known before they are used.
    """

    spark: SparkSession
    files: FileStore
    source: GroupedRows
    kernel: GroupKernel

    def apply_kernel(self, lose: ReportLostGroup) -> DataFrame:
        """Return the rows of all groups, after reporting each that failed to ``lose``."""
        sizes = self.source.sizes
        dense = [group for group in sorted(sizes) if self._group_bytes(group) > KERNEL_MEMORY_BYTES]
        self._store_on_cluster([group for group in sorted(sizes) if group not in set(dense)])
        for group in dense:
            self._store_on_driver(group)
        self._report_failures(lose)
        stored = self.spark.read.schema(schema_ddl(self.kernel.stored_schema)).parquet(self._folder)
        return stored.filter(stored[FAILURE_COLUMN].isNull()).select(*self.kernel.schema.names())

    @property
    def _folder(self) -> str:
        return self.files.address(self.source.prefix.rstrip("/"))

    def _group_bytes(self, group: int) -> int:
        return self.source.sizes[group] * self.source.counter_bytes

    def _store_on_cluster(self, groups: Sequence[int]) -> None:
        """Replace what is stored with the rows of ``groups``, each computed by a task."""
        if groups:
            rows = cast("DataFrame", self.source.rows_of(groups).to_native())
            made = apply_in_arrow(
                self.kernel, rows, self.source.key, len(groups), self.kernel.stored_schema
            )
        else:
            made = self.spark.createDataFrame([], schema_ddl(self.kernel.stored_schema))
        made.write.mode("overwrite").parquet(self._folder)

    def _store_on_driver(self, group: int) -> None:
        """Compute a group that is too large for a kernel's memory here, and store its rows."""
        if (needed := self._group_bytes(group)) > DRIVER_MEMORY_BYTES:
            made = self.kernel.failure_row(
                group,
                f"Su área tiene {self.source.sizes[group]:,} mostradores: calcularlos juntos pide"
                f" {needed / 1e9:,.1f} GB de memoria y hay {DRIVER_MEMORY_BYTES / 1e9:,.1f}.",
            )
        else:
            rows: pl.DataFrame = self.source.rows_of([group]).collect("polars").to_native()
            if rows.is_empty():
                return
            made = self.kernel(rows)
        with self.files.write_object(f"{self.source.prefix}{group}.parquet") as path:
            made.write_parquet(path)

    def _report_failures(self, lose: ReportLostGroup) -> None:
        stored = pl.scan_parquet(Path(self._folder) / "*.parquet", schema=self.kernel.stored_schema)
        failed = stored.filter(pl.col(FAILURE_COLUMN).is_not_null())
        for group, cause in (
            failed.select(self.source.key, FAILURE_COLUMN).sort(self.source.key).collect().rows()
        ):
            lose(group, cause)
