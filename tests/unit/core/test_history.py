"""Own sales and the area's demand, from sell-out."""

from __future__ import annotations

import datetime as dt
from random import Random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.history import area_demand, own_sales, sales_value

CUTOFF = dt.date(2026, 6, 30)
NO_FORECAST = pl.LazyFrame(schema={"postal_code": pl.Int64, "material": pl.Int64, "area_demand": pl.Float64})


def sellout(*rows: tuple[int, int, int, float]) -> pl.LazyFrame:
    """Rows of mostrador, material, days before the cutoff, units."""
    return pl.LazyFrame(
        [(m, p, CUTOFF - dt.timedelta(days=days), units) for m, p, days, units in rows],
        schema={"mostrador": pl.Int64, "material": pl.Int64, "date": pl.Date, "units": pl.Float64},
        orient="row",
    )


def test_the_windows_end_with_the_cutoff_and_hold_365_and_90_days() -> None:
    sold = own_sales(sellout((1, 1, 0, 1), (1, 1, 89, 2), (1, 1, 90, 4), (1, 1, 364, 8), (1, 1, 365, 16)), CUTOFF)
    assert sold.collect().row(0) == (1, 1, 15.0, 3.0)


def test_what_is_sold_after_the_cutoff_does_not_count() -> None:
    assert own_sales(sellout((1, 1, -1, 5)), CUTOFF).collect().is_empty()


def counters(*pairs: tuple[int, int]) -> pl.LazyFrame:
    return pl.LazyFrame(pairs, schema={"mostrador": pl.Int64, "postal_code": pl.Int64}, orient="row")


def test_the_area_is_the_sum_of_its_counters_rounded_once() -> None:
    """Two counters of one area: 30 × (73/365 + 2 × 45/90) / 3 = 12; the other area's counter does not count."""
    sold = sellout((1, 7, 100, 20), (1, 7, 10, 20), (2, 7, 100, 8), (2, 7, 10, 25), (3, 7, 1, 99))
    area = area_demand(own_sales(sold, CUTOFF), counters((1, 6000), (2, 6000), (3, 7000)), NO_FORECAST).collect()
    assert area.filter(postal_code=6000).rows() == [(6000, 7, 12.0)]


def test_an_imported_forecast_counts_where_it_speaks() -> None:
    sold = own_sales(sellout((1, 7, 10, 45), (1, 8, 10, 45)), CUTOFF)
    forecast = pl.LazyFrame({"postal_code": [6000, 6000], "material": [7, 9], "area_demand": [3.0, 5.0]})
    area = area_demand(sold, counters((1, 6000)), forecast).collect()
    assert area.rows() == [(6000, 7, 3.0), (6000, 8, 11.0), (6000, 9, 5.0)]


def test_a_month_of_sales_is_a_third_of_the_quarter_at_price() -> None:
    frame = pl.DataFrame({"sales_90d": [9.0, 3.0, 5.0], "price": [10.0, 1.0, None]})
    assert frame.select(sales_value(pl.col("sales_90d"), pl.col("price"))).item() == 31.0


_row = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(-3, 400), st.integers(0, 40).map(float))


@given(st.lists(_row, max_size=60), st.randoms(use_true_random=False))
def test_any_order_of_the_sell_out_gives_the_same(rows: list[tuple[int, int, int, float]], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (own_sales(sellout(*r), CUTOFF).sort("mostrador", "material").collect() for r in (rows, shuffled))
    assert one.equals(other)


@given(st.lists(_row, max_size=60))
def test_no_unit_is_lost_or_made(rows: list[tuple[int, int, int, float]]) -> None:
    sold = own_sales(sellout(*rows), CUTOFF).collect()
    assert sold["sales_365d"].sum() == sum(u for *_, days, u in rows if 0 <= days < 365)
    assert sold["sales_90d"].sum() == sum(u for *_, days, u in rows if 0 <= days < 90)
