"""Rows of a table by SQL: select list, typed parameters, parsers of cells, and pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from ipp.core.contract import Kind, Table
from ipp.storage.warehouse.sql_statement import ParseCell, SqlValue, Statement, StatementRunner
from ipp.storage.warehouse.warehouse import RowPage

CELL_PARSERS: Final[Mapping[Kind, ParseCell]] = {
    Kind.ID: int,
    Kind.TEXT: str,
    Kind.NUMBER: float,
    Kind.COUNT: int,
    Kind.DATE: dt.date.fromisoformat,
    Kind.FLAG: lambda text: text == "true",
}
"""Parser of a cell's text, by the kind of its column."""

JSON_PARSERS: Final = {**CELL_PARSERS, Kind.FLAG: bool}
"""Parser of a JSON value that is not null, by the kind of its column."""

IDS_SUBQUERY: Final = "SELECT explode(from_json(:ids, 'ARRAY<BIGINT>')) AS id"
"""Subquery that passes any number of mostradores as one parameter."""


def select_list(table: Table) -> str:
    """Return the select list of all columns of a table, by their labels."""
    return ", ".join(table.labels.values())


def column_parsers(table: Table) -> list[tuple[str, ParseCell]]:
    """Return the name of each column, and the parser of its cells."""
    return [(column.name, CELL_PARSERS[column.kind]) for column in table.columns]


def typed_parameter(kind: Kind, marker: str) -> str:
    """Return a parameter cast to its column's type, because null is sent as an untyped string."""
    return f"CAST({marker} AS {kind.sql})"


def query_page(
    statements: StatementRunner,
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
    page_list = ", ".join(f"page.{column.label}" for column in columns)
    sql = (
        f"WITH found AS (SELECT {select_list(table)} FROM {table.name} {where}),"
        f" page AS (SELECT * FROM found {part})"
        " SELECT (SELECT count(*) FROM found),"
        f" page.{table.labels[table.key[0]]} IS NOT NULL AS there, {page_list}"
        f" FROM (SELECT 1) LEFT JOIN page ON TRUE ORDER BY {order}"
    )
    cells = [(column.name, CELL_PARSERS[column.kind]) for column in columns]
    rows = statements.fetch_rows(
        Statement(sql, values), [("", int), ("there", CELL_PARSERS[Kind.FLAG]), *cells]
    )
    return RowPage(
        rows[0][""], [{name: row[name] for name, _ in cells} for row in rows if row["there"]]
    )
