"""Own sales and the area's demand, from sell-out."""

from __future__ import annotations

import datetime as dt
from random import Random

import narwhals as nw
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.traditional.history import (
    Rows,
    area_demand,
    monthly_sales_value,
    round_sums,
    sum_area_sales,
    sum_counter_sales,
)

CUTOFF = dt.date(2026, 6, 30)


def sellout(*rows: tuple[int, int, int, float]) -> Rows:
    """Rows of mostrador, material, days before the cutoff, units."""
    made = pl.LazyFrame(
        [(m, p, CUTOFF - dt.timedelta(days=days), units) for m, p, days, units in rows],
        schema={"mostrador": pl.Int64, "material": pl.Int64, "date": pl.Date, "units": pl.Float64},
        orient="row",
    )
    return nw.from_native(made)


def here(rows: Rows) -> pl.DataFrame:
    """The rows in order, their sums without what the order of adding left."""
    found: pl.DataFrame = rows.collect("polars").to_native()
    return found.with_columns(
        round_sums(tuple(name for name in found.columns if "sales" in name))
    ).sort(found.columns[:2])


def test_the_windows_end_with_the_cutoff_and_hold_365_and_90_days() -> None:
    sold = sum_counter_sales(
        sellout((1, 1, 0, 1), (1, 1, 89, 2), (1, 1, 90, 4), (1, 1, 364, 8), (1, 1, 365, 16)), CUTOFF
    )
    assert here(sold).row(0) == (1, 1, 15.0, 3.0)


def counters(*pairs: tuple[int, int]) -> Rows:
    return nw.from_native(
        pl.LazyFrame(pairs, schema={"mostrador": pl.Int64, "postal_code": pl.Int64}, orient="row")
    )


def demand(year: float | None, quarter: float | None, forecast: float | None = None) -> float:
    row = pl.DataFrame(
        [(forecast, year, quarter)], schema=dict.fromkeys("fyq", pl.Float64), orient="row"
    )
    return float(row.select(area_demand(pl.col("f"), pl.col("y"), pl.col("q"))).item())


def test_the_area_is_the_sum_of_its_counters() -> None:
    """The other area's counter does not count."""
    sold = sellout((1, 7, 100, 20), (1, 7, 10, 20), (2, 7, 100, 8), (2, 7, 10, 25), (3, 7, 1, 99))
    area = here(
        sum_area_sales(sum_counter_sales(sold, CUTOFF), counters((1, 6000), (2, 6000), (3, 7000)))
    )
    assert area.rows() == [(6000, 7, 73.0, 45.0), (7000, 7, 99.0, 99.0)]


def test_the_areas_demand_is_rounded_once_half_to_even() -> None:
    """30 × (73/365 + 2 × 45/90) / 3 = 12; a quarter of 11.25 alone is 2.5, which is 2."""
    assert demand(73, 45) == 12
    assert demand(0, 11.25) == 2
    assert demand(0, 15.75) == 4


def test_an_imported_forecast_counts_where_it_speaks() -> None:
    assert demand(45, 45, forecast=3) == 3
    assert demand(0, 0, forecast=5) == 5
    assert demand(45, 45) == 11


def test_a_month_of_sales_is_a_third_of_the_quarter_at_price() -> None:
    frame = pl.DataFrame({"sales_90d": [9.0, 3.0, 5.0], "price": [10.0, 1.0, None]})
    assert frame.select(monthly_sales_value(pl.col("sales_90d"), pl.col("price"))).item() == 31.0


_row = st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(-3, 400), st.integers(0, 40).map(float)
)


@given(st.lists(_row, max_size=60), st.randoms(use_true_random=False))
def test_any_order_of_the_sell_out_gives_the_same(
    rows: list[tuple[int, int, int, float]], random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (here(sum_counter_sales(sellout(*r), CUTOFF)) for r in (rows, shuffled))
    assert one.equals(other)


@given(st.lists(_row, max_size=60))
def test_no_unit_is_lost_or_made(rows: list[tuple[int, int, int, float]]) -> None:
    sold = here(sum_counter_sales(sellout(*rows), CUTOFF))
    assert sold["sales_365d"].sum() == sum(u for *_, days, u in rows if 0 <= days < 365)
    assert sold["sales_90d"].sum() == sum(u for *_, days, u in rows if 0 <= days < 90)
