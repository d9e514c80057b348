"""The configurations of mostradores in Databricks' SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ipp.core.tables import CONFIGURATIONS, COUNTERS
from ipp.storage.change_record import (
    Author,
    Operation,
    record_bulk_change,
    record_each_row,
    record_row_change,
)
from ipp.storage.warehouse.databricks_changes import Clock, DatabricksChanges, utc_clock
from ipp.storage.warehouse.sql_search import contains_sql
from ipp.storage.warehouse.sql_statement import SqlValue, Statement, StatementRunner
from ipp.storage.warehouse.sql_table import column_parsers, query_page, select_list, typed_parameter
from ipp.storage.warehouse.warehouse import (
    ChangeQuery,
    RowChange,
    RowPage,
    SearchText,
    TableRow,
)


class DatabricksConfigurations:
    """The part of `ipp.storage.warehouse.warehouse.Warehouse` that edits configurations."""

    def __init__(self, statements: StatementRunner, clock: Clock = utc_clock) -> None:
        self._statements = statements
        self.catalog = statements.catalog
        self._changes = DatabricksChanges(statements, clock)

    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        """Return a page of the configurations, as the protocol says."""
        values: dict[str, SqlValue] = {}
        name_conditions = contains_sql(values, text, COUNTERS, numbers=(), texts=("counter_name",))
        where = ""
        if name_conditions:
            matching = f"SELECT mostrador FROM {COUNTERS.name} WHERE {name_conditions[0]}"
            where = (
                f"WHERE (contains(CAST(mostrador AS STRING), :digits) OR mostrador IN ({matching}))"
            )
            values["digits"] = SearchText(text).digits
        values |= {"after": after, "limit": limit}
        part = "WHERE mostrador > :after ORDER BY mostrador LIMIT CAST(:limit AS INT)"
        return query_page(self._statements, CONFIGURATIONS, where, part, "mostrador", values)

    def get_configuration(self, mostrador: int) -> TableRow | None:
        """Return the configuration of a mostrador, or None."""
        rows = self._statements.fetch_rows(
            Statement(
                f"SELECT {select_list(CONFIGURATIONS)} FROM {CONFIGURATIONS.name}"
                " WHERE mostrador = :mostrador LIMIT 1",
                {"mostrador": mostrador},
            ),
            column_parsers(CONFIGURATIONS),
        )
        return rows[0] if rows else None

    def insert_configuration(self, row: TableRow, author: Author) -> bool:
        """Store a configuration; return False if its mostrador has one."""
        values = _row_values(row, "new")
        cells = ", ".join(
            typed_parameter(column.kind, f":new_{column.name}") for column in CONFIGURATIONS.columns
        )
        existing = f"SELECT 1 FROM {CONFIGURATIONS.name} WHERE mostrador = :new_mostrador"
        sql = (
            f"INSERT INTO {CONFIGURATIONS.name} ({select_list(CONFIGURATIONS)})"
            f" SELECT {cells} WHERE NOT EXISTS ({existing})"
        )
        record = record_row_change(CONFIGURATIONS, author, None, row)
        return self._change_rows([record], sql, values)

    def update_configuration(self, before: TableRow, after: TableRow, author: Author) -> bool:
        """Replace ``before``; return False if it is not what is stored."""
        changes = ", ".join(
            f"{column.label} = {typed_parameter(column.kind, f':new_{column.name}')}"
            for column in CONFIGURATIONS.columns
            if column.name != "mostrador"
        )
        values = _row_values(before, "old") | _row_values(after, "new")
        del values["new_mostrador"]
        sql = f"UPDATE {CONFIGURATIONS.name} SET {changes} WHERE {_unchanged_condition()}"
        record = record_row_change(CONFIGURATIONS, author, before, after)
        return self._change_rows([record], sql, values)

    def delete_configuration(self, before: TableRow, author: Author) -> bool:
        """Delete ``before``; return False if it is not what is stored."""
        sql = f"DELETE FROM {CONFIGURATIONS.name} WHERE {_unchanged_condition()}"
        record = record_row_change(CONFIGURATIONS, author, before, None)
        return self._change_rows([record], sql, _row_values(before, "old"))

    def merge_configurations(
        self, changes: Sequence[RowChange], author: Author, detail: Mapping[str, Any]
    ) -> bool:
        """Make all changes at once; return False if a mostrador is not stored as its change says.

        One statement, which is one commit, looks and changes.
        """
        rows = [
            {"new": _cell_texts(after), "old": None if before is None else _cell_texts(before)}
            for before, after in changes
        ]
        bulk = record_bulk_change(CONFIGURATIONS, author, Operation.IMPORT, detail)
        records = list(record_each_row(CONFIGURATIONS, bulk, changes))
        return self._change_rows(records, _merge_sql(), {"rows": json.dumps(rows)})

    def list_changes(self, wanted: ChangeQuery) -> Sequence[TableRow]:
        """Return changes of what all share, as the protocol says."""
        return self._changes.list_changes(wanted)

    def _change_rows(
        self, records: Sequence[Mapping[str, Any]], sql: str, values: Mapping[str, SqlValue]
    ) -> bool:
        statement = Statement(sql, values, safe=False)
        return self._changes.make_change(
            records, lambda: self._statements.count_changed(statement) > 0
        )


def _row_values(row: TableRow, prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{column.name}": row[column.name] for column in CONFIGURATIONS.columns}


def _cell_texts(row: TableRow) -> list[str | None]:
    """Return the cells of a configuration as SQL casts them from text, in the table's order."""
    cells = (row[column.name] for column in CONFIGURATIONS.columns)
    return [None if cell is None else str(cell) for cell in cells]


def _merge_sql() -> str:
    """Return the statement that makes the changes in ``:rows``, or none if one was overtaken.

    A row is an object with the arrays ``new`` and ``old`` of `_cell_texts`; without ``old``, all of
    its cells are null, as are those of a mostrador that is not stored.
    """
    casts = {
        part: {
            column.label: typed_parameter(column.kind, f"given.{part}[{position}]")
            for position, column in enumerate(CONFIGURATIONS.columns)
        }
        for part in ("new", "old")
    }
    labels, key = CONFIGURATIONS.labels.values(), CONFIGURATIONS.labels["mostrador"]
    unchanged = " AND ".join(f"stored.{label} <=> {casts['old'][label]}" for label in labels)
    return (
        f"MERGE INTO {CONFIGURATIONS.name} AS stored USING (WITH given AS (SELECT"
        " inline(from_json(:rows, 'ARRAY<STRUCT<new: ARRAY<STRING>, old: ARRAY<STRING>>>'))"
        f"), overtaken AS (SELECT 1 FROM given LEFT JOIN {CONFIGURATIONS.name} AS stored"
        f" ON stored.{key} = {casts['new'][key]} WHERE NOT ({unchanged}))"
        f" SELECT {', '.join(f'{cast} AS {label}' for label, cast in casts['new'].items())}"
        " FROM given WHERE NOT EXISTS (SELECT * FROM overtaken)"
        f") AS given ON stored.{key} = given.{key} WHEN MATCHED THEN UPDATE SET"
        f" {', '.join(f'{label} = given.{label}' for label in labels if label != key)}"
        f" WHEN NOT MATCHED THEN INSERT ({', '.join(labels)})"
        f" VALUES ({', '.join(f'given.{label}' for label in labels)})"
    )


def _unchanged_condition() -> str:
    """Return the condition that every cell still is as it was read (optimistic locking)."""
    return " AND ".join(
        f"{column.label} <=> {typed_parameter(column.kind, f':old_{column.name}')}"
        for column in CONFIGURATIONS.columns
    )
