"""The table of changes of a lakehouse, copied from the commits that made them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl
from deltalake.exceptions import DeltaError

from ipp.core.change_table import CHANGES
from ipp.core.contract import Table
from ipp.core.tables import CONFIGURATIONS, IMPORTABLE_TABLES
from ipp.storage.change_record import RECORD_METADATA_KEY, record_each_row
from ipp.storage.lakehouse.lakehouse import Lakehouse

_LOG: Final = logging.getLogger("ipp.storage")

TableRow = Mapping[str, Any]

_ROW_TABLES: Final = (CONFIGURATIONS,)
"""Tables of which a change of many rows is recorded row by row.

The others have up to 50 million rows, whose before and after are the versions of the table.
"""

_MISSING_VERSION_ERRORS: Final = (FileNotFoundError, DeltaError, pl.exceptions.ComputeError)
"""What reading a version raises whose files were removed."""


def change_metadata(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of the commit that makes the change of a record."""
    return {RECORD_METADATA_KEY: {k: v for k, v in record.items() if v is not None}}


class ChangeLog:
    """Copies the records of changes from the commits of ``lakehouse`` to its table of changes.

    A change and its record are one commit of the table that changes, so neither is ever without
    the other, whenever a process dies. The table of changes, which people query, is a copy that
    the next writer, reader or maintenance completes.
    """

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse
        self._copied: Mapping[str, str] | None = None

    def try_copy_records(self) -> None:
        """Append the records that the table of changes lacks.

        A failure is logged, not raised: the changes are made, and the next call copies them.
        """
        try:
            self.copy_records()
        except Exception:
            _LOG.warning("the table of changes was not completed", exc_info=True)

    def copy_records(self) -> None:
        """Append the records that the table of changes lacks, whose commits stay until then.

        Raises what reading or writing a table raises: then old versions must not be removed.
        """
        versions = {t.title: self._lakehouse.version_id(t) for t in IMPORTABLE_TABLES.values()}
        if versions == self._copied:
            return
        with self._lakehouse.write_lock(CHANGES):
            records = self._find_records(self._copied or self._last_versions())
            if records:
                known = self._lakehouse.scan_table(CHANGES).filter(
                    pl.col("change_id").is_in(list(records))
                )
                for change_id in known.select("change_id").collect().to_series():
                    del records[change_id]
            if records:
                rows = pl.DataFrame(list(records.values()), schema=CHANGES.schema)
                self._lakehouse.append_rows(CHANGES, rows)
        self._copied = versions

    def _find_records(self, since: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Return the records in the commits after those versions, by id."""
        records: dict[str, dict[str, Any]] = {}
        for table in IMPORTABLE_TABLES.values():
            before = since.get(table.title, "")
            for version, metadata in self._lakehouse.metadata_since(table, before):
                record = metadata.get(RECORD_METADATA_KEY)
                if _split_version(before)[0] != _split_version(version)[0]:
                    before = ""  # of a table whose place this one has taken
                # A commit that changes no row repeats what the last one says, so the first counts.
                if record and record["change_id"] not in records:
                    versions = {"version_before": before, "version_after": version}
                    for each in self._record_rows(table, {**record, **versions}):
                        records[each["change_id"]] = each
                before = version
        return records

    def _record_rows(self, table: Table, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a record, and those of its rows if it is of many rows of `_ROW_TABLES`.

        The rows are what differs between the versions of the table around its commit.
        """
        if table not in _ROW_TABLES or record["row_key"]:
            return iter((record,))
        try:
            before, after = (
                self._lakehouse.scan_version(table, record[name]).collect()
                for name in ("version_before", "version_after")
            )
        except _MISSING_VERSION_ERRORS:
            _LOG.warning("the rows of change %s are gone", record["change_id"], exc_info=True)
            return iter((record,))
        return record_each_row(table, record, _row_changes(table, before, after))

    def _last_versions(self) -> dict[str, str]:
        """Return, by object, the last version whose record the table of changes has."""
        rows = self._lakehouse.scan_table(CHANGES).select("object", "version_after")
        told = rows.unique().collect()
        last: dict[str, str] = {}
        for title, version in told.drop_nulls().iter_rows():
            table_id, number = _split_version(version)
            current, _ = _split_version(
                self._lakehouse.version_id(IMPORTABLE_TABLES[title])
                if title in IMPORTABLE_TABLES
                else ""
            )
            # Another table may have taken the place of the one that a record tells of.
            if table_id == current and number > _split_version(last.get(title, ""))[1]:
                last[title] = version
        return last


def _row_changes(
    table: Table, before: pl.DataFrame, after: pl.DataFrame
) -> Iterator[tuple[TableRow | None, TableRow | None]]:
    """Yield key, row before and row after of each row that differs; None where there is none."""
    was, now = (
        {
            tuple(row[name] for name in table.key): row
            for row in one.join(other, on=one.columns, how="anti", nulls_equal=True).iter_rows(
                named=True
            )
        }
        for one, other in ((before, after), (after, before))
    )
    for key in sorted(was.keys() | now.keys()):
        yield was.get(key), now.get(key)


def _split_version(version: str) -> tuple[str, int]:
    table_id, _, number = version.rpartition(" ")
    return table_id, int(number or -1)
