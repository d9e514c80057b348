"""`Warehouse` on the tables of a Databricks workspace, with parameterised SQL.

No value is ever part of a statement's text.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from typing_extensions import override

from ipp.cloud.databricks.client import DatabricksRefusedError
from ipp.core.contract import Kind, Table
from ipp.core.tables import (
    CONFIGURATIONS,
    COUNTERS,
    CURVES,
    FAILURES,
    MATERIALS,
    NOTICES,
    PROCESSES,
    RESULTS,
    SELLOUT,
)
from ipp.storage.warehouse.sql_search import contains_sql, fold_parameters, fold_sql
from ipp.storage.warehouse.sql_statement import ParseCell, SqlValue, Statement, StatementRunner
from ipp.storage.warehouse.sql_summary import UNKNOWN_STOCK_SQL, summary_columns
from ipp.storage.warehouse.warehouse import (
    TIE_BREAK_COLUMNS,
    Readiness,
    RowPage,
    RowQuery,
    SearchText,
    TableRow,
    Warehouse,
)

_CELL_PARSERS: Final[Mapping[Kind, ParseCell]] = {
    Kind.ID: int,
    Kind.TEXT: str,
    Kind.NUMBER: float,
    Kind.COUNT: int,
    Kind.DATE: dt.date.fromisoformat,
    Kind.FLAG: lambda text: text == "true",
}
"""Parser of a cell's text, by the kind of its column."""

_IDS_SUBQUERY: Final = "SELECT explode(from_json(:ids, 'ARRAY<BIGINT>')) AS id"
"""Subquery that passes any number of mostradores as one parameter."""

_MAX_LIMIT_OFFSET: Final = 2**31 - 1
"""Maximum sum of LIMIT and OFFSET."""

_NO_TABLE: Final = "[TABLE_OR_VIEW_NOT_FOUND]"
"""Text of Databricks' error for a table that does not exist."""


class DatabricksWarehouse(Warehouse):
    """`Warehouse` that runs its SQL with ``statements``."""

    def __init__(self, statements: StatementRunner) -> None:
        self._statements = statements

    @override
    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        rows = f"SELECT DISTINCT mostrador FROM {CONFIGURATIONS.name} WHERE mostrador IS NOT NULL"
        values: dict[str, SqlValue] = {}
        if mostradores is not None:
            rows += f" AND mostrador IN ({_IDS_SUBQUERY})"
            values["ids"] = json.dumps(list(mostradores))
        return self._query_ids(f"{rows} ORDER BY mostrador", values)

    @override
    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        values: dict[str, SqlValue] = {"ids": json.dumps(list(mostradores))}
        known = set(
            self._query_ids(
                f"SELECT DISTINCT mostrador FROM {COUNTERS.name}"
                f" WHERE mostrador IN ({_IDS_SUBQUERY})",
                values,
            )
        )
        return [mostrador for mostrador in mostradores if mostrador not in known]

    @override
    def readiness(self) -> Readiness:
        columns = [
            ("materials", _CELL_PARSERS[Kind.COUNT]),
            ("first", dt.date.fromisoformat),
            ("last", dt.date.fromisoformat),
        ]
        rows = self._statements.fetch_rows(
            Statement(
                f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {MATERIALS.name} LIMIT 1)),"
                f" min(fecha), max(fecha) FROM {SELLOUT.name}",
                {},
            ),
            columns,
        )
        (row,) = rows
        return Readiness(has_materials=bool(row["materials"]), first=row["first"], last=row["last"])

    @override
    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        where, values = _job_condition(job_id, mostrador)
        columns = summary_columns()
        sql = (
            f"SELECT {', '.join(expression for *_, expression in columns)} FROM {RESULTS.name}"
            f" {where} GROUP BY mostrador ORDER BY mostrador"
        )
        return self._statements.fetch_rows(
            Statement(sql, values), [(name, _CELL_PARSERS[kind]) for name, kind, _ in columns]
        )

    @override
    def query_rows(self, wanted: RowQuery) -> RowPage:
        where, values = _job_condition(wanted.job_id, wanted.mostrador)
        conditions = [where]
        if wanted.category is not None:
            conditions.append(f"coalesce({RESULTS.labels['category']}, '') = :category")
            values["category"] = wanted.category
        if wanted.unknown_stock:
            conditions.append(UNKNOWN_STOCK_SQL)
        conditions += contains_sql(
            values, wanted.text, RESULTS, numbers=("material", "ean"), texts=("description",)
        )
        column = RESULTS.by_name[wanted.sort]
        key = column.label
        if column.kind is Kind.TEXT:
            key = fold_sql(column.label)
            values |= fold_parameters()
        direction = "DESC" if wanted.descending else "ASC"
        order = f"{key} {direction} NULLS LAST, {', '.join(TIE_BREAK_COLUMNS)}"
        values |= {
            "limit": wanted.limit,
            "start": min(wanted.start, _MAX_LIMIT_OFFSET - wanted.limit),
        }
        part = f"ORDER BY {order} LIMIT CAST(:limit AS INT) OFFSET CAST(:start AS INT)"
        return self._query_page(
            RESULTS, " AND ".join(conditions), part, order, values, wanted.columns
        )

    @override
    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        columns = [CURVES.by_name[name] for name in ("investment", "fill_rate", "chosen", "gap")]
        where, values = _job_condition(job_id, mostrador)
        select_list = ", ".join(column.label for column in columns)
        return self._statements.fetch_rows(
            Statement(
                f"SELECT {select_list} FROM {CURVES.name} {where} ORDER BY {columns[0].label}",
                values,
            ),
            [(column.name, _CELL_PARSERS[column.kind]) for column in columns],
        )

    @override
    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        columns = [FAILURES.by_name[name] for name in ("mostrador", "stage", "cause")]
        where, values = _job_condition(job_id, mostrador)
        select_list = ", ".join(column.label for column in columns)
        return self._statements.fetch_rows(
            Statement(
                f"SELECT {select_list} FROM {FAILURES.name} {where} ORDER BY mostrador", values
            ),
            [(column.name, _CELL_PARSERS[column.kind]) for column in columns],
        )

    @override
    def publication(self, job_id: str) -> TableRow | None:
        where, values = _job_condition(job_id, None)
        sql = f"SELECT {_select_list(PROCESSES)} FROM {PROCESSES.name} {where} LIMIT 1"
        rows = self._rows_if_made(Statement(sql, values), _column_parsers(PROCESSES))
        return rows[0] if rows else None

    @override
    def notices(self, job_id: str) -> Sequence[TableRow]:
        columns = [NOTICES.by_name[name] for name in ("mostrador", "notice")]
        where, values = _job_condition(job_id, None)
        select_list = ", ".join(column.label for column in columns)
        parsers = [(column.name, _CELL_PARSERS[column.kind]) for column in columns]
        sql = f"SELECT {select_list} FROM {NOTICES.name} {where} ORDER BY {select_list}"
        return self._rows_if_made(Statement(sql, values), parsers)

    @override
    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
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
        return self._query_page(CONFIGURATIONS, where, part, "mostrador", values)

    @override
    def get_configuration(self, mostrador: int) -> TableRow | None:
        rows = self._statements.fetch_rows(
            Statement(
                f"SELECT {_select_list(CONFIGURATIONS)} FROM {CONFIGURATIONS.name}"
                " WHERE mostrador = :mostrador LIMIT 1",
                {"mostrador": mostrador},
            ),
            _column_parsers(CONFIGURATIONS),
        )
        return rows[0] if rows else None

    @override
    def insert_configuration(self, row: TableRow) -> bool:
        values = _row_values(row, "new")
        cells = ", ".join(
            _typed_parameter(column.kind, f":new_{column.name}")
            for column in CONFIGURATIONS.columns
        )
        existing = f"SELECT 1 FROM {CONFIGURATIONS.name} WHERE mostrador = :new_mostrador"
        sql = (
            f"INSERT INTO {CONFIGURATIONS.name} ({_select_list(CONFIGURATIONS)})"
            f" SELECT {cells} WHERE NOT EXISTS ({existing})"
        )
        return self._statements.count_changed(Statement(sql, values, safe=False)) > 0

    @override
    def update_configuration(self, before: TableRow, after: TableRow) -> bool:
        changes = ", ".join(
            f"{column.label} = {_typed_parameter(column.kind, f':new_{column.name}')}"
            for column in CONFIGURATIONS.columns
            if column.name != "mostrador"
        )
        values = _row_values(before, "old") | _row_values(after, "new")
        del values["new_mostrador"]
        sql = f"UPDATE {CONFIGURATIONS.name} SET {changes} WHERE {_unchanged_condition()}"
        return self._statements.count_changed(Statement(sql, values, safe=False)) > 0

    @override
    def delete_configuration(self, before: TableRow) -> bool:
        sql = f"DELETE FROM {CONFIGURATIONS.name} WHERE {_unchanged_condition()}"
        return (
            self._statements.count_changed(Statement(sql, _row_values(before, "old"), safe=False))
            > 0
        )

    def _query_ids(self, sql: str, values: Mapping[str, SqlValue]) -> list[int]:
        return [
            row["mostrador"]
            for row in self._statements.fetch_rows(Statement(sql, values), [("mostrador", int)])
        ]

    def _rows_if_made(
        self, statement: Statement, columns: Sequence[tuple[str, ParseCell]]
    ) -> list[dict[str, Any]]:
        """Return the rows of a query, or none if its table does not exist.

        The first job that publishes creates the table.
        """
        try:
            return self._statements.fetch_rows(statement, columns)
        except DatabricksRefusedError as refusal:
            if _NO_TABLE in refusal.message:
                return []
            raise

    def _query_page(
        self,
        table: Table,
        where: str,
        part: str,
        order: str,
        values: Mapping[str, SqlValue],
        names: Sequence[str] = (),
    ) -> RowPage:
        """Return the page ``part`` of the rows ``where``, and their count.

        One statement reads both, so that they are of the same snapshot. ``names`` are the columns
        of a row, or all if empty. An empty page comes back as one row without a key, which carries
        the count.
        """
        columns = [table.by_name[name] for name in names] or table.columns
        select_list = ", ".join(f"page.{column.label}" for column in columns)
        sql = (
            f"WITH found AS (SELECT {_select_list(table)} FROM {table.name} {where}),"
            f" page AS (SELECT * FROM found {part})"
            " SELECT (SELECT count(*) FROM found),"
            f" page.{table.labels[table.key[0]]} IS NOT NULL AS there, {select_list}"
            f" FROM (SELECT 1) LEFT JOIN page ON TRUE ORDER BY {order}"
        )
        cells = [(column.name, _CELL_PARSERS[column.kind]) for column in columns]
        rows = self._statements.fetch_rows(
            Statement(sql, values), [("", int), ("there", _CELL_PARSERS[Kind.FLAG]), *cells]
        )
        return RowPage(
            rows[0][""], [{name: row[name] for name, _ in cells} for row in rows if row["there"]]
        )


def _job_condition(job_id: str, mostrador: int | None) -> tuple[str, dict[str, SqlValue]]:
    """Return the condition for the rows of a job, or of one mostrador of it, and its values."""
    if mostrador is None:
        return "WHERE job_id = :job_id", {"job_id": job_id}
    return "WHERE job_id = :job_id AND mostrador = :mostrador", {
        "job_id": job_id,
        "mostrador": mostrador,
    }


def _select_list(table: Table) -> str:
    return ", ".join(table.labels.values())


def _column_parsers(table: Table) -> list[tuple[str, ParseCell]]:
    return [(column.name, _CELL_PARSERS[column.kind]) for column in table.columns]


def _typed_parameter(kind: Kind, marker: str) -> str:
    """Return a parameter cast to its column's type, because null is sent as an untyped string."""
    return f"CAST({marker} AS {kind.sql})"


def _row_values(row: TableRow, prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{column.name}": row[column.name] for column in CONFIGURATIONS.columns}


def _unchanged_condition() -> str:
    """Return the condition that every cell still is as it was read (optimistic locking)."""
    return " AND ".join(
        f"{column.label} <=> {_typed_parameter(column.kind, f':old_{column.name}')}"
        for column in CONFIGURATIONS.columns
    )
