"""Job 1's inputs from the sell-out: the counters' own sales and the demand of their areas.

Joins and sums are Narwhals expressions, run by the engine that holds the rows. An engine adds in
any order, so a sum must be rounded with `round_sums` before it is used.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals as nw
import polars as pl

from ipp.core.parameters import DAYS_PER_MONTH

YEAR_DAYS = 365
QUARTER_DAYS = 90

UNIT_SUM_COLUMNS = ("sales_365d", "sales_90d", "area_sales_365d", "area_sales_90d")
"""Columns that are sums of units."""

_SUM_DECIMALS = 3
"""Decimals kept of a sum of units: enough for any pack, too few to show the order of adding."""

Rows = nw.LazyFrame[Any]


def sum_counter_sales(sellout: Rows, cutoff: dt.date) -> Rows:
    """Sum the sales of each mostrador and material in the 365 and 90 days up to ``cutoff``.

    Takes mostrador, material, date, units; returns mostrador, material, sales_365d, sales_90d
    (units).
    """
    year = cutoff - dt.timedelta(days=YEAR_DAYS)
    quarter = cutoff - dt.timedelta(days=QUARTER_DAYS)
    recent = nw.when(nw.col("date") > quarter).then(nw.col("units")).otherwise(0.0)
    return (
        sellout.filter(nw.col("date") > year, nw.col("date") <= cutoff)
        .group_by("mostrador", "material")
        .agg(nw.col("units").sum().alias("sales_365d"), recent.sum().alias("sales_90d"))
    )


def sum_area_sales(sales: Rows, counters: Rows) -> Rows:
    """Sum what each postal code sold of each material: area_sales_365d, area_sales_90d (units).

    ``sales`` is the result of `sum_counter_sales` for all ``counters`` (mostrador, postal_code) of
    the areas in question.
    """
    return (
        sales.join(counters.select("mostrador", "postal_code"), on="mostrador", how="inner")
        .group_by("postal_code", "material")
        .agg(
            nw.col("sales_365d").sum().alias("area_sales_365d"),
            nw.col("sales_90d").sum().alias("area_sales_90d"),
        )
    )


def round_sums(sums: tuple[str, ...] = UNIT_SUM_COLUMNS) -> list[pl.Expr]:
    """Round the columns ``sums`` so that the order of adding does not show; nulls become 0."""
    return [pl.col(name).round(_SUM_DECIMALS).fill_null(0.0) for name in sums]


def area_demand(forecast: pl.Expr, year: pl.Expr, quarter: pl.Expr) -> pl.Expr:
    """Return the units per 30 days that an area is expected to sell, whole.

    The imported ``forecast`` where there is one; else 30 × (S365/365 + 2 × S90/90) / 3, rounded
    half to even, of what the area sold in a ``year`` and in a ``quarter`` (units, by `round_sums`).
    """
    daily = (year / YEAR_DAYS + 2 * quarter / QUARTER_DAYS) / 3
    return pl.coalesce(forecast, (DAYS_PER_MONTH * daily).round(6).round(0))


def monthly_sales_value(sales_90d: pl.Expr, price: pl.Expr) -> pl.Expr:
    """Return a month's sales in MXN, 30/90 of the last 90 days'.

    For a counter that does not report its own figure.
    """
    return (sales_90d * price.fill_null(0)).sum() * DAYS_PER_MONTH / QUARTER_DAYS
