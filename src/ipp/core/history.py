"""From sell-out to what Job 1 starts with: the counters' own sales and the demand of their areas."""

from __future__ import annotations

import datetime as dt

import polars as pl

from ipp.core.parameters import DAYS_PER_MONTH

YEAR_DAYS = 365
QUARTER_DAYS = 90

_EXACT = 3
"""Decimals kept of a sum of units: enough for any pack, few enough that no order of adding shows."""


def own_sales(sellout: pl.LazyFrame, cutoff: dt.date) -> pl.LazyFrame:
    """Units each mostrador sold of each material in the 365 and 90 days that end with ``cutoff``.

    Takes mostrador, material, date, units; gives mostrador, material, sales_365d, sales_90d (units).
    """
    year = cutoff - dt.timedelta(days=YEAR_DAYS)
    quarter = cutoff - dt.timedelta(days=QUARTER_DAYS)
    recent = pl.col("date") > quarter
    return (
        sellout.filter(pl.col("date") > year, pl.col("date") <= cutoff)
        .group_by("mostrador", "material")
        .agg(
            pl.col("units").sum().round(_EXACT).alias("sales_365d"),
            pl.col("units").filter(recent).sum().round(_EXACT).alias("sales_90d"),
        )
    )


def area_demand(sales: pl.LazyFrame, counters: pl.LazyFrame, forecast: pl.LazyFrame) -> pl.LazyFrame:
    """Units per 30 days that each postal code is expected to sell of each material, whole.

    The imported ``forecast`` (postal_code, material, area_demand) where it has the pair; else the area's own
    sell-out, 30 × (S365/365 + 2 × S90/90) / 3 summed over ``counters`` (mostrador, postal_code), rounded half
    to even. ``sales`` is what `own_sales` gives, for every counter of the areas in question.
    """
    daily = (pl.col("sales_365d") / YEAR_DAYS + 2 * pl.col("sales_90d") / QUARTER_DAYS) / 3
    sold = (
        sales.join(counters.select("mostrador", "postal_code"), on="mostrador", how="inner")
        .group_by("postal_code", "material")
        .agg(pl.col("sales_365d").sum().round(_EXACT), pl.col("sales_90d").sum().round(_EXACT))
        .select("postal_code", "material", (DAYS_PER_MONTH * daily).round(6).round(0).alias("sold"))
    )
    given = forecast.select("postal_code", "material", "area_demand")
    return (
        given.join(sold, on=["postal_code", "material"], how="full", coalesce=True)
        .select("postal_code", "material", pl.coalesce("area_demand", "sold").alias("area_demand"))
        .sort("postal_code", "material")
    )


def sales_value(sales_90d: pl.Expr, price: pl.Expr) -> pl.Expr:
    """A month's sales at price, MXN: 30/90 of the last 90 days'; for a counter without a figure of its own."""
    return (sales_90d * price.fill_null(0)).sum() * DAYS_PER_MONTH / QUARTER_DAYS
