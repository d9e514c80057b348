"""Lakehouse of Delta tables in a folder, written by delta-rs and read by Polars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake
from filelock import FileLock, Timeout
from typing_extensions import override

from ipp.core.contract import Table
from ipp.errors import BusyError
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.fence import Fence, SupersededError
from ipp.storage.lakehouse import commit_fence, maintenance
from ipp.storage.lakehouse.commit_metadata import read_metadata
from ipp.storage.lakehouse.file_commit import commit_files
from ipp.storage.lakehouse.lakehouse import (
    CompactionReport,
    Lakehouse,
    PartitionRewrite,
    ReportPartitions,
    VacuumReport,
)
from ipp.storage.lakehouse.partition_rewrite import DeltaPartitionRewrite
from ipp.storage.lakehouse.table_cache import StoredTable, TableCache
from ipp.storage.lakehouse.table_part import move_parts

_LOCK_TIMEOUT_SECONDS = 600.0
"""Seconds that a writer waits for the previous one: more than the largest import takes."""

_CHECKPOINT_INTERVAL_COMMITS = 10
"""Commits between checkpoints of a table's log; delta-rs defaults to 100.

Opening a table reads every commit since the last checkpoint.
"""

_MAX_APPENDED_FILES = 100
"""Files of appended rows beyond which they are merged: each takes a millisecond to read."""


class DeltaLakehouse(Lakehouse):
    """`Lakehouse` under one folder, as ``catalog/schema/table`` in the default catalog.

    With a ``fence`` a commit takes place only while it is held. The commit carries the fence's
    number as an application transaction, by which the table itself refuses a smaller one later.
    """

    def __init__(
        self, root: Path, *, patience: float = _LOCK_TIMEOUT_SECONDS, fence: Fence | None = None
    ) -> None:
        self._root = root
        self._patience = patience
        self._fence = fence
        self._locks: dict[str, FileLock] = {}
        self._tables = TableCache()

    @override
    def __getstate__(self) -> tuple[Path, float]:
        # Another process has its own locks, and its own cache.
        return self._root, self._patience

    def __setstate__(self, state: tuple[Path, float]) -> None:
        root, patience = state
        self.__init__(root, patience=patience)  # type: ignore[misc]  # a new object's first call

    @override
    def address(self, table: Table) -> str:
        return str(self._root.joinpath(*table.full_name(DEFAULT_CATALOG).split(".")))

    @override
    def table_exists(self, table: Table) -> bool:
        return DeltaTable.is_deltatable(self._table_uri(table))

    @override
    def scan_table(
        self, table: Table, partitions: Collection[object] | None = None
    ) -> pl.LazyFrame:
        stored = self._tables.latest_table(self._table_uri(table))
        if stored is None:
            return pl.LazyFrame(schema=table.schema)
        rows = pl.scan_delta(stored) if partitions is None else stored.scan_partitions(partitions)
        return table.conform_rows(rows.rename(dict(table.names), strict=False))

    @override
    def scan_version(self, table: Table, version: str) -> pl.LazyFrame:
        _, _, number = version.rpartition(" ")
        if not number:
            return pl.LazyFrame(schema=table.schema)
        stored = StoredTable(self._table_uri(table), version=int(number))
        return table.conform_rows(pl.scan_delta(stored).rename(dict(table.names), strict=False))

    @override
    @contextmanager
    def write_lock(self, table: Table) -> Iterator[None]:
        # The operating system releases the lock of a process that dies.
        location = Path(self.address(table))
        location.parent.mkdir(parents=True, exist_ok=True)
        lock = self._locks.setdefault(
            table.name, FileLock(location.with_name(f".{location.name}.lock"))
        )
        try:
            lock.acquire(timeout=self._patience)
        except Timeout:
            raise BusyError(
                f"Otro proceso está escribiendo la tabla {table.title}.",
                hint="Espere a que termine y repita.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    @override
    def replace_table(
        self,
        table: Table,
        rows: pl.LazyFrame,
        metadata: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._write_rows(table, rows, None, CommitProperties(custom_metadata=dict(metadata)))

    @override
    def append_rows(self, table: Table, rows: pl.DataFrame) -> None:
        uri = self._table_uri(table)
        with self.write_lock(table):
            Path(self.address(table)).mkdir(parents=True, exist_ok=True)
            write_deltalake(
                uri,
                rows.rename(dict(table.labels)),
                mode="append",
                schema_mode="merge",
                writer_properties=maintenance.writer_properties(ordered=False),
                configuration=_log_configuration(table),
            )
            stored = DeltaTable(uri)
            if len(stored.file_uris()) > _MAX_APPENDED_FILES:
                maintenance.compact_files(stored, CommitProperties())

    @override
    def replace_partitions(
        self, table: Table, rows: pl.LazyFrame, values: Collection[object]
    ) -> None:
        if values:
            self._write_rows(table, rows, _partition_predicate(table, values))

    @override
    def replace_with_parts(self, table: Table, value: str, parts: Path) -> None:
        _sql_literal(value)  # It becomes part of a path.
        with self.write_lock(table):
            commit_fence.check_commit(self._fence, None)
            folder = Path(self.address(table))
            files = [*move_parts(table, parts, folder, value)]
            try:
                commit_files(
                    table, folder, files, [value],
                    configuration=_log_configuration(table), fence=self._fence,
                )  # fmt: skip
            except SupersededError:
                for file in files:
                    (folder / file.path).unlink()
                raise

    @override
    @contextmanager
    def rewrite_partitions(self, table: Table) -> Iterator[PartitionRewrite]:
        with self.write_lock(table):
            rewrite = DeltaPartitionRewrite(
                table, Path(self.address(table)), _log_configuration(table), self._fence
            )
            try:
                yield rewrite
            finally:
                rewrite.discard()

    @override
    def last_metadata(self, table: Table) -> Mapping[str, Any]:
        stored = self._tables.latest_table(self._table_uri(table))
        return {} if stored is None else read_metadata(stored.folder, stored.version())

    @override
    def metadata_since(self, table: Table, version: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        stored = self._tables.latest_table(self._table_uri(table))
        if stored is None:
            return
        table_id = str(stored.metadata().id)
        known, _, number = version.rpartition(" ")
        first = int(number) + 1 if known == table_id else 0
        for later in range(first, stored.version() + 1):
            yield f"{table_id} {later}", read_metadata(stored.folder, later)

    @override
    def version_id(self, table: Table) -> str:
        stored = self._tables.latest_table(self._table_uri(table))
        return "" if stored is None else f"{stored.metadata().id} {stored.version()}"

    @override
    def compact_table(
        self, table: Table, progress: ReportPartitions = lambda _done, _total: None
    ) -> CompactionReport:
        """Compact a table; a partition of a sorted one must fit in memory."""
        if not self.table_exists(table):
            return CompactionReport(0, 0)
        with self.write_lock(table):
            if not table.sort_by:
                return maintenance.compact_files(
                    DeltaTable(self._table_uri(table)), self._repeat_metadata(table)
                )
            return self._sort_partitions(table, progress)

    @override
    def vacuum_table(self, table: Table, keep: dt.timedelta) -> VacuumReport:
        """Vacuum a table; it remembers files for `maintenance.DELETED_FILE_RETENTION` (7 days)."""
        if keep > maintenance.DELETED_FILE_RETENTION:
            raise ValueError(
                f"{keep} is longer than a table remembers, {maintenance.DELETED_FILE_RETENTION}"
            )
        if not self.table_exists(table):
            return VacuumReport(0, 0)
        with self.write_lock(table):
            return maintenance.remove_unused_files(
                DeltaTable(self._table_uri(table)),
                Path(self.address(table)),
                keep,
                self._repeat_metadata(table),
            )

    def _sort_partitions(self, table: Table, progress: ReportPartitions) -> CompactionReport:
        """Sort and compact each partition that needs it, one commit each."""
        (name,) = table.partition_by
        partitions = maintenance.file_sizes(DeltaTable(self._table_uri(table)), table.labels[name])
        stored, replaced, written = self.scan_table(table), 0, 0
        properties = self._repeat_metadata(table)
        for done, (value, files) in enumerate(partitions.items(), start=1):
            rows = stored.filter(pl.col(name) == value)
            if maintenance.has_small_files(files) or maintenance.is_disordered(rows, table.sort_by):
                # delta-rs may store several batches out of order, so sorted rows go in one.
                batch = rows.collect().sort(table.sort_by).rename(dict(table.labels)).rechunk()
                self._commit_rows(table, batch, _partition_predicate(table, [value]), properties)
                replaced += len(files)
                written += len(
                    maintenance.file_sizes(DeltaTable(self._table_uri(table)), table.labels[name])[
                        value
                    ]
                )
            progress(done, len(partitions))
        return CompactionReport(replaced, written)

    def _repeat_metadata(self, table: Table) -> CommitProperties:
        """Return the properties of a commit that changes no row: it says what the last one says."""
        return CommitProperties(custom_metadata=dict(self.last_metadata(table)))

    def _table_uri(self, table: Table) -> str:
        return Path(self.address(table)).absolute().as_uri()

    def _write_rows(
        self,
        table: Table,
        rows: pl.LazyFrame,
        predicate: str | None,
        properties: CommitProperties | None = None,
    ) -> None:
        stream = table.conform_rows(rows).rename(dict(table.labels)).collect_batches(lazy=True)
        with self.write_lock(table):
            self._commit_rows(table, stream, predicate, properties)

    def _commit_rows(
        self,
        table: Table,
        stream: Any,
        predicate: str | None,
        properties: CommitProperties | None = None,
    ) -> None:
        Path(self.address(table)).mkdir(parents=True, exist_ok=True)
        uri = self._table_uri(table)
        stored = DeltaTable(uri) if self.table_exists(table) else None
        commit_fence.check_commit(self._fence, stored)
        write_deltalake(
            uri if stored is None else stored,
            stream,
            mode="overwrite",
            # A table written by an older version of IPP gains the columns that are new.
            schema_mode="merge",
            predicate=None if stored is None else predicate,
            partition_by=[table.labels[name] for name in table.partition_by] or None,
            writer_properties=maintenance.writer_properties(ordered=bool(table.sort_by)),
            configuration=_log_configuration(table),
            commit_properties=commit_fence.add_transaction(self._fence, properties),
        )


def _log_configuration(table: Table) -> dict[str, str]:
    """Return the log settings of a new table: frequent checkpoints, statistics of key only."""
    # Opening a table loads its whole log: with statistics of every column it takes seven times
    # the memory.
    key = [table.labels[name] for name in table.key if name not in table.partition_by]
    return {
        "delta.checkpointInterval": str(_CHECKPOINT_INTERVAL_COMMITS),
        "delta.dataSkippingStatsColumns": ",".join(key),
    }


def _partition_predicate(table: Table, values: Collection[object]) -> str:
    """Return the SQL predicate of the rows in the partitions ``values``."""
    (name,) = table.partition_by
    listed = ", ".join(sorted(_sql_literal(value) for value in values))
    return f"{table.labels[name]} IN ({listed})"


def _sql_literal(value: object) -> str:
    """Return a partition value as a SQL literal.

    Raises ValueError for text that could end the literal.
    """
    if isinstance(value, dt.date):
        return f"'{value.isoformat()}'"
    text = str(value)
    if not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"not a partition value: {text!r}")
    return f"'{text}'"
