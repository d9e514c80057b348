"""Tables by contract on Spark: in a Databricks catalog, or as Parquet in folders.

They do only what the stages need: read a table whole, and replace the rows of a job in one commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import narwhals as nw
from typing_extensions import override

from ipp.core.contract import Kind, Table
from ipp.storage.lakehouse.commit_retry import retry_lost_commits
from ipp.storage.table_ddl import create_table_sql

# Databricks ships PySpark, and a laptop that computes with Polars does not need it.
if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NARWHALS_TYPES: Final = {
    Kind.ID: nw.Int64(),
    Kind.TEXT: nw.String(),
    Kind.NUMBER: nw.Float64(),
    Kind.COUNT: nw.Int64(),
    Kind.DATE: nw.Date(),
    Kind.FLAG: nw.Boolean(),
}


class SparkTables(Protocol):
    """Tables by contract, read by the names in code, stored under the names people read."""

    def scan_table(self, table: Table) -> nw.LazyFrame[Any]:
        """Return the table's rows by its contract; empty if it was never written."""
        ...

    def replace_job(self, table: Table, rows: DataFrame, job_id: str) -> None:
        """Replace the rows of ``job_id`` in ``table`` with ``rows``, in one commit.

        ``rows`` has the columns by their names in code.
        """
        ...


class CatalogTables(SparkTables):
    """Delta tables of ``catalog``, by their three-part names."""

    def __init__(self, spark: SparkSession, catalog: str) -> None:
        self._spark = spark
        self._catalog = catalog

    @override
    def scan_table(self, table: Table) -> nw.LazyFrame[Any]:
        name = table.full_name(self._catalog)
        if not self._spark.catalog.tableExists(name):
            return _empty_rows(self._spark, table)
        return _conform_rows(self._spark.read.table(name), table)

    @override
    def replace_job(self, table: Table, rows: DataFrame, job_id: str) -> None:
        """Replace the rows of ``job_id``, creating the table or adding new columns if needed.

        Other jobs may do the same at once.
        """
        (partition,) = table.partition_by
        name = table.full_name(self._catalog)
        writer = (
            _label_columns(rows, table)
            .write.format("delta")
            .mode("overwrite")
            .option("mergeSchema", "true")
            .option("replaceWhere", f"{table.labels[partition]} = '{_check_job_id(job_id)}'")
        )
        retry_lost_commits(lambda: self._spark.sql(create_table_sql(table, name)))
        retry_lost_commits(lambda: writer.saveAsTable(name))


class FolderTables(SparkTables):
    """Hive-partitioned Parquet in ``root/catalog/schema/table``; for Spark without Delta."""

    def __init__(self, spark: SparkSession, root: Path, catalog: str) -> None:
        self._spark = spark
        self._root = root
        self._catalog = catalog

    @override
    def scan_table(self, table: Table) -> nw.LazyFrame[Any]:
        folder = self._table_folder(table)
        if not any(folder.rglob("*.parquet")):
            return _empty_rows(self._spark, table)
        return _conform_rows(
            self._spark.read.schema(columns_ddl(table, labels=True)).parquet(str(folder)), table
        )

    @override
    def replace_job(self, table: Table, rows: DataFrame, job_id: str) -> None:
        """Replace the rows of ``job_id``; other jobs' folders are left untouched."""
        (partition,) = table.partition_by
        target = self._table_folder(table) / f"{table.labels[partition]}={_check_job_id(job_id)}"
        _label_columns(rows, table).drop(table.labels[partition]).write.mode("overwrite").parquet(
            str(target)
        )

    def _table_folder(self, table: Table) -> Path:
        return self._root.joinpath(*table.full_name(self._catalog).split("."))


def columns_ddl(table: Table, *, labels: bool = False) -> str:
    """Return the columns of ``table`` and their types as a Spark DDL schema."""
    return ", ".join(f"`{c.label if labels else c.name}` {c.kind.sql}" for c in table.columns)


def _conform_rows(stored: DataFrame, table: Table) -> nw.LazyFrame[Any]:
    """Return the columns of the contract, in order and type; a missing one is null."""
    stored_labels = set(stored.columns)
    frame: nw.LazyFrame[Any] = nw.from_native(stored)
    return frame.select(
        (nw.col(c.label) if c.label in stored_labels else nw.lit(None))
        .cast(_NARWHALS_TYPES[c.kind])
        .alias(c.name)
        for c in table.columns
    )


def _empty_rows(spark: SparkSession, table: Table) -> nw.LazyFrame[Any]:
    frame: nw.LazyFrame[Any] = nw.from_native(spark.createDataFrame([], columns_ddl(table)))
    return frame


def _label_columns(rows: DataFrame, table: Table) -> DataFrame:
    return rows.select(*(rows[c.name].alias(c.label) for c in table.columns))


def _check_job_id(job_id: str) -> str:
    """Return ``job_id`` if it is safe to quote in SQL. Raises ValueError if it is not."""
    if not job_id.replace("-", "").isalnum():
        raise ValueError(f"not a job's id: {job_id!r}")
    return job_id
