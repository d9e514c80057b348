"""`Warehouse` on the tables of a Databricks workspace, with parameterised SQL.

No value is ever part of a statement's text.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from ipp.core.contract import Kind
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
from ipp.storage.warehouse import sql_comparison
from ipp.storage.warehouse.databricks_configurations import DatabricksConfigurations
from ipp.storage.warehouse.row_batch import split_counters
from ipp.storage.warehouse.sql_search import contains_sql, fold_parameters, fold_sql
from ipp.storage.warehouse.sql_statement import ParseCell, SqlValue, Statement
from ipp.storage.warehouse.sql_summary import (
    UNITS_PER_PESO,
    UNKNOWN_STOCK_SQL,
    exact_sum_sql,
    pesos_sql,
    summary_columns,
)
from ipp.storage.warehouse.sql_table import (
    CELL_PARSERS,
    IDS_SUBQUERY,
    JSON_PARSERS,
    column_parsers,
    query_page,
    select_list,
)
from ipp.storage.warehouse.warehouse import (
    TIE_BREAK_COLUMNS,
    JobComparison,
    Readiness,
    RowPage,
    RowQuery,
    TableRow,
    Warehouse,
)

if TYPE_CHECKING:
    import polars as pl

MAX_STATEMENT_ROWS: Final = 10_000
"""Maximum rows of results that one statement returns: a workspace returns 25 MiB at most.

A row of results is less than 1 KiB of JSON.
"""

_MAX_LIMIT_OFFSET: Final = 2**31 - 1
"""Maximum sum of LIMIT and OFFSET."""


class DatabricksWarehouse(DatabricksConfigurations, Warehouse):
    """`Warehouse` that runs its SQL with ``statements``."""

    @override
    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        rows = f"SELECT DISTINCT mostrador FROM {CONFIGURATIONS.name} WHERE mostrador IS NOT NULL"
        values: dict[str, SqlValue] = {}
        if mostradores is not None:
            rows += f" AND mostrador IN ({IDS_SUBQUERY})"
            values["ids"] = json.dumps(list(mostradores))
        return self._query_ids(f"{rows} ORDER BY mostrador", values)

    @override
    def known_counters(self) -> Sequence[int]:
        return self._query_ids(f"SELECT DISTINCT mostrador FROM {COUNTERS.name} ORDER BY 1", {})

    @override
    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        values: dict[str, SqlValue] = {"ids": json.dumps(list(mostradores))}
        known = set(
            self._query_ids(
                f"SELECT DISTINCT mostrador FROM {COUNTERS.name}"
                f" WHERE mostrador IN ({IDS_SUBQUERY})",
                values,
            )
        )
        return [mostrador for mostrador in mostradores if mostrador not in known]

    @override
    def readiness(self) -> Readiness:
        columns = [
            ("materials", CELL_PARSERS[Kind.COUNT]),
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
            Statement(sql, values), [(name, CELL_PARSERS[kind]) for name, kind, _ in columns]
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
        return query_page(
            self._statements, RESULTS, " AND ".join(conditions), part, order, values, wanted.columns
        )

    @override
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

    @override
    def get_row(self, job_id: str, mostrador: int, material: int) -> TableRow | None:
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
            else JSON_PARSERS[column.kind](cells[column.label])
            for column in PUBLISHED_RESULTS.columns
        }

    @override
    def investment_by_category(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        where, values = _job_condition(job_id, mostrador)
        category = f"coalesce({RESULTS.labels['category']}, '')"
        investment = exact_sum_sql(RESULTS.labels["optimum_value"], UNITS_PER_PESO)
        sql = (
            f"SELECT {category}, count(*), {pesos_sql(investment)}"
            f" FROM {RESULTS.name} {where} GROUP BY {category}"
            f" ORDER BY {investment} DESC, {category}"
        )
        columns: list[tuple[str, ParseCell]] = [
            ("category", str), ("products", int), ("investment", float)
        ]  # fmt: skip
        return self._statements.fetch_rows(Statement(sql, values), columns)

    @override
    def investment_by_product(self, job_id: str, mostrador: int) -> Sequence[float]:
        where, values = _job_condition(job_id, mostrador)
        value = RESULTS.labels["optimum_value"]
        sql = f"SELECT {value} FROM {RESULTS.name} {where} AND {value} > 0 ORDER BY {value} DESC"
        rows = self._statements.fetch_rows(Statement(sql, values), [("value", float)])
        return [row["value"] for row in rows]

    @override
    def compare_jobs(
        self, earlier: str, later: str, mostrador: int | None, limit: int
    ) -> JobComparison:
        values: dict[str, SqlValue] = {"earlier": earlier, "later": later}
        counters = self._statements.fetch_rows(
            Statement(sql_comparison.counters_sql(), values),
            list(sql_comparison.COUNTER_COLUMNS.items()),
        )
        one_counter = {} if mostrador is None else {"mostrador": mostrador}
        products = self._statements.fetch_rows(
            Statement(
                sql_comparison.products_sql(one_counter=bool(one_counter)),
                values | {"limit": limit} | one_counter,
            ),
            [("sign", int), *sql_comparison.PRODUCT_COLUMNS.items()],
        )
        rose = sum(row.pop("sign") > 0 for row in products)
        return JobComparison(counters, products[:rose], products[rose:])

    @override
    def daily_sales(
        self, mostrador: int, material: int, first: dt.date, last: dt.date
    ) -> Sequence[TableRow]:
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
            [(column.name, CELL_PARSERS[column.kind]) for column in columns],
        )

    @override
    def counter_names(self, mostradores: Sequence[int]) -> Mapping[int, str]:
        name = COUNTERS.labels["counter_name"]
        sql = (
            f"SELECT mostrador, {name} FROM {COUNTERS.name}"
            f" WHERE mostrador IN ({IDS_SUBQUERY}) AND {name} IS NOT NULL"
        )
        rows = self._statements.fetch_rows(
            Statement(sql, {"ids": json.dumps(list(mostradores))}),
            [("mostrador", int), ("name", str)],
        )
        return {row["mostrador"]: row["name"] for row in rows}

    @override
    def published_jobs(self) -> Sequence[str]:
        sql = f"SELECT DISTINCT job_id FROM {RESULTS.name} ORDER BY job_id"
        rows = self._statements.fetch_rows(Statement(sql, {}), [("job_id", str)])
        return [row["job_id"] for row in rows]

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
            [(column.name, CELL_PARSERS[column.kind]) for column in columns],
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
            [(column.name, CELL_PARSERS[column.kind]) for column in columns],
        )

    @override
    def publication(self, job_id: str) -> TableRow | None:
        where, values = _job_condition(job_id, None)
        sql = f"SELECT {select_list(PROCESSES)} FROM {PROCESSES.name} {where} LIMIT 1"
        rows = self._statements.fetch_rows_if_table_exists(
            Statement(sql, values), column_parsers(PROCESSES)
        )
        return rows[0] if rows else None

    @override
    def notices(self, job_id: str) -> Sequence[TableRow]:
        columns = [NOTICES.by_name[name] for name in ("mostrador", "notice")]
        where, values = _job_condition(job_id, None)
        select_list = ", ".join(column.label for column in columns)
        parsers = [(column.name, CELL_PARSERS[column.kind]) for column in columns]
        sql = f"SELECT {select_list} FROM {NOTICES.name} {where} ORDER BY {select_list}"
        return self._statements.fetch_rows_if_table_exists(Statement(sql, values), parsers)

    def _query_ids(self, sql: str, values: Mapping[str, SqlValue]) -> list[int]:
        return [
            row["mostrador"]
            for row in self._statements.fetch_rows(Statement(sql, values), [("mostrador", int)])
        ]

    def _iterate_pages(self, job_id: str, first: int, last: int) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of the mostradores from ``first`` to ``last``, a statement each page."""
        sql = (
            f"SELECT {select_list(RESULTS)} FROM {RESULTS.name}"
            " WHERE job_id = :job_id AND mostrador BETWEEN :mostrador AND :last"
            " AND (mostrador > :mostrador OR material > :material)"
            f" ORDER BY {', '.join(TIE_BREAK_COLUMNS)} LIMIT {MAX_STATEMENT_ROWS}"
        )
        mostrador, material, page_rows = first, -1, MAX_STATEMENT_ROWS
        while page_rows == MAX_STATEMENT_ROWS:
            values: dict[str, SqlValue] = {
                "job_id": job_id, "mostrador": mostrador, "material": material, "last": last
            }  # fmt: skip
            page = self._statements.fetch_rows(Statement(sql, values), column_parsers(RESULTS))
            yield page
            page_rows = len(page)
            if page:
                mostrador, material = page[-1]["mostrador"], page[-1]["material"]


def _job_condition(job_id: str, mostrador: int | None) -> tuple[str, dict[str, SqlValue]]:
    """Return the condition for the rows of a job, or of one mostrador of it, and its values."""
    if mostrador is None:
        return "WHERE job_id = :job_id", {"job_id": job_id}
    return "WHERE job_id = :job_id AND mostrador = :mostrador", {
        "job_id": job_id,
        "mostrador": mostrador,
    }
