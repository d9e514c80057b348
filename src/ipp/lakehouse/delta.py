"""Delta tables in a folder: delta-rs writes them, Polars reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake
from filelock import FileLock, Timeout

from ipp.core.contract import Table
from ipp.errors import BusyError

_PATIENCE = 600.0
"""Seconds that a writer waits for the one before: the largest import there is takes less."""


class _Table(DeltaTable):
    """A table whose files are named as the file system names them: delta-rs writes the folder with ``%20``."""

    def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
        root = Path(url2pathname(urlsplit(self.table_uri).path))
        below = len(self.metadata().partition_columns) + 1
        return [str(root.joinpath(*uri.split("/")[-below:])) for uri in super().file_uris(*arguments, **options)]


class DeltaLakehouse:
    """A `Lakehouse` under one folder, ``catalog/schema/table`` like the three parts of a table's name."""

    def __init__(self, root: Path, *, patience: float = _PATIENCE) -> None:
        self._root = root
        self._patience = patience
        self._locks: dict[str, FileLock] = {}

    def address(self, table: Table) -> str:
        """The folder the table lies in."""
        return str(self._root.joinpath(*table.name.split(".")))

    def exists(self, table: Table) -> bool:
        """Whether the table was ever written."""
        return DeltaTable.is_deltatable(self._uri(table))

    def scan(self, table: Table) -> pl.LazyFrame:
        """The table's rows, lazily, by its contract; no rows where it was never written."""
        if not self.exists(table):
            return pl.LazyFrame(schema=table.schema)
        stored = pl.scan_delta(_Table(self._uri(table)))
        return table.conform(stored.rename(dict(table.names), strict=False))

    @contextmanager
    def writing(self, table: Table) -> Iterator[None]:
        """Keep other writers of the table out while the block lasts; a process that dies lets them in."""
        location = Path(self.address(table))
        location.parent.mkdir(parents=True, exist_ok=True)
        lock = self._locks.setdefault(table.name, FileLock(location.with_name(f".{location.name}.lock")))
        try:
            lock.acquire(timeout=self._patience)
        except Timeout:
            raise BusyError(
                f"Otro proceso está escribiendo la tabla {table.title}.", hint="Espere a que termine y repita."
            ) from None
        try:
            yield
        finally:
            lock.release()

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

    def _uri(self, table: Table) -> str:
        return Path(self.address(table)).absolute().as_uri()

    def _write(self, table: Table, rows: pl.LazyFrame, predicate: str | None) -> None:
        stream = table.conform(rows).rename(dict(table.labels)).collect_batches(lazy=True)
        with self.writing(table):
            Path(self.address(table)).mkdir(parents=True, exist_ok=True)
            write_deltalake(
                self._uri(table),
                stream,
                mode="overwrite",
                schema_mode="merge",  # a table that an older version wrote gets the columns that are new
                predicate=predicate if self.exists(table) else None,
                partition_by=[table.labels[name] for name in table.partition_by] or None,
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
