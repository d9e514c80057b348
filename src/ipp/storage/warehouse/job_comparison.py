"""Compare what two jobs published, with Polars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from ipp.core import money
from ipp.storage.warehouse.warehouse import TIE_BREAK_COLUMNS, JobComparison, TableRow

_KEY: Final = list(TIE_BREAK_COLUMNS)


def compare_rows(
    earlier: pl.LazyFrame, later: pl.LazyFrame, mostrador: int | None, limit: int
) -> JobComparison:
    """Compare the rows of two jobs as `ipp.storage.warehouse.warehouse.Warehouse.compare_jobs`."""
    changes = _product_changes(earlier, later)
    products = changes if mostrador is None else changes.filter(pl.col("mostrador") == mostrador)
    rose, fell = (
        _describe_rows(earlier, later, _largest_changes(products.filter(part), limit))
        for part in (pl.col("change") > 0, pl.col("change") < 0)
    )
    counters = (
        changes.group_by("mostrador")
        .agg(
            pl.col("value_before", "value", "change", "optimum_before", "optimum").sum(),
            rose=(pl.col("change") > 0).sum(),
            fell=(pl.col("change") < 0).sum(),
        )
        .sort(pl.col("change").abs(), "mostrador", descending=[True, False])
    )
    return JobComparison(*(_to_pesos(frame) for frame in (counters, rose, fell)))


def _product_changes(earlier: pl.LazyFrame, later: pl.LazyFrame) -> pl.DataFrame:
    """Return each product of either job, its investment in ten-thousandths of a peso.

    They are integers, so that no sum depends on its order. Texts are left out: those of two jobs of
    thousands of mostradores would take too much of a server's memory.
    """
    value = (pl.col("optimum_value").fill_null(0.0) * money.UNITS_PER_PESO).round(0).cast(pl.Int64)

    def select_cells(rows: pl.LazyFrame, ending: str) -> pl.LazyFrame:
        return rows.select(
            *_KEY, pl.col("optimum").alias(f"optimum{ending}"), value.alias(f"value{ending}")
        )

    both = select_cells(later, "").join(
        select_cells(earlier, "_before"), on=_KEY, how="full", coalesce=True
    )
    counted = both.with_columns(
        pl.col("value", "value_before", "optimum", "optimum_before").fill_null(0)
    )
    return counted.with_columns(change=pl.col("value") - pl.col("value_before")).collect()


def _largest_changes(products: pl.DataFrame, limit: int) -> pl.DataFrame:
    order = [pl.col("change").abs(), *map(pl.col, _KEY)]
    return products.sort(order, descending=[True, False, False]).head(limit)


def _describe_rows(earlier: pl.LazyFrame, later: pl.LazyFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows``, in order, with their description and each job's reason, null if unknown."""

    def select_texts(published: pl.LazyFrame, ending: str) -> pl.DataFrame:
        mine = published.join(rows.lazy().select(_KEY), on=_KEY, how="semi")
        texts = mine.select(*_KEY, pl.col("description", "reason").name.suffix(ending))
        return texts.collect(engine="streaming")

    for published, ending in ((later, ""), (earlier, "_before")):
        texts = select_texts(published, ending)
        rows = rows.join(texts, on=_KEY, how="left", maintain_order="left")
    description = pl.coalesce("description", "description_before").alias("description")
    return rows.with_columns(description).drop("description_before")


def _to_pesos(frame: pl.DataFrame) -> Sequence[TableRow]:
    units = ("value", "value_before", "change")
    return [
        {**row, **{name: money.to_pesos(row[name]) for name in units}} for row in frame.to_dicts()
    ]
