"""A `Warehouse` over the tables of a Databricks workspace, by SQL. No value is ever part of a statement's text."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ipp.core.contract import Kind, Table
from ipp.core.tables import CONFIGURATIONS, COUNTERS, CURVES, MATERIALS, RESULTS, SELLOUT
from ipp.warehouse.base import TIES, Needle, Page, Readiness, Row, Wanted
from ipp.warehouse.statements import Read, Statement, Statements, Value

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

_SQL_TYPES: Final[Mapping[Kind, str]] = {
    Kind.ID: "BIGINT",
    Kind.TEXT: "STRING",
    Kind.NUMBER: "DOUBLE",
    Kind.COUNT: "BIGINT",
    Kind.DATE: "DATE",
    Kind.FLAG: "BOOLEAN",
}


def _plain_letters() -> tuple[str, str]:
    """The accented letters of Latin scripts, and beside each the plain one: SQL has no decomposition."""
    pairs = []
    for code in range(0xC0, 0x250):
        letter = chr(code).lower()
        base = unicodedata.normalize("NFKD", letter)[0]
        if base.isascii() and base != letter:
            pairs.append((letter, base))
    return "".join(accented for accented, _ in pairs), "".join(plain for _, plain in pairs)


_ACCENTED, _PLAIN = _plain_letters()


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

    def summary(self, job_id: str) -> Sequence[Row]:
        """What a job decided for each mostrador, as `ipp.core.publication.summarise` has it."""
        column = RESULTS.labels
        counted = f"{column['exclusion']} IS NULL"
        demand = f"sum(CASE WHEN {counted} THEN {column['expected_demand']} END)"
        sales = f"sum(CASE WHEN {counted} THEN {column['expected_sales']} END)"
        whole, number = _READS[Kind.COUNT], _READS[Kind.NUMBER]
        return self._statements.rows(
            Statement(
                f"SELECT mostrador, count(*), count_if({column['optimum']} > 0), sum({column['optimum']}),"
                f" round(sum(CAST(round({column['optimum_value']} * 100) AS BIGINT)) / 100, 2),"
                f" round(max({column['target_investment']}), 2), max({column['rounding_factor']}),"
                f" round(CASE WHEN {demand} > 0 THEN {sales} / {demand} END, 4)"
                f" FROM {RESULTS.name} WHERE job_id = :job_id GROUP BY mostrador ORDER BY mostrador",
                {"job_id": job_id},
            ),
            [
                ("mostrador", whole),
                ("products", whole),
                ("products_with_stock", whole),
                ("units", whole),
                ("investment", number),
                ("target_investment", number),
                ("rounding_factor", number),
                ("expected_fill_rate", number),
            ],
        )

    def rows(self, wanted: Wanted) -> Page:
        """A page of what a job published."""
        values: dict[str, Value] = {"job_id": wanted.job_id}
        conditions = ["job_id = :job_id"]
        if wanted.mostrador is not None:
            conditions.append("mostrador = :mostrador")
            values["mostrador"] = wanted.mostrador
        conditions += _holds(values, wanted.text, RESULTS, numbers=("material", "ean"), texts=("description",))
        found = f"FROM {RESULTS.name} WHERE {' AND '.join(conditions)}"
        total = self._total(found, values)
        column = RESULTS.by_name[wanted.sort]
        key = _folded(column.label) if column.kind is Kind.TEXT else column.label
        letters: dict[str, Value] = {"accented": _ACCENTED, "plain": _PLAIN} if column.kind is Kind.TEXT else {}
        ordered = (
            f"SELECT {_listed(RESULTS)} {found} ORDER BY {key} {'DESC' if wanted.descending else 'ASC'} NULLS LAST,"
            f" {', '.join(TIES)} LIMIT {int(wanted.limit)} OFFSET {int(wanted.start)}"
        )
        return Page(total, self._statements.rows(Statement(ordered, values | letters), _columns(RESULTS)))

    def curve(self, job_id: str, mostrador: int) -> Sequence[Row]:
        """The points of a mostrador's curve, rising; none where it has none."""
        wanted = [CURVES.by_name[name] for name in ("investment", "fill_rate", "chosen", "gap")]
        return self._statements.rows(
            Statement(
                f"SELECT {', '.join(column.label for column in wanted)} FROM {CURVES.name}"
                f" WHERE job_id = :job_id AND mostrador = :mostrador ORDER BY {wanted[0].label}",
                {"job_id": job_id, "mostrador": mostrador},
            ),
            [(column.name, _READS[column.kind]) for column in wanted],
        )

    def configurations(self, text: str, after: int, limit: int) -> Page:
        """At most ``limit`` configurations of mostradores above ``after``, rising."""
        values: dict[str, Value] = {}
        holds = _holds(values, text, COUNTERS, numbers=(), texts=("counter_name",))
        found = f"FROM {CONFIGURATIONS.name}"
        if holds:
            named = f"SELECT mostrador FROM {COUNTERS.name} WHERE {holds[0]}"
            number = "contains(CAST(mostrador AS STRING), :digits)"
            values["digits"] = Needle(text).digits
            found += f" WHERE ({number} OR mostrador IN ({named}))"
        total = self._total(found, values)
        later = f"{found} {'AND' if holds else 'WHERE'} mostrador > :after"
        page = Statement(
            f"SELECT {_listed(CONFIGURATIONS)} {later} ORDER BY mostrador LIMIT {int(limit)}", values | {"after": after}
        )
        return Page(total, self._statements.rows(page, _columns(CONFIGURATIONS)))

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

    def _total(self, found: str, values: Mapping[str, Value]) -> int:
        (row,) = self._statements.rows(Statement(f"SELECT count(*) {found}", values), [("total", int)])
        return int(row["total"])


def _listed(table: Table) -> str:
    return ", ".join(table.labels.values())


def _columns(table: Table) -> list[tuple[str, Read]]:
    return [(column.name, _READS[column.kind]) for column in table.columns]


def _typed(kind: Kind, marker: str) -> str:
    """A parameter as its column's type: what is null comes as a text without a value."""
    return f"CAST({marker} AS {_SQL_TYPES[kind]})"


def _values(row: Row, prefix: str) -> dict[str, Any]:
    return {f"{prefix}_{column.name}": row[column.name] for column in CONFIGURATIONS.columns}


def _still() -> str:
    """True for the row that was read, every cell of it as it was."""
    return " AND ".join(
        f"{column.label} <=> {_typed(column.kind, f':old_{column.name}')}" for column in CONFIGURATIONS.columns
    )


def _folded(label: str) -> str:
    """A text as `ipp.warehouse.base.fold` reduces it, for Latin letters."""
    return f"translate(lower({label}), :accented, :plain)"


def _holds(
    values: dict[str, Value], text: str, table: Table, *, numbers: Iterable[str], texts: Iterable[str]
) -> list[str]:
    """A condition, where ``text`` asks for one, that it is part of one of the columns; adds its values."""
    needle = Needle(text)
    if not needle.folded:
        return []
    inside = [f"contains(CAST({table.labels[name]} AS STRING), :digits)" for name in numbers]
    inside += [f"contains({_folded(table.labels[name])}, :folded)" for name in texts]
    values |= {"folded": needle.folded, "accented": _ACCENTED, "plain": _PLAIN}
    if inside and numbers:
        values["digits"] = needle.digits
    return [f"({' OR '.join(inside)})"]
