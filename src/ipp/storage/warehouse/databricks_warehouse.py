"""`Warehouse` on the tables of a Databricks workspace, with parameterised SQL.

No value is ever part of a statement's text.
"""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

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
    PUBLISHED_RESULTS,
    RESULTS,
    SELLOUT,
)
from ipp.storage.warehouse import comparison_sql
from ipp.storage.warehouse.row_batch import split_counters
from ipp.storage.warehouse.sql_statement import ParseCell, SqlValue, Statement, StatementRunner
from ipp.storage.warehouse.warehouse import (
    TIE_BREAK_COLUMNS,
    JobComparison,
    Readiness,
    RowPage,
    RowQuery,
    SearchText,
    TableRow,
)

if TYPE_CHECKING:
    import polars as pl

_CELL_PARSERS: Final[Mapping[Kind, ParseCell]] = {
    Kind.ID: int,
    Kind.TEXT: str,
    Kind.NUMBER: float,
    Kind.COUNT: int,
    Kind.DATE: dt.date.fromisoformat,
    Kind.FLAG: lambda text: text == "true",
}
"""Parser of a cell's text, by the kind of its column."""

_JSON_PARSERS: Final = {**_CELL_PARSERS, Kind.FLAG: bool}
"""Parser of a JSON value that is not null, by the kind of its column."""

_IDS_SUBQUERY: Final = "SELECT explode(from_json(:ids, 'ARRAY<BIGINT>')) AS id"
"""Subquery that passes any number of mostradores as one parameter."""

MAX_STATEMENT_ROWS: Final = 10_000
"""Maximum rows of results that one statement returns: a workspace returns 25 MiB at most.

A row of results is less than 1 KiB of JSON.
"""

_MAX_LIMIT_OFFSET: Final = 2**31 - 1
"""Maximum sum of LIMIT and OFFSET."""

_UNITS_PER_PESO: Final = 10_000
"""Fixed-point units per peso, as in `ipp.core.money`."""

_UNITS_PER_PIECE: Final = 1_000_000
"""Fixed-point units per piece.

Expected values are published with at most six decimals, so that sums in these units do not depend
on the order of the rows.
"""

_LETTER_RANGES: Final = (range(0xA0, 0x530), range(0x1D00, 0x2200))
"""Latin, Greek, Cyrillic, marks, punctuation, super- and subscripts, and letter-like signs."""

_SPELLED_OUT_SIGNS: Final = "¼½¾…™№℃"
"""Signs of the catalogues that fold to several letters."""

_UNKNOWN_STOCK: Final = "({optimum} > 0 AND {on_hand} IS NULL)".format(**RESULTS.labels)
"""SQL condition equivalent to `ipp.core.decision.publication.has_unknown_stock`."""

_NO_TABLE: Final = "[TABLE_OR_VIEW_NOT_FOUND]"
"""Text of Databricks' error for a table that does not exist."""


class DatabricksWarehouse:
    """`Warehouse` that runs its SQL with ``statements``."""

    def __init__(self, statements: StatementRunner) -> None:
        self._statements = statements

    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        """Return the ``mostradores`` with a configuration, ascending; None asks for all."""
        rows = f"SELECT DISTINCT mostrador FROM {CONFIGURATIONS.name} WHERE mostrador IS NOT NULL"
        values: dict[str, SqlValue] = {}
        if mostradores is not None:
            rows += f" AND mostrador IN ({_IDS_SUBQUERY})"
            values["ids"] = json.dumps(list(mostradores))
        return self._query_ids(f"{rows} ORDER BY mostrador", values)

    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        """Return ``mostradores`` without a row in `ipp.core.tables.COUNTERS`, in input order."""
        values: dict[str, SqlValue] = {"ids": json.dumps(list(mostradores))}
        known = set(
            self._query_ids(
                f"SELECT DISTINCT mostrador FROM {COUNTERS.name}"
                f" WHERE mostrador IN ({_IDS_SUBQUERY})",
                values,
            )
        )
        return [mostrador for mostrador in mostradores if mostrador not in known]

    def readiness(self) -> Readiness:
        """Return whether the data that a job needs is there."""
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

    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """Return the summary of a job for each mostrador, or for only one.

        The SQL is equivalent to `ipp.core.decision.publication.summarise_counters`.
        """
        labels = RESULTS.labels
        investment = _exact_sum_sql(labels["optimum_value"], _UNITS_PER_PESO)
        if_not_excluded = "CASE WHEN {exclusion} IS NULL THEN {{}} END".format(**labels)
        demand = _exact_sum_sql(if_not_excluded.format(labels["expected_demand"]), _UNITS_PER_PIECE)
        sales = _exact_sum_sql(if_not_excluded.format(labels["expected_sales"]), _UNITS_PER_PIECE)
        unknown_value = _exact_sum_sql(
            f"CASE WHEN {_UNKNOWN_STOCK} THEN {labels['optimum_value']} END", _UNITS_PER_PESO
        )
        parse_count, parse_number = _CELL_PARSERS[Kind.COUNT], _CELL_PARSERS[Kind.NUMBER]
        cells: list[tuple[str, ParseCell, str]] = [
            ("mostrador", parse_count, "mostrador"),
            ("products", parse_count, "count(*)"),
            ("products_with_stock", parse_count, f"count_if({labels['optimum']} > 0)"),
            ("units", parse_count, f"coalesce(sum({labels['optimum']}), 0)"),
            ("investment", parse_number, _round_sql(f"{investment} / {_UNITS_PER_PESO}", 2)),
            (
                "target_investment",
                parse_number,
                _round_sql(f"max({labels['target_investment']})", 2),
            ),
            ("rounding_factor", parse_number, f"max({labels['rounding_factor']})"),
            (
                "expected_fill_rate",
                parse_number,
                _round_sql(f"CASE WHEN {demand} > 0 THEN {sales} / {demand} END", 4),
            ),
            ("products_with_unknown_stock", parse_count, f"count_if({_UNKNOWN_STOCK})"),
            (
                "value_with_unknown_stock",
                parse_number,
                _round_sql(f"{unknown_value} / {_UNITS_PER_PESO}", 2),
            ),
        ]
        where, values = _job_condition(job_id, mostrador)
        sql = (
            f"SELECT {', '.join(expression for *_, expression in cells)} FROM {RESULTS.name}"
            f" {where} GROUP BY mostrador ORDER BY mostrador"
        )
        return self._statements.fetch_rows(
            Statement(sql, values), [(name, parse) for name, parse, _ in cells]
        )

    def query_rows(self, wanted: RowQuery) -> RowPage:
        """Return a page of the rows that a job published."""
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

    def iterate_rows(self, job_id: str, mostrador: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows that a job published in batches of about `MAX_STATEMENT_ROWS`."""
        import polars as pl  # noqa: PLC0415  # A process that only queries has no Polars.

        where, values = _job_condition(job_id, mostrador)
        sql = f"SELECT mostrador, count(*) FROM {RESULTS.name} {where}"
        counts = self._statements.fetch_rows(
            Statement(f"{sql} GROUP BY mostrador ORDER BY mostrador", values),
            [("mostrador", int), ("rows", int)],
        )
        pairs = ((row["mostrador"], row["rows"]) for row in counts)
        for first, last in split_counters(pairs, MAX_STATEMENT_ROWS):
            pages = self._iterate_pages(job_id, first, last)
            yield pl.concat(pl.DataFrame(page, schema=RESULTS.schema) for page in pages)

    def get_row(self, job_id: str, mostrador: int, material: int) -> TableRow | None:
        """Return the row that a job published of a product of a mostrador, or None."""
        where, values = _job_condition(job_id, mostrador)
        # As JSON, because a table gets the columns of a newer release with its first publication.
        sql = f"SELECT to_json(struct(*)) FROM {RESULTS.name} {where}"
        rows = self._statements.fetch_rows(
            Statement(f"{sql} AND material = :material LIMIT 1", values | {"material": material}),
            [("cells", json.loads)],
        )
        if not rows:
            return None
        cells = rows[0]["cells"]
        return {
            column.name: None
            if cells.get(column.label) is None
            else _JSON_PARSERS[column.kind](cells[column.label])
            for column in PUBLISHED_RESULTS.columns
        }

    def investment_by_category(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """Return the category, products and investment of each category, largest first."""
        where, values = _job_condition(job_id, mostrador)
        category = f"coalesce({RESULTS.labels['category']}, '')"
        investment = _exact_sum_sql(RESULTS.labels["optimum_value"], _UNITS_PER_PESO)
        sql = (
            f"SELECT {category}, count(*), {comparison_sql.pesos_sql(investment)}"
            f" FROM {RESULTS.name} {where} GROUP BY {category}"
            f" ORDER BY {investment} DESC, {category}"
        )
        columns: list[tuple[str, ParseCell]] = [
            ("category", str), ("products", int), ("investment", float)
        ]  # fmt: skip
        return self._statements.fetch_rows(Statement(sql, values), columns)

    def investment_by_product(self, job_id: str, mostrador: int) -> Sequence[float]:
        """Return the investment in each product of a mostrador that has any, MXN, descending."""
        where, values = _job_condition(job_id, mostrador)
        value = RESULTS.labels["optimum_value"]
        sql = f"SELECT {value} FROM {RESULTS.name} {where} AND {value} > 0 ORDER BY {value} DESC"
        rows = self._statements.fetch_rows(Statement(sql, values), [("value", float)])
        return [row["value"] for row in rows]

    def compare_jobs(
        self, earlier: str, later: str, mostrador: int | None, limit: int
    ) -> JobComparison:
        """Compare what two jobs published; a product that one lacks counts as zero there."""
        values: dict[str, SqlValue] = {"earlier": earlier, "later": later}
        counters = self._statements.fetch_rows(
            Statement(comparison_sql.counters_sql(), values),
            list(comparison_sql.COUNTER_COLUMNS.items()),
        )
        one_counter = {} if mostrador is None else {"mostrador": mostrador}
        products = self._statements.fetch_rows(
            Statement(
                comparison_sql.products_sql(one_counter=bool(one_counter)),
                values | {"limit": limit} | one_counter,
            ),
            [("sign", int), *comparison_sql.PRODUCT_COLUMNS.items()],
        )
        rose = sum(row.pop("sign") > 0 for row in products)
        return JobComparison(counters, products[:rose], products[rose:])

    def daily_sales(
        self, mostrador: int, material: int, first: dt.date, last: dt.date
    ) -> Sequence[TableRow]:
        """Return the date and units of each day from ``first`` to ``last`` with sell-out."""
        columns = [SELLOUT.by_name[name] for name in ("date", "units")]
        sql = (
            f"SELECT {', '.join(column.label for column in columns)} FROM {SELLOUT.name}"
            " WHERE mostrador = :mostrador AND material = :material"
            f" AND {columns[0].label} BETWEEN :first AND :last ORDER BY {columns[0].label}"
        )
        values: dict[str, SqlValue] = {
            "mostrador": mostrador, "material": material, "first": first, "last": last
        }  # fmt: skip
        return self._statements.fetch_rows(
            Statement(sql, values),
            [(column.name, _CELL_PARSERS[column.kind]) for column in columns],
        )

    def counter_names(self, mostradores: Sequence[int]) -> Mapping[int, str]:
        """Return the names of ``mostradores`` by number, without those that have none."""
        name = COUNTERS.labels["counter_name"]
        sql = (
            f"SELECT mostrador, {name} FROM {COUNTERS.name}"
            f" WHERE mostrador IN ({_IDS_SUBQUERY}) AND {name} IS NOT NULL"
        )
        rows = self._statements.fetch_rows(
            Statement(sql, {"ids": json.dumps(list(mostradores))}),
            [("mostrador", int), ("name", str)],
        )
        return {row["mostrador"]: row["name"] for row in rows}

    def published_jobs(self) -> Sequence[str]:
        """Return the ids of the jobs with published rows, ascending."""
        sql = f"SELECT DISTINCT job_id FROM {RESULTS.name} ORDER BY job_id"
        rows = self._statements.fetch_rows(Statement(sql, {}), [("job_id", str)])
        return [row["job_id"] for row in rows]

    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """Return the points of a mostrador's curve by ascending investment, if it has any."""
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

    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """Return the mostradores that a job failed to publish, ascending, and why; or only one."""
        columns = [FAILURES.by_name[name] for name in ("mostrador", "stage", "cause")]
        where, values = _job_condition(job_id, mostrador)
        select_list = ", ".join(column.label for column in columns)
        return self._statements.fetch_rows(
            Statement(
                f"SELECT {select_list} FROM {FAILURES.name} {where} ORDER BY mostrador", values
            ),
            [(column.name, _CELL_PARSERS[column.kind]) for column in columns],
        )

    def publication(self, job_id: str) -> TableRow | None:
        """Return the publication record of a job, or None."""
        where, values = _job_condition(job_id, None)
        sql = f"SELECT {_select_list(PROCESSES)} FROM {PROCESSES.name} {where} LIMIT 1"
        rows = self._rows_if_made(Statement(sql, values), _column_parsers(PROCESSES))
        return rows[0] if rows else None

    def notices(self, job_id: str) -> Sequence[TableRow]:
        """Return the data-quality notices of a job, by ascending mostrador."""
        columns = [NOTICES.by_name[name] for name in ("mostrador", "notice")]
        where, values = _job_condition(job_id, None)
        select_list = ", ".join(column.label for column in columns)
        parsers = [(column.name, _CELL_PARSERS[column.kind]) for column in columns]
        sql = f"SELECT {select_list} FROM {NOTICES.name} {where} ORDER BY {select_list}"
        return self._rows_if_made(Statement(sql, values), parsers)

    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        """Return up to ``limit`` configurations of mostradores above ``after``, ascending."""
        values: dict[str, SqlValue] = {}
        name_conditions = _contains_sql(values, text, COUNTERS, numbers=(), texts=("counter_name",))
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

    def get_configuration(self, mostrador: int) -> TableRow | None:
        """Return the configuration of a mostrador, or None."""
        rows = self._statements.fetch_rows(
            Statement(
                f"SELECT {_select_list(CONFIGURATIONS)} FROM {CONFIGURATIONS.name}"
                " WHERE mostrador = :mostrador LIMIT 1",
                {"mostrador": mostrador},
            ),
            _column_parsers(CONFIGURATIONS),
        )
        return rows[0] if rows else None

    def insert_configuration(self, row: TableRow) -> bool:
        """Store a configuration; return False, changing nothing, if its mostrador has one."""
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

    def update_configuration(self, before: TableRow, after: TableRow) -> bool:
        """Replace ``before`` with ``after``; return False if ``before`` is not what is stored."""
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
        """Delete ``before``; return False if it is not what is stored."""
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

    def _iterate_pages(self, job_id: str, first: int, last: int) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of the mostradores from ``first`` to ``last``, a statement each page."""
        sql = (
            f"SELECT {_select_list(RESULTS)} FROM {RESULTS.name}"
            " WHERE job_id = :job_id AND mostrador BETWEEN :mostrador AND :last"
            " AND (mostrador > :mostrador OR material > :material)"
            f" ORDER BY {', '.join(TIE_BREAK_COLUMNS)} LIMIT {MAX_STATEMENT_ROWS}"
        )
        mostrador, material, page_rows = first, -1, MAX_STATEMENT_ROWS
        while page_rows == MAX_STATEMENT_ROWS:
            values: dict[str, SqlValue] = {
                "job_id": job_id, "mostrador": mostrador, "material": material, "last": last
            }  # fmt: skip
            page = self._statements.fetch_rows(Statement(sql, values), _column_parsers(RESULTS))
            yield page
            page_rows = len(page)
            if page:
                mostrador, material = page[-1]["mostrador"], page[-1]["material"]

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


def _exact_sum_sql(expression: str, parts: int) -> str:
    """Return the exact sum of an expression in integer units of 1/``parts``.

    Each term is rounded half to even. With 10 parts, 0.1 + 0.2 is 1 + 2 = 3 in any order.
    """
    return f"coalesce(sum(CAST(rint({expression} * {parts}) AS BIGINT)), 0)"


def _round_sql(expression: str, digits: int) -> str:
    """Return a float rounded to ``digits`` decimals as Polars and NumPy do.

    SQL's own ``round`` rounds the decimal representation instead.
    """
    return f"rint(({expression}) * {10**digits}) / {10**digits}"


def _fold_sql(label: str) -> str:
    """Return the equivalent of `ipp.storage.warehouse.warehouse.fold_text` as SQL.

    It covers the letters of `_fold_letters`, because SQL has no Unicode decomposition.
    """
    text = f"translate({label}, :accented, :plain)"
    for sign in _SPELLED_OUT_SIGNS:
        text = f"replace({text}, '{sign}', '{_strip_marks(sign)}')"
    return f"lower({text})"


@cache
def _fold_letters() -> dict[str, SqlValue]:
    """Return the two arguments of SQL's ``translate``: letters, and what they fold to.

    Letters that fold to one letter are paired with it. Marks come last in the first argument and
    have no pair, so ``translate`` deletes them.
    """
    folded = {
        chr(code): _strip_marks(chr(code))
        for letter_range in _LETTER_RANGES
        for code in letter_range
    }
    replacements = {
        letter: plain for letter, plain in folded.items() if len(plain) == 1 and plain != letter
    }
    marks = "".join(letter for letter, plain in folded.items() if not plain)
    return {"accented": "".join(replacements) + marks, "plain": "".join(replacements.values())}


def _strip_marks(letter: str) -> str:
    """Return a letter without its marks, in the same case."""
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
    """Return the condition that ``text`` is in any column, as a list; empty if it is blank.

    Adds the condition's parameters to ``values``.
    """
    needle = SearchText(text)
    if not needle.folded:
        return []
    conditions = [f"contains(CAST({table.labels[name]} AS STRING), :digits)" for name in numbers]
    conditions += [f"contains({_fold_sql(table.labels[name])}, :folded)" for name in texts]
    values |= {"folded": needle.folded, **_fold_letters()}
    if numbers:
        values["digits"] = needle.digits
    return [f"({' OR '.join(conditions)})"]
