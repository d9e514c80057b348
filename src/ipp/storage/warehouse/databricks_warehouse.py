"""A `Warehouse` over the tables of a Databricks workspace, by SQL. No value is ever part of a statement's text."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

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
from ipp.storage.warehouse.sql_statement import ParseCell, SqlValue, Statement, StatementRunner
from ipp.storage.warehouse.warehouse import (
    TIE_BREAK_COLUMNS,
    Readiness,
    RowPage,
    RowQuery,
    SearchText,
    TableRow,
)

_CELL_PARSERS: Final[Mapping[Kind, ParseCell]] = {
    Kind.ID: int,
    Kind.TEXT: str,
    Kind.NUMBER: float,
    Kind.COUNT: int,
    Kind.DATE: dt.date.fromisoformat,
    Kind.FLAG: lambda text: text == "true",
}
"""How a cell's text is read, by the kind of its column."""

_IDS_SUBQUERY: Final = "SELECT explode(from_json(:ids, 'ARRAY<BIGINT>')) AS id"
"""The mostradores asked for, however many, as one value."""

_MAX_LIMIT_OFFSET: Final = 2**31 - 1
"""The most that LIMIT and OFFSET may be together."""

_UNITS_PER_PESO: Final = 10_000
"""Of a peso, as `ipp.core.money` counts them."""

_UNITS_PER_PIECE: Final = 1_000_000
"""Of a piece: what is expected is published to so many decimals at most, so that no sum depends on its order."""

_LETTER_RANGES: Final = (range(0xA0, 0x530), range(0x1D00, 0x2200))
"""Latin, Greek, Cyrillic, their marks, punctuation, raised and lowered signs, letter-like ones."""

_SPELLED_OUT_SIGNS: Final = "¼½¾…™№℃"
"""Signs that a catalogue has and that are reduced to several letters."""


_UNKNOWN_STOCK: Final = "({optimum} > 0 AND {on_hand} IS NULL)".format(**RESULTS.labels)
"""As `ipp.core.decision.publication.has_unknown_stock`."""

_NO_TABLE: Final = "[TABLE_OR_VIEW_NOT_FOUND]"
"""How Databricks' words begin for a table that was never made."""


class DatabricksWarehouse:
    """Answers by ``statements``."""

    def __init__(self, statements: StatementRunner) -> None:
        self._statements = statements

    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        """Those of ``mostradores`` that have a configuration, rising; None asks for every one that has."""
        rows = f"SELECT DISTINCT mostrador FROM {CONFIGURATIONS.name} WHERE mostrador IS NOT NULL"
        values: dict[str, SqlValue] = {}
        if mostradores is not None:
            rows += f" AND mostrador IN ({_IDS_SUBQUERY})"
            values["ids"] = json.dumps(list(mostradores))
        return self._query_ids(f"{rows} ORDER BY mostrador", values)

    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        """Those of ``mostradores`` that have no row of their own, in the order asked."""
        values: dict[str, SqlValue] = {"ids": json.dumps(list(mostradores))}
        known = set(
            self._query_ids(
                f"SELECT DISTINCT mostrador FROM {COUNTERS.name} WHERE mostrador IN ({_IDS_SUBQUERY})",
                values,
            )
        )
        return [mostrador for mostrador in mostradores if mostrador not in known]

    def readiness(self) -> Readiness:
        """What a job would find."""
        columns = [
            ("materials", _CELL_PARSERS[Kind.COUNT]),
            ("first", dt.date.fromisoformat),
            ("last", dt.date.fromisoformat),
        ]
        found = self._statements.fetch_rows(
            Statement(
                f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {MATERIALS.name} LIMIT 1)), min(fecha), max(fecha)"
                f" FROM {SELLOUT.name}",
                {},
            ),
            columns,
        )
        (row,) = found
        return Readiness(has_materials=bool(row["materials"]), first=row["first"], last=row["last"])

    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """What a job decided for each mostrador, as `ipp.core.decision.publication.summarise_counters` has it, or for one."""
        column = RESULTS.labels
        investment = _exact_sum_sql(column["optimum_value"], _UNITS_PER_PESO)
        allowed = "CASE WHEN {exclusion} IS NULL THEN {{}} END".format(**column)
        demand = _exact_sum_sql(allowed.format(column["expected_demand"]), _UNITS_PER_PIECE)
        sales = _exact_sum_sql(allowed.format(column["expected_sales"]), _UNITS_PER_PIECE)
        unknown = _exact_sum_sql(
            f"CASE WHEN {_UNKNOWN_STOCK} THEN {column['optimum_value']} END", _UNITS_PER_PESO
        )
        whole, number = _CELL_PARSERS[Kind.COUNT], _CELL_PARSERS[Kind.NUMBER]
        cells: list[tuple[str, ParseCell, str]] = [
            ("mostrador", whole, "mostrador"),
            ("products", whole, "count(*)"),
            ("products_with_stock", whole, f"count_if({column['optimum']} > 0)"),
            ("units", whole, f"coalesce(sum({column['optimum']}), 0)"),
            ("investment", number, _round_sql(f"{investment} / {_UNITS_PER_PESO}", 2)),
            ("target_investment", number, _round_sql(f"max({column['target_investment']})", 2)),
            ("rounding_factor", number, f"max({column['rounding_factor']})"),
            (
                "expected_fill_rate",
                number,
                _round_sql(f"CASE WHEN {demand} > 0 THEN {sales} / {demand} END", 4),
            ),
            ("products_with_unknown_stock", whole, f"count_if({_UNKNOWN_STOCK})"),
            ("value_with_unknown_stock", number, _round_sql(f"{unknown} / {_UNITS_PER_PESO}", 2)),
        ]
        where, values = _job_condition(job_id, mostrador)
        sql = (
            f"SELECT {', '.join(expression for *_, expression in cells)} FROM {RESULTS.name}"
            f" {where} GROUP BY mostrador ORDER BY mostrador"
        )
        return self._statements.fetch_rows(
            Statement(sql, values), [(name, read) for name, read, _ in cells]
        )

    def query_rows(self, wanted: RowQuery) -> RowPage:
        """A page of what a job published."""
        where, values = _job_condition(wanted.job_id, wanted.mostrador)
        conditions = [where]
        if wanted.category is not None:
            conditions.append(f"coalesce({RESULTS.labels['category']}, '') = :category")
            values["category"] = wanted.category
        if wanted.unknown_stock:
            conditions.append(_UNKNOWN_STOCK)
        conditions += _contains_sql(
            values, wanted.text, RESULTS, numbers=("material", "ean"), texts=("description",)
        )
        column = RESULTS.by_name[wanted.sort]
        key = column.label
        if column.kind is Kind.TEXT:
            key = _fold_sql(column.label)
            values |= _fold_letters()
        order = f"{key} {'DESC' if wanted.descending else 'ASC'} NULLS LAST, {', '.join(TIE_BREAK_COLUMNS)}"
        values |= {
            "limit": wanted.limit,
            "start": min(wanted.start, _MAX_LIMIT_OFFSET - wanted.limit),
        }
        part = f"ORDER BY {order} LIMIT CAST(:limit AS INT) OFFSET CAST(:start AS INT)"
        return self._query_page(
            RESULTS, " AND ".join(conditions), part, order, values, wanted.columns
        )

    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """The points of a mostrador's curve, rising; none where it has none."""
        wanted = [CURVES.by_name[name] for name in ("investment", "fill_rate", "chosen", "gap")]
        where, values = _job_condition(job_id, mostrador)
        shown = ", ".join(column.label for column in wanted)
        return self._statements.fetch_rows(
            Statement(
                f"SELECT {shown} FROM {CURVES.name} {where} ORDER BY {wanted[0].label}", values
            ),
            [(column.name, _CELL_PARSERS[column.kind]) for column in wanted],
        )

    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """The mostradores that a job published nothing of, rising, and why; or one of them."""
        wanted = [FAILURES.by_name[name] for name in ("mostrador", "stage", "cause")]
        where, values = _job_condition(job_id, mostrador)
        shown = ", ".join(column.label for column in wanted)
        return self._statements.fetch_rows(
            Statement(f"SELECT {shown} FROM {FAILURES.name} {where} ORDER BY mostrador", values),
            [(column.name, _CELL_PARSERS[column.kind]) for column in wanted],
        )

    def publication(self, job_id: str) -> TableRow | None:
        """What is told of a job that has published, None where nothing is."""
        where, values = _job_condition(job_id, None)
        sql = f"SELECT {_select_list(PROCESSES)} FROM {PROCESSES.name} {where} LIMIT 1"
        found = self._rows_if_made(Statement(sql, values), _column_parsers(PROCESSES))
        return found[0] if found else None

    def notices(self, job_id: str) -> Sequence[TableRow]:
        """What is odd about the data of mostradores that a job published, by mostrador, rising."""
        wanted = [NOTICES.by_name[name] for name in ("mostrador", "notice")]
        where, values = _job_condition(job_id, None)
        shown = ", ".join(column.label for column in wanted)
        columns = [(column.name, _CELL_PARSERS[column.kind]) for column in wanted]
        sql = f"SELECT {shown} FROM {NOTICES.name} {where} ORDER BY {shown}"
        return self._rows_if_made(Statement(sql, values), columns)

    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        """At most ``limit`` configurations of mostradores above ``after``, rising."""
        values: dict[str, SqlValue] = {}
        holds = _contains_sql(values, text, COUNTERS, numbers=(), texts=("counter_name",))
        where = ""
        if holds:
            named = f"SELECT mostrador FROM {COUNTERS.name} WHERE {holds[0]}"
            where = (
                f"WHERE (contains(CAST(mostrador AS STRING), :digits) OR mostrador IN ({named}))"
            )
            values["digits"] = SearchText(text).digits
        values |= {"after": after, "limit": limit}
        part = "WHERE mostrador > :after ORDER BY mostrador LIMIT CAST(:limit AS INT)"
        return self._query_page(CONFIGURATIONS, where, part, "mostrador", values)

    def get_configuration(self, mostrador: int) -> TableRow | None:
        """The configuration of a mostrador, None where it has none."""
        found = self._statements.fetch_rows(
            Statement(
                f"SELECT {_select_list(CONFIGURATIONS)} FROM {CONFIGURATIONS.name} WHERE mostrador = :mostrador LIMIT 1",
                {"mostrador": mostrador},
            ),
            _column_parsers(CONFIGURATIONS),
        )
        return found[0] if found else None

    def insert_configuration(self, row: TableRow) -> bool:
        """Store a configuration; False where its mostrador has one, which is left as it is."""
        values = _row_values(row, "new")
        cells = ", ".join(
            _typed_parameter(column.kind, f":new_{column.name}")
            for column in CONFIGURATIONS.columns
        )
        there = f"SELECT 1 FROM {CONFIGURATIONS.name} WHERE mostrador = :new_mostrador"
        sql = f"INSERT INTO {CONFIGURATIONS.name} ({_select_list(CONFIGURATIONS)}) SELECT {cells} WHERE NOT EXISTS ({there})"
        return self._statements.count_changed(Statement(sql, values, safe=False)) > 0

    def update_configuration(self, before: TableRow, after: TableRow) -> bool:
        """Put ``after`` in the place of ``before``; False where that is not what is stored."""
        changes = ", ".join(
            f"{column.label} = {_typed_parameter(column.kind, f':new_{column.name}')}"
            for column in CONFIGURATIONS.columns
            if column.name != "mostrador"
        )
        values = _row_values(before, "old") | _row_values(after, "new")
        del values["new_mostrador"]
        sql = f"UPDATE {CONFIGURATIONS.name} SET {changes} WHERE {_unchanged_condition()}"
        return self._statements.count_changed(Statement(sql, values, safe=False)) > 0

    def delete_configuration(self, before: TableRow) -> bool:
        """Take ``before`` away; False where that is not what is stored."""
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
        """Return the rows of a query, none where its table is not made: the first job that publishes makes it."""
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
        """Of the rows ``where``, which ``part`` is of, and how many they are: one statement sees one moment.

        ``names`` are the columns of a row, all of them where none is named. A part without rows comes as a row
        without a key.
        """
        wanted = [table.by_name[name] for name in names] or table.columns
        shown = ", ".join(f"page.{column.label}" for column in wanted)
        sql = (
            f"WITH found AS (SELECT {_select_list(table)} FROM {table.name} {where}), page AS (SELECT * FROM found {part})"
            f" SELECT (SELECT count(*) FROM found), page.{table.labels[table.key[0]]} IS NOT NULL AS there, {shown}"
            f" FROM (SELECT 1) LEFT JOIN page ON TRUE ORDER BY {order}"
        )
        cells = [(column.name, _CELL_PARSERS[column.kind]) for column in wanted]
        rows = self._statements.fetch_rows(
            Statement(sql, values), [("", int), ("there", _CELL_PARSERS[Kind.FLAG]), *cells]
        )
        return RowPage(
            rows[0][""], [{name: row[name] for name, _ in cells} for row in rows if row["there"]]
        )


def _job_condition(job_id: str, mostrador: int | None) -> tuple[str, dict[str, SqlValue]]:
    """The condition for the rows of a job, and of one mostrador where it is given, with its values."""
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
    """A parameter as its column's type: what is null comes as a text without a value."""
    return f"CAST({marker} AS {kind.sql})"


def _row_values(row: TableRow, prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{column.name}": row[column.name] for column in CONFIGURATIONS.columns}


def _unchanged_condition() -> str:
    """True for the row that was read, every cell of it as it was."""
    return " AND ".join(
        f"{column.label} <=> {_typed_parameter(column.kind, f':old_{column.name}')}"
        for column in CONFIGURATIONS.columns
    )


def _exact_sum_sql(expression: str, parts: int) -> str:
    """The sum of an expression in whole parts, each rounded to the nearest, a half to the even one."""
    return f"coalesce(sum(CAST(rint({expression} * {parts}) AS BIGINT)), 0)"


def _round_sql(expression: str, digits: int) -> str:
    """A float to so many decimals, as Polars and NumPy round it: SQL's own ``round`` rounds its decimal spelling."""
    return f"rint(({expression}) * {10**digits}) / {10**digits}"


def _fold_sql(label: str) -> str:
    """A text as `ipp.storage.warehouse.warehouse.fold_text` reduces it, for the letters of `_fold_letters`: SQL has no decomposition."""
    text = f"translate({label}, :accented, :plain)"
    for sign in _SPELLED_OUT_SIGNS:
        text = f"replace({text}, '{sign}', '{_strip_marks(sign)}')"
    return f"lower({text})"


@cache
def _fold_letters() -> dict[str, SqlValue]:
    """The letters that are reduced to one, beside each that one, and last the marks that are reduced to nothing."""
    reduced = {chr(code): _strip_marks(chr(code)) for block in _LETTER_RANGES for code in block}
    single = {
        letter: plain for letter, plain in reduced.items() if len(plain) == 1 and plain != letter
    }
    marks = "".join(letter for letter, plain in reduced.items() if not plain)
    return {"accented": "".join(single) + marks, "plain": "".join(single.values())}


def _strip_marks(letter: str) -> str:
    """What is left of a letter, small or capital, without its marks."""
    return "".join(
        c
        for c in unicodedata.normalize("NFKD", letter)
        if not unicodedata.category(c).startswith("M")
    )


def _contains_sql(
    values: dict[str, SqlValue],
    text: str,
    table: Table,
    *,
    numbers: Iterable[str],
    texts: Iterable[str],
) -> list[str]:
    """A condition, where ``text`` asks for one, that it is part of one of the columns; adds its values."""
    needle = SearchText(text)
    if not needle.folded:
        return []
    inside = [f"contains(CAST({table.labels[name]} AS STRING), :digits)" for name in numbers]
    inside += [f"contains({_fold_sql(table.labels[name])}, :folded)" for name in texts]
    values |= {"folded": needle.folded, **_fold_letters()}
    if numbers:
        values["digits"] = needle.digits
    return [f"({' OR '.join(inside)})"]
