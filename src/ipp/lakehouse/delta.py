"""Delta tables in a folder: delta-rs writes them, Polars reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake

from ipp.core.contract import Table

_COMMIT_RETRIES = 8
"""A commit that lost a race is tried again on what the winner left."""


class DeltaLakehouse:
    """A `Lakehouse` under one folder, ``catalog/schema/table`` like the three parts of a table's name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def address(self, table: Table) -> str:
        """The folder the table lies in."""
        return str(self._root.joinpath(*table.name.split(".")))

    def exists(self, table: Table) -> bool:
        """Whether the table was ever written."""
        return DeltaTable.is_deltatable(self.address(table))

    def scan(self, table: Table) -> pl.LazyFrame:
        """The table's rows, lazily, by its contract; no rows where it was never written."""
        if not self.exists(table):
            return pl.LazyFrame(schema=table.schema)
        stored = pl.scan_delta(self.address(table))
        return table.conform(stored.rename(dict(table.names), strict=False))

    def replace(self, table: Table, rows: pl.LazyFrame) -> None:
        """Make ``rows`` the whole table."""
        self._write(table, rows, None)

    def replace_partitions(self, table: Table, rows: pl.LazyFrame, values: Collection[object]) -> None:
        """Make ``rows`` the content of the partitions ``values`` of the table's one partition column."""
        if not values:
            return
        (name,) = table.partition_by
        listed = ", ".join(sorted(_literal(value) for value in values))
        self._write(table, rows, f"{table.labels[name]} IN ({listed})")

    def _write(self, table: Table, rows: pl.LazyFrame, predicate: str | None) -> None:
        location = Path(self.address(table))
        if predicate is not None and not self.exists(table):
            predicate = None
        location.parent.mkdir(parents=True, exist_ok=True)
        stream = table.conform(rows).rename(dict(table.labels)).collect_batches(lazy=True)
        write_deltalake(
            str(location),
            stream,
            mode="overwrite",
            predicate=predicate,
            partition_by=[table.labels[name] for name in table.partition_by] or None,
            commit_properties=CommitProperties(max_commit_retries=_COMMIT_RETRIES),
            writer_properties=WriterProperties(compression="ZSTD"),
        )


def _literal(value: object) -> str:
    """A partition's value as the predicate's SQL wants it; text that could end the literal is refused."""
    if isinstance(value, dt.date):
        return f"'{value.isoformat()}'"
    text = str(value)
    if not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"not a partition value: {text!r}")
    return f"'{text}'"
