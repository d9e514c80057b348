"""A `Warehouse` over the tables of a lakehouse, by Polars."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

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
    RESULTS,
    SELLOUT,
)
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.warehouse import (
    TIE_BREAK_COLUMNS,
    Readiness,
    RowPage,
    RowQuery,
    SearchText,
    TableRow,
)


class LakehouseWarehouse:
    """Answers from ``lakehouse``."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        """Those of ``mostradores`` that have a configuration, rising; None asks for every one that has."""
        found = self._lakehouse.scan_table(CONFIGURATIONS).select(
            pl.col("mostrador").unique().sort()
        )
        if mostradores is not None:
            found = found.filter(pl.col("mostrador").is_in(mostradores))
        return found.collect()["mostrador"].to_list()

    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        """Those of ``mostradores`` that have no row of their own, in the order asked."""
        known = set(self._lakehouse.scan_table(COUNTERS).select("mostrador").collect()["mostrador"])
        return [mostrador for mostrador in mostradores if mostrador not in known]

    def readiness(self) -> Readiness:
        """What a job would find."""
        material = self._lakehouse.scan_table(MATERIALS).select("material").limit(1).collect()
        days = self._lakehouse.scan_table(SELLOUT).select(
            first=pl.col("date").min(), last=pl.col("date").max()
        )
        first, last = days.collect().row(0)
        return Readiness(has_materials=not material.is_empty(), first=first, last=last)

    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """What a job decided for each mostrador, or for one."""
        return summarise_counters(self._job_rows(RESULTS, job_id, mostrador)).collect().to_dicts()

    def query_rows(self, wanted: RowQuery) -> RowPage:
        """A page of what a job published."""
        found = self._job_rows(RESULTS, wanted.job_id, wanted.mostrador)
        if wanted.category is not None:
            found = found.filter(pl.col("category").fill_null("") == wanted.category)
        if wanted.unknown_stock:
            found = found.filter(has_unknown_stock())
        if wanted.text:
            found = found.filter(
                _contains_text(
                    SearchText(wanted.text), numbers=("material", "ean"), texts=("description",)
                )
            )
        column, shown = pl.col(wanted.sort), wanted.columns or tuple(RESULTS.by_name)
        key = _fold_expression(column) if RESULTS.by_name[wanted.sort].kind is Kind.TEXT else column
        ways = [wanted.descending, False, False]
        part = slice(wanted.start, wanted.start + wanted.limit)
        if wanted.start:
            # The first rows of an order are found without sorting the rest; for later ones to sort their places alone
            # and not the rows takes half the time.
            every = found.select({*shown, *TIE_BREAK_COLUMNS, wanted.sort}).collect()
            places = every.select(
                pl.arg_sort_by(key, *TIE_BREAK_COLUMNS, descending=ways, nulls_last=True)
            ).to_series()
            return RowPage(every.height, every.select(shown)[places[part]].to_dicts())
        first = found.sort(key, *TIE_BREAK_COLUMNS, descending=ways, nulls_last=True)[part].select(
            shown
        )
        count, page = pl.collect_all([found.select(pl.len()), first])
        return RowPage(int(count.item()), page.to_dicts())

    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """The points of a mostrador's curve, rising; none where it has none."""
        points = (
            self._job_rows(CURVES, job_id, mostrador)
            .sort("investment")
            .select("investment", "fill_rate", "chosen", "gap")
        )
        return points.collect().to_dicts()

    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """The mostradores that a job published nothing of, rising, and why; or one of them."""
        found = self._job_rows(FAILURES, job_id, mostrador)
        return found.sort("mostrador").select("mostrador", "stage", "cause").collect().to_dicts()

    def publication(self, job_id: str) -> TableRow | None:
        """What is told of a job that has published, None where nothing is."""
        return next(iter(self._job_rows(PROCESSES, job_id, None).collect().to_dicts()), None)

    def notices(self, job_id: str) -> Sequence[TableRow]:
        """What is odd about the data of mostradores that a job published, by mostrador, rising."""
        found = self._job_rows(NOTICES, job_id, None)
        return found.select("mostrador", "notice").sort("mostrador", "notice").collect().to_dicts()

    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        """At most ``limit`` configurations of mostradores above ``after``, rising."""
        rows = self._lakehouse.scan_table(CONFIGURATIONS)
        if text:
            names = self._lakehouse.scan_table(COUNTERS).select("mostrador", "counter_name")
            holds = _contains_text(
                SearchText(text), numbers=("mostrador",), texts=("counter_name",)
            )
            rows = (
                rows.join(names, on="mostrador", how="left")
                .filter(holds)
                .select(*CONFIGURATIONS.schema)
            )
        page = rows.filter(pl.col("mostrador") > after).sort("mostrador").head(limit)
        count, shown = pl.collect_all([rows.select(pl.len()), page])
        return RowPage(int(count.item()), shown.to_dicts())

    def get_configuration(self, mostrador: int) -> TableRow | None:
        """The configuration of a mostrador, None where it has none."""
        found = (
            self._lakehouse.scan_table(CONFIGURATIONS)
            .filter(pl.col("mostrador") == mostrador)
            .limit(1)
            .collect()
        )
        return None if found.is_empty() else found.row(0, named=True)

    def insert_configuration(self, row: TableRow) -> bool:
        """Store a configuration; False where its mostrador has one, which is left as it is."""
        with self._lakehouse.write_lock(CONFIGURATIONS):
            if self.get_configuration(row["mostrador"]) is not None:
                return False
            self._replace_row(row["mostrador"], row)
            return True

    def update_configuration(self, before: TableRow, after: TableRow) -> bool:
        """Put ``after`` in the place of ``before``; False where that is not what is stored."""
        return self._change_configuration(before, after)

    def delete_configuration(self, before: TableRow) -> bool:
        """Take ``before`` away; False where that is not what is stored."""
        return self._change_configuration(before, None)

    def _job_rows(self, table: Table, job_id: str, mostrador: int | None) -> pl.LazyFrame:
        """The rows of a job, and of one mostrador where it is given."""
        found = self._lakehouse.scan_table(table, [job_id])
        return found if mostrador is None else found.filter(pl.col("mostrador") == mostrador)

    def _change_configuration(self, before: TableRow, after: TableRow | None) -> bool:
        with self._lakehouse.write_lock(CONFIGURATIONS):
            if self.get_configuration(before["mostrador"]) != before:
                return False
            self._replace_row(before["mostrador"], after)
            return True

    def _replace_row(self, mostrador: int, row: TableRow | None) -> None:
        others = (
            self._lakehouse.scan_table(CONFIGURATIONS)
            .filter(pl.col("mostrador") != mostrador)
            .collect()
        )
        mine = [] if row is None else [row]
        rows = pl.concat([others, pl.DataFrame(mine, schema=CONFIGURATIONS.schema)])
        self._lakehouse.replace_table(CONFIGURATIONS, rows.sort("mostrador").lazy())


def _fold_expression(text: pl.Expr) -> pl.Expr:
    """As `ipp.storage.warehouse.warehouse.fold_text`."""
    # Decomposing takes most of the time, and nearly no text of a catalogue has anything to decompose.
    marked = text.str.len_bytes() != text.str.len_chars()
    plain = (
        pl.when(marked)
        .then(text)
        .str.normalize("NFKD")
        .str.to_lowercase()
        .str.replace_all(r"\p{M}", "")
    )
    return pl.when(marked).then(plain).otherwise(text.str.to_lowercase())


def _contains_text(needle: SearchText, *, numbers: Sequence[str], texts: Sequence[str]) -> pl.Expr:
    """True where the text is part of one of the columns."""
    digits = needle.digits
    # No number has a letter in it: what is not read costs nothing.
    inside = [
        pl.col(name).cast(pl.String).str.contains(digits, literal=True)
        for name in numbers
        if digits.isdecimal()
    ]
    inside += [
        _fold_expression(pl.col(name)).str.contains(needle.folded, literal=True) for name in texts
    ]
    return pl.any_horizontal(expr.fill_null(value=False) for expr in inside) | pl.lit(
        not needle.folded
    )
