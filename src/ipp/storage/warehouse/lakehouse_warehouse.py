"""`Warehouse` on the tables of a lakehouse, with Polars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from typing_extensions import override

from ipp.core import money
from ipp.core.change_table import CHANGE_ROW_TEXT_COLUMNS, CHANGE_TEXT_COLUMNS, CHANGES
from ipp.core.contract import Kind, Table
from ipp.core.decision.publication import has_unknown_stock, summarise_counters
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
from ipp.storage.change_record import (
    ROW_ID_SEPARATOR,
    Author,
    ChangeState,
    Operation,
    record_bulk_change,
    record_row_change,
)
from ipp.storage.lakehouse.change_log import ChangeLog, change_metadata
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.job_comparison import compare_rows
from ipp.storage.warehouse.row_batch import iterate_batches
from ipp.storage.warehouse.table_error import translating_table_errors
from ipp.storage.warehouse.warehouse import (
    TIE_BREAK_COLUMNS,
    ChangeQuery,
    JobComparison,
    Readiness,
    RowChange,
    RowPage,
    RowQuery,
    SearchText,
    TableRow,
    Warehouse,
)


@translating_table_errors
class LakehouseWarehouse(Warehouse):
    """`Warehouse` on ``lakehouse``.

    Every call raises `UnavailableError` where a file of a table is missing, damaged or cannot be
    written.
    """

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse
        self._changes = ChangeLog(lakehouse)

    @override
    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        counters = self._lakehouse.scan_table(CONFIGURATIONS).select(
            pl.col("mostrador").unique().sort()
        )
        if mostradores is not None:
            counters = counters.filter(pl.col("mostrador").is_in(mostradores))
        return counters.collect()["mostrador"].to_list()

    @override
    def known_counters(self) -> Sequence[int]:
        counters = self._lakehouse.scan_table(COUNTERS).select(pl.col("mostrador").unique().sort())
        return counters.collect()["mostrador"].to_list()

    @override
    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        known = set(self.known_counters())
        return [mostrador for mostrador in mostradores if mostrador not in known]

    @override
    def readiness(self) -> Readiness:
        material = self._lakehouse.scan_table(MATERIALS).select("material").limit(1).collect()
        days = self._lakehouse.scan_table(SELLOUT).select(
            first=pl.col("date").min(), last=pl.col("date").max()
        )
        first, last = days.collect().row(0)
        return Readiness(has_materials=not material.is_empty(), first=first, last=last)

    @override
    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        return summarise_counters(self._job_rows(RESULTS, job_id, mostrador)).collect().to_dicts()

    @override
    def query_rows(self, wanted: RowQuery) -> RowPage:
        matches = self._job_rows(RESULTS, wanted.job_id, wanted.mostrador)
        if wanted.category is not None:
            matches = matches.filter(pl.col("category").fill_null("") == wanted.category)
        if wanted.unknown_stock:
            matches = matches.filter(has_unknown_stock())
        if wanted.text:
            matches = matches.filter(
                _contains_text(
                    SearchText(wanted.text), numbers=("material", "ean"), texts=("description",)
                )
            )
        column, names = pl.col(wanted.sort), wanted.columns or tuple(RESULTS.by_name)
        key = _fold_expression(column) if RESULTS.by_name[wanted.sort].kind is Kind.TEXT else column
        descending = [wanted.descending, False, False]
        page_slice = slice(wanted.start, wanted.start + wanted.limit)
        if wanted.start:
            # The first page needs no full sort (top k). For later pages, sorting row positions
            # instead of whole rows takes half the time.
            candidates = matches.select({*names, *TIE_BREAK_COLUMNS, wanted.sort}).collect()
            positions = candidates.select(
                pl.arg_sort_by(key, *TIE_BREAK_COLUMNS, descending=descending, nulls_last=True)
            ).to_series()
            return RowPage(
                candidates.height, candidates.select(names)[positions[page_slice]].to_dicts()
            )
        first = matches.sort(key, *TIE_BREAK_COLUMNS, descending=descending, nulls_last=True)[
            page_slice
        ].select(names)
        count, page = pl.collect_all([matches.select(pl.len()), first])
        return RowPage(int(count.item()), page.to_dicts())

    @override
    def iterate_rows(self, job_id: str, mostrador: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows that a job published in batches of about `row_batch.MAX_BATCH_ROWS`."""
        return iterate_batches(self._job_rows(RESULTS, job_id, mostrador))

    @override
    def get_row(self, job_id: str, mostrador: int, material: int) -> TableRow | None:
        rows = self._job_rows(PUBLISHED_RESULTS, job_id, mostrador)
        rows = rows.filter(pl.col("material") == material)
        return next(iter(rows.collect().to_dicts()), None)

    @override
    def investment_by_category(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        units = (pl.col("optimum_value") * money.UNITS_PER_PESO).round(0).cast(pl.Int64).sum()
        categories = (
            self._job_rows(RESULTS, job_id, mostrador)
            .group_by(pl.col("category").fill_null(""))
            .agg(products=pl.len().cast(pl.Int64), investment=units)
        )
        ordered = categories.sort("investment", "category", descending=[True, False]).collect()
        return [
            {**row, "investment": money.to_pesos(row["investment"])} for row in ordered.to_dicts()
        ]

    @override
    def investment_by_product(self, job_id: str, mostrador: int) -> Sequence[float]:
        value = pl.col("optimum_value")
        values = self._job_rows(RESULTS, job_id, mostrador).filter(value > 0).select(value)
        return values.collect().to_series().sort(descending=True).to_list()

    @override
    def compare_jobs(
        self, earlier: str, later: str, mostrador: int | None, limit: int
    ) -> JobComparison:
        before, after = (self._job_rows(RESULTS, job_id, None) for job_id in (earlier, later))
        return compare_rows(before, after, mostrador, limit)

    @override
    def daily_sales(
        self, mostrador: int, material: int, first: dt.date, last: dt.date
    ) -> Sequence[TableRow]:
        sales = self._lakehouse.scan_table(SELLOUT).filter(
            pl.col("mostrador") == mostrador,
            pl.col("material") == material,
            pl.col("date").is_between(first, last),
        )
        return sales.select("date", "units").sort("date").collect().to_dicts()

    @override
    def counter_names(self, mostradores: Sequence[int]) -> Mapping[int, str]:
        named = self._lakehouse.scan_table(COUNTERS).filter(
            pl.col("mostrador").is_in(mostradores), pl.col("counter_name").is_not_null()
        )
        return dict(named.select("mostrador", "counter_name").collect().iter_rows())

    @override
    def published_jobs(self) -> Sequence[str]:
        jobs = self._lakehouse.scan_table(RESULTS).select(pl.col("job_id").unique().sort())
        return jobs.collect()["job_id"].to_list()

    @override
    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        points = (
            self._job_rows(CURVES, job_id, mostrador)
            .sort("investment")
            .select("investment", "fill_rate", "chosen", "gap")
        )
        return points.collect().to_dicts()

    @override
    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        failures = self._job_rows(FAILURES, job_id, mostrador)
        return failures.sort("mostrador").select("mostrador", "stage", "cause").collect().to_dicts()

    @override
    def publication(self, job_id: str) -> TableRow | None:
        return next(iter(self._job_rows(PROCESSES, job_id, None).collect().to_dicts()), None)

    @override
    def notices(self, job_id: str) -> Sequence[TableRow]:
        notices = self._job_rows(NOTICES, job_id, None)
        return (
            notices.select("mostrador", "notice").sort("mostrador", "notice").collect().to_dicts()
        )

    @override
    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        rows = self._lakehouse.scan_table(CONFIGURATIONS)
        if text:
            names = self._lakehouse.scan_table(COUNTERS).select("mostrador", "counter_name")
            matches_text = _contains_text(
                SearchText(text), numbers=("mostrador",), texts=("counter_name",)
            )
            rows = (
                rows.join(names, on="mostrador", how="left")
                .filter(matches_text)
                .select(*CONFIGURATIONS.schema)
            )
        page = rows.filter(pl.col("mostrador") > after).sort("mostrador").head(limit)
        count, page_rows = pl.collect_all([rows.select(pl.len()), page])
        return RowPage(int(count.item()), page_rows.to_dicts())

    @override
    def get_configuration(self, mostrador: int) -> TableRow | None:
        matches = (
            self._lakehouse.scan_table(CONFIGURATIONS)
            .filter(pl.col("mostrador") == mostrador)
            .limit(1)
            .collect()
        )
        return None if matches.is_empty() else matches.row(0, named=True)

    @override
    def insert_configuration(self, row: TableRow, author: Author) -> bool:
        return self._change_configuration(None, row, author)

    @override
    def update_configuration(self, before: TableRow, after: TableRow, author: Author) -> bool:
        return self._change_configuration(before, after, author)

    @override
    def delete_configuration(self, before: TableRow, author: Author) -> bool:
        return self._change_configuration(before, None, author)

    @override
    def list_changes(self, wanted: ChangeQuery) -> Sequence[TableRow]:
        self._changes.try_copy_records()
        rows = self._lakehouse.scan_table(CHANGES)
        unconfirmed = pl.col("state") == ChangeState.UNCONFIRMED.value
        open_ids = rows.filter(unconfirmed).select("change_id").collect().to_series()
        told_ids = rows.filter(~unconfirmed, pl.col("change_id").is_in(open_ids.implode()))
        ended = told_ids.select("change_id").collect().to_series()
        rows = rows.filter(
            pl.col("state") != ChangeState.REFUSED.value,
            ~(unconfirmed & pl.col("change_id").is_in(ended.implode())),
            *_change_conditions(wanted, rows),
        )
        order = ["changed_at", "change_id"]
        return rows.sort(order, descending=True).head(wanted.limit).collect().to_dicts()

    def _job_rows(self, table: Table, job_id: str, mostrador: int | None) -> pl.LazyFrame:
        """Return the rows of a job, or of only one mostrador of it."""
        rows = self._lakehouse.scan_table(table, [job_id])
        return rows if mostrador is None else rows.filter(pl.col("mostrador") == mostrador)

    @override
    def merge_configurations(
        self, changes: Sequence[RowChange], author: Author, detail: Mapping[str, Any]
    ) -> bool:
        record = record_bulk_change(CONFIGURATIONS, author, Operation.IMPORT, detail)
        before = {int(after["mostrador"]): row for row, after in changes}
        return self._replace_rows(before, [after for _, after in changes], record)

    def _change_configuration(
        self, before: TableRow | None, after: TableRow | None, author: Author
    ) -> bool:
        record = record_row_change(CONFIGURATIONS, author, before, after)
        after_rows = [] if after is None else [after]
        return self._replace_rows({int(record["row_key"]): before}, after_rows, record)

    def _replace_rows(
        self,
        before: Mapping[int, TableRow | None],
        after: Sequence[TableRow],
        record: Mapping[str, Any],
    ) -> bool:
        """Replace the configurations of the mostradores in ``before``, if they are still those."""
        concerned = pl.col("mostrador").is_in(list(before))
        with self._lakehouse.write_lock(CONFIGURATIONS):
            rows = self._lakehouse.scan_table(CONFIGURATIONS).collect()
            stored = {row["mostrador"]: row for row in rows.filter(concerned).to_dicts()}
            if any(stored.get(mostrador) != row for mostrador, row in before.items()):
                return False
            others = rows.filter(~concerned)
            content = pl.concat([others, pl.DataFrame(after, schema=CONFIGURATIONS.schema)])
            metadata = change_metadata(record)
            self._lakehouse.replace_table(
                CONFIGURATIONS, content.sort("mostrador").lazy(), metadata
            )
        self._changes.try_copy_records()
        return True


def _change_conditions(wanted: ChangeQuery, rows: pl.LazyFrame) -> Iterator[pl.Expr]:
    """Yield the conditions of a query of the changes ``rows``."""
    changed_at, change_id = pl.col("changed_at"), pl.col("change_id")
    is_row = change_id.str.contains(ROW_ID_SEPARATOR, literal=True)
    if wanted.title:
        yield pl.col("object") == wanted.title
    if wanted.bulk_id:
        yield change_id.str.starts_with(f"{wanted.bulk_id}{ROW_ID_SEPARATOR}")
    if wanted.mostrador is not None:
        of_row = change_id.str.split(ROW_ID_SEPARATOR).list.first()
        known = rows.filter(is_row).select(of_row.unique()).collect().to_series()
        of_many = (pl.col("row_key") == "") & ~change_id.is_in(known.implode())
        yield pl.col("object") == CONFIGURATIONS.title
        yield of_many | (pl.col("row_key") == str(wanted.mostrador))
    elif not wanted.bulk_id:
        found = pl.lit(value=False)
        if wanted.text:
            needle = SearchText(wanted.text)
            found = _contains_text(needle, numbers=(), texts=CHANGE_ROW_TEXT_COLUMNS)
        yield ~is_row | found
    if wanted.text:
        yield _contains_text(SearchText(wanted.text), numbers=(), texts=CHANGE_TEXT_COLUMNS)
    if wanted.since:
        yield changed_at >= wanted.since
    if wanted.after is not None:
        moment, last = wanted.after
        yield (changed_at < moment) | ((changed_at == moment) & (change_id < last))


def _fold_expression(text: pl.Expr) -> pl.Expr:
    """Return the equivalent of `ipp.storage.warehouse.warehouse.fold_text` as an expression."""
    # Unicode decomposition takes most of the time, and almost all text of a catalogue is ASCII. A
    # text is not ASCII if it has more bytes than characters: "año" has 4 bytes and 3 characters.
    non_ascii = text.str.len_bytes() != text.str.len_chars()
    folded = (
        pl.when(non_ascii)
        .then(text)
        .str.normalize("NFKD")
        .str.to_lowercase()
        .str.replace_all(r"\p{M}", "")
    )
    return pl.when(non_ascii).then(folded).otherwise(text.str.to_lowercase())


def _contains_text(needle: SearchText, *, numbers: Sequence[str], texts: Sequence[str]) -> pl.Expr:
    """Return the expression that is true if the text is in any of the columns."""
    digits = needle.digits
    # A text with a letter is in no number, so the numeric columns need not be read.
    conditions = [
        pl.col(name).cast(pl.String).str.contains(digits, literal=True)
        for name in numbers
        if digits.isdecimal()
    ]
    conditions += [
        _fold_expression(pl.col(name)).str.contains(needle.folded, literal=True) for name in texts
    ]
    return pl.any_horizontal(expr.fill_null(value=False) for expr in conditions) | pl.lit(
        not needle.folded
    )
