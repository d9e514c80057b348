"""A `Warehouse` over the tables of a Databricks workspace, by SQL. No value is ever part of a statement's text."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from ipp.cloud.databricks.client import DatabricksRefusal
from ipp.core.contract import Kind, Table
from ipp.core.tables import CONFIGURATIONS, COUNTERS, CURVES, FAILURES, MATERIALS, NOTICES, PROCESSES, RESULTS, SELLOUT
from ipp.storage.warehouse.sql_statement import Read, Statement, Statements, Value
from ipp.storage.warehouse.warehouse import TIES, Needle, Page, Readiness, Row, Wanted

_READS: Final[Mapping[Kind, Read]] = {
    Kind.ID: int,
    Kind.TEXT: str,
    Kind.NUMBER: float,
    Kind.COUNT: int,
    Kind.DATE: dt.date.fromisoformat,
    Kind.FLAG: lambda text: text == "true",
}
"""How a cell's text is read, by the kind of its column."""

_IDS: Final = "SELECT explode(from_json(:ids, 'ARRAY<BIGINT>')) AS id"
"""The mostradores asked for, however many, as one value."""

_WHOLE: Final = 2**31 - 1
"""The most that LIMIT and OFFSET may be together."""

_UNITS: Final = 10_000
"""Of a peso, as `ipp.core.money` counts them."""

_MILLIONTHS: Final = 1_000_000
"""Of a piece: what is expected is published to so many decimals at most, so that no sum depends on its order."""

_LETTERS: Final = (range(0xA0, 0x530), range(0x1D00, 0x2200))
"""Latin, Greek, Cyrillic, their marks, punctuation, raised and lowered signs, letter-like ones."""

_SPELT: Final = "¼½¾…™№℃"
"""Signs that a catalogue has and that are reduced to several letters."""


_UNKNOWN_STOCK: Final = "({optimum} > 0 AND {on_hand} IS NULL)".format(**RESULTS.labels)
"""As `ipp.core.decision.publication.has_unknown_stock`."""

_NO_TABLE: Final = "[TABLE_OR_VIEW_NOT_FOUND]"
"""How Databricks' words begin for a table that was never made."""


class DatabricksWarehouse:
    """Answers by ``statements``."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def configured(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        """Those of ``mostradores`` that have a configuration, rising; None asks for every one that has."""
        rows = f"SELECT DISTINCT mostrador FROM {CONFIGURATIONS.name} WHERE mostrador IS NOT NULL"
        values: dict[str, Value] = {}
        if mostradores is not None:
            rows += f" AND mostrador IN ({_IDS})"
            values["ids"] = json.dumps(list(mostradores))
        return self._ids(f"{rows} ORDER BY mostrador", values)

    def unknown(self, mostradores: Sequence[int]) -> Sequence[int]:
        """Those of ``mostradores`` that have no row of their own, in the order asked."""
        values: dict[str, Value] = {"ids": json.dumps(list(mostradores))}
        known = set(self._ids(f"SELECT DISTINCT mostrador FROM {COUNTERS.name} WHERE mostrador IN ({_IDS})", values))
        return [mostrador for mostrador in mostradores if mostrador not in known]

    def readiness(self) -> Readiness:
        """What a job would find."""
        columns = [("materials", _READS[Kind.COUNT]), ("first", dt.date.fromisoformat), ("last", dt.date.fromisoformat)]
        found = self._statements.rows(
            Statement(
                f"SELECT (SELECT count(*) FROM (SELECT 1 FROM {MATERIALS.name} LIMIT 1)), min(fecha), max(fecha)"
                f" FROM {SELLOUT.name}",
                {},
            ),
            columns,
        )
        (row,) = found
        return Readiness(has_materials=bool(row["materials"]), first=row["first"], last=row["last"])

    def summary(self, job_id: str, mostrador: int | None = None) -> Sequence[Row]:
        """What a job decided for each mostrador, as `ipp.core.decision.publication.summarise` has it, or for one."""
        column = RESULTS.labels
        investment = _counted(column["optimum_value"], _UNITS)
        allowed = "CASE WHEN {exclusion} IS NULL THEN {{}} END".format(**column)
        demand = _counted(allowed.format(column["expected_demand"]), _MILLIONTHS)
        sales = _counted(allowed.format(column["expected_sales"]), _MILLIONTHS)
        unknown = _counted(f"CASE WHEN {_UNKNOWN_STOCK} THEN {column['optimum_value']} END", _UNITS)
        whole, number = _READS[Kind.COUNT], _READS[Kind.NUMBER]
        cells: list[tuple[str, Read, str]] = [
            ("mostrador", whole, "mostrador"),
            ("products", whole, "count(*)"),
            ("products_with_stock", whole, f"count_if({column['optimum']} > 0)"),
            ("units", whole, f"coalesce(sum({column['optimum']}), 0)"),
            ("investment", number, _rounded(f"{investment} / {_UNITS}", 2)),
            ("target_investment", number, _rounded(f"max({column['target_investment']})", 2)),
            ("rounding_factor", number, f"max({column['rounding_factor']})"),
            ("expected_fill_rate", number, _rounded(f"CASE WHEN {demand} > 0 THEN {sales} / {demand} END", 4)),
            ("products_with_unknown_stock", whole, f"count_if({_UNKNOWN_STOCK})"),
            ("value_with_unknown_stock", number, _rounded(f"{unknown} / {_UNITS}", 2)),
        ]
        where, values = _of(job_id, mostrador)
        sql = (
            f"SELECT {', '.join(expression for *_, expression in cells)} FROM {RESULTS.name}"
            f" {where} GROUP BY mostrador ORDER BY mostrador"
        )
        return self._statements.rows(Statement(sql, values), [(name, read) for name, read, _ in cells])

    def rows(self, wanted: Wanted) -> Page:
        """A page of what a job published."""
        where, values = _of(wanted.job_id, wanted.mostrador)
        conditions = [where]
        if wanted.category is not None:
            conditions.append(f"coalesce({RESULTS.labels['category']}, '') = :category")
            values["category"] = wanted.category
        if wanted.unknown_stock:
            conditions.append(_UNKNOWN_STOCK)
        conditions += _holds(values, wanted.text, RESULTS, numbers=("material", "ean"), texts=("description",))
        column = RESULTS.by_name[wanted.sort]
        key = column.label
        if column.kind is Kind.TEXT:
            key = _folded(column.label)
            values |= _folding()
        order = f"{key} {'DESC' if wanted.descending else 'ASC'} NULLS LAST, {', '.join(TIES)}"
        values |= {"limit": wanted.limit, "start": min(wanted.start, _WHOLE - wanted.limit)}
        part = f"ORDER BY {order} LIMIT CAST(:limit AS INT) OFFSET CAST(:start AS INT)"
        return self._page(RESULTS, " AND ".join(conditions), part, order, values, wanted.columns)

    def curve(self, job_id: str, mostrador: int) -> Sequence[Row]:
        """The points of a mostrador's curve, rising; none where it has none."""
        wanted = [CURVES.by_name[name] for name in ("investment", "fill_rate", "chosen", "gap")]
        where, values = _of(job_id, mostrador)
        shown = ", ".join(column.label for column in wanted)
        return self._statements.rows(
            Statement(f"SELECT {shown} FROM {CURVES.name} {where} ORDER BY {wanted[0].label}", values),
            [(column.name, _READS[column.kind]) for column in wanted],
        )

    def failures(self, job_id: str, mostrador: int | None = None) -> Sequence[Row]:
        """The mostradores that a job published nothing of, rising, and why; or one of them."""
        wanted = [FAILURES.by_name[name] for name in ("mostrador", "stage", "cause")]
        where, values = _of(job_id, mostrador)
        shown = ", ".join(column.label for column in wanted)
        return self._statements.rows(
            Statement(f"SELECT {shown} FROM {FAILURES.name} {where} ORDER BY mostrador", values),
            [(column.name, _READS[column.kind]) for column in wanted],
        )

    def publication(self, job_id: str) -> Row | None:
        """What is told of a job that has published, None where nothing is."""
        where, values = _of(job_id, None)
        sql = f"SELECT {_listed(PROCESSES)} FROM {PROCESSES.name} {where} LIMIT 1"
        found = self._rows_if_made(Statement(sql, values), _columns(PROCESSES))
        return found[0] if found else None

    def notices(self, job_id: str) -> Sequence[Row]:
        """What is odd about the data of mostradores that a job published, by mostrador, rising."""
        wanted = [NOTICES.by_name[name] for name in ("mostrador", "notice")]
        where, values = _of(job_id, None)
        shown = ", ".join(column.label for column in wanted)
        columns = [(column.name, _READS[column.kind]) for column in wanted]
        sql = f"SELECT {shown} FROM {NOTICES.name} {where} ORDER BY {shown}"
        return self._rows_if_made(Statement(sql, values), columns)

    def configurations(self, text: str, after: int, limit: int) -> Page:
        """At most ``limit`` configurations of mostradores above ``after``, rising."""
        values: dict[str, Value] = {}
        holds = _holds(values, text, COUNTERS, numbers=(), texts=("counter_name",))
        where = ""
        if holds:
            named = f"SELECT mostrador FROM {COUNTERS.name} WHERE {holds[0]}"
            where = f"WHERE (contains(CAST(mostrador AS STRING), :digits) OR mostrador IN ({named}))"
            values["digits"] = Needle(text).digits
        values |= {"after": after, "limit": limit}
        part = "WHERE mostrador > :after ORDER BY mostrador LIMIT CAST(:limit AS INT)"
        return self._page(CONFIGURATIONS, where, part, "mostrador", values)

    def configuration(self, mostrador: int) -> Row | None:
        """The configuration of a mostrador, None where it has none."""
        found = self._statements.rows(
            Statement(
                f"SELECT {_listed(CONFIGURATIONS)} FROM {CONFIGURATIONS.name} WHERE mostrador = :mostrador LIMIT 1",
                {"mostrador": mostrador},
            ),
            _columns(CONFIGURATIONS),
        )
        return found[0] if found else None

    def insert(self, row: Row) -> bool:
        """Store a configuration; False where its mostrador has one, which is left as it is."""
        values = _values(row, "new")
        cells = ", ".join(_typed(column.kind, f":new_{column.name}") for column in CONFIGURATIONS.columns)
        there = f"SELECT 1 FROM {CONFIGURATIONS.name} WHERE mostrador = :new_mostrador"
        sql = f"INSERT INTO {CONFIGURATIONS.name} ({_listed(CONFIGURATIONS)}) SELECT {cells} WHERE NOT EXISTS ({there})"
        return self._statements.changed(Statement(sql, values, safe=False)) > 0

    def update(self, before: Row, after: Row) -> bool:
        """Put ``after`` in the place of ``before``; False where that is not what is stored."""
        changes = ", ".join(
            f"{column.label} = {_typed(column.kind, f':new_{column.name}')}"
            for column in CONFIGURATIONS.columns
            if column.name != "mostrador"
        )
        values = _values(before, "old") | _values(after, "new")
        del values["new_mostrador"]
        sql = f"UPDATE {CONFIGURATIONS.name} SET {changes} WHERE {_still()}"
        return self._statements.changed(Statement(sql, values, safe=False)) > 0

    def delete(self, before: Row) -> bool:
        """Take ``before`` away; False where that is not what is stored."""
        sql = f"DELETE FROM {CONFIGURATIONS.name} WHERE {_still()}"
        return self._statements.changed(Statement(sql, _values(before, "old"), safe=False)) > 0

    def _ids(self, sql: str, values: Mapping[str, Value]) -> list[int]:
        return [row["mostrador"] for row in self._statements.rows(Statement(sql, values), [("mostrador", int)])]

    def _rows_if_made(self, statement: Statement, columns: Sequence[tuple[str, Read]]) -> list[dict[str, Any]]:
        """Return the rows of a query, none where its table is not made: the first job that publishes makes it."""
        try:
            return self._statements.rows(statement, columns)
        except DatabricksRefusal as refusal:
            if _NO_TABLE in refusal.message:
                return []
            raise

    def _page(
        self,
        table: Table,
        where: str,
        part: str,
        order: str,
        values: Mapping[str, Value],
        names: Sequence[str] = (),
    ) -> Page:
        """Of the rows ``where``, which ``part`` is of, and how many they are: one statement sees one moment.

        ``names`` are the columns of a row, all of them where none is named. A part without rows comes as a row
        without a key.
        """
        wanted = [table.by_name[name] for name in names] or table.columns
        shown = ", ".join(f"page.{column.label}" for column in wanted)
        sql = (
            f"WITH found AS (SELECT {_listed(table)} FROM {table.name} {where}), page AS (SELECT * FROM found {part})"
            f" SELECT (SELECT count(*) FROM found), page.{table.labels[table.key[0]]} IS NOT NULL AS there, {shown}"
            f" FROM (SELECT 1) LEFT JOIN page ON TRUE ORDER BY {order}"
        )
        cells = [(column.name, _READS[column.kind]) for column in wanted]
        rows = self._statements.rows(Statement(sql, values), [("", int), ("there", _READS[Kind.FLAG]), *cells])
        return Page(rows[0][""], [{name: row[name] for name, _ in cells} for row in rows if row["there"]])


def _of(job_id: str, mostrador: int | None) -> tuple[str, dict[str, Value]]:
    """The condition for the rows of a job, and of one mostrador where it is given, with its values."""
    if mostrador is None:
        return "WHERE job_id = :job_id", {"job_id": job_id}
    return "WHERE job_id = :job_id AND mostrador = :mostrador", {"job_id": job_id, "mostrador": mostrador}


def _listed(table: Table) -> str:
    return ", ".join(table.labels.values())


def _columns(table: Table) -> list[tuple[str, Read]]:
    return [(column.name, _READS[column.kind]) for column in table.columns]


def _typed(kind: Kind, marker: str) -> str:
    """A parameter as its column's type: what is null comes as a text without a value."""
    return f"CAST({marker} AS {kind.sql})"


def _values(row: Row, prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{column.name}": row[column.name] for column in CONFIGURATIONS.columns}


def _still() -> str:
    """True for the row that was read, every cell of it as it was."""
    return " AND ".join(
        f"{column.label} <=> {_typed(column.kind, f':old_{column.name}')}" for column in CONFIGURATIONS.columns
    )


def _counted(expression: str, parts: int) -> str:
    """The sum of an expression in whole parts, each rounded to the nearest, a half to the even one."""
    return f"coalesce(sum(CAST(rint({expression} * {parts}) AS BIGINT)), 0)"


def _rounded(expression: str, digits: int) -> str:
    """A float to so many decimals, as Polars and NumPy round it: SQL's own ``round`` rounds its decimal spelling."""
    return f"rint(({expression}) * {10**digits}) / {10**digits}"


def _folded(label: str) -> str:
    """A text as `ipp.storage.warehouse.warehouse.fold` reduces it, for the letters of `_folding`: SQL has no decomposition."""
    text = f"translate({label}, :accented, :plain)"
    for sign in _SPELT:
        text = f"replace({text}, '{sign}', '{_plain(sign)}')"
    return f"lower({text})"


@cache
def _folding() -> dict[str, Value]:
    """The letters that are reduced to one, beside each that one, and last the marks that are reduced to nothing."""
    reduced = {chr(code): _plain(chr(code)) for block in _LETTERS for code in block}
    single = {letter: plain for letter, plain in reduced.items() if len(plain) == 1 and plain != letter}
    marks = "".join(letter for letter, plain in reduced.items() if not plain)
    return {"accented": "".join(single) + marks, "plain": "".join(single.values())}


def _plain(letter: str) -> str:
    """What is left of a letter, small or capital, without its marks."""
    return "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.category(c).startswith("M"))


def _holds(
    values: dict[str, Value], text: str, table: Table, *, numbers: Iterable[str], texts: Iterable[str]
) -> list[str]:
    """A condition, where ``text`` asks for one, that it is part of one of the columns; adds its values."""
    needle = Needle(text)
    if not needle.folded:
        return []
    inside = [f"contains(CAST({table.labels[name]} AS STRING), :digits)" for name in numbers]
    inside += [f"contains({_folded(table.labels[name])}, :folded)" for name in texts]
    values |= {"folded": needle.folded, **_folding()}
    if numbers:
        values["digits"] = needle.digits
    return [f"({' OR '.join(inside)})"]
