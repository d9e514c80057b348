"""From sell-out to forecasts of an area."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.weeks import WEEK, WEEKS, begin, predict, whole_weeks

NOTHING = pl.DataFrame(schema={"mostrador": pl.Int64, "material": pl.Int64})
CATALOGUE = pl.DataFrame({"material": [11, 12, 13, 14], "category": ["OTC", "OTC", "GG", None]})


def sold(*rows: tuple[int, int, int, float]) -> pl.DataFrame:
    schema = {"mostrador": pl.Int64, "material": pl.Int64, "week": pl.Int64, "units": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def steady(weeks: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return sold(
        *(
            (mostrador, material, week, float(rng.poisson(rate)))
            for mostrador in (1, 2)
            for material, rate in ((11, 6), (12, 2), (13, 0.5))
            for week in range(weeks)
        )
    )


def mean_of(found: pl.DataFrame, mostrador: int, material: int) -> float:
    return float(found.filter(mostrador=mostrador, material=material)["forecast_mean"].item())


def test_a_steady_product_is_expected_to_sell_as_it_did() -> None:
    found = predict(steady(), CATALOGUE, NOTHING, 21.0)
    assert mean_of(found, 1, 11) == pytest.approx(18, rel=0.2)
    assert mean_of(found, 1, 13) < mean_of(found, 1, 12) < mean_of(found, 1, 11)


def test_demand_grows_with_the_days_it_must_cover() -> None:
    """Between two numbers of whole weeks it is the nearest one's, by the day."""
    means = [mean_of(predict(steady(), CATALOGUE, NOTHING, days), 1, 11) for days in (7.0, 14.0, 15.0, 21.0, 45.0)]
    assert (np.diff(means) > 0).all()
    assert means[2] == pytest.approx(means[1] * 15 / 14)


def test_what_has_run_out_is_not_taken_for_what_nobody_wants() -> None:
    rows = steady().filter(~((pl.col("mostrador") == 1) & (pl.col("material") == 11) & (pl.col("week") < 8)))
    gone = pl.DataFrame({"mostrador": [1], "material": [11]})
    untold = predict(rows, CATALOGUE, NOTHING, 21.0)
    told = predict(rows, CATALOGUE, gone, 21.0)
    assert mean_of(told, 1, 11) == pytest.approx(18, rel=0.25)
    assert mean_of(untold, 1, 11) < 0.7 * mean_of(told, 1, 11)
    silent = told.filter(mostrador=1, material=11)["silent_weeks"].item()
    assert (silent, untold.filter(mostrador=1, material=11)["silent_weeks"].item()) == (0, 8)


def test_a_product_of_the_area_is_expected_at_each_of_its_counters() -> None:
    rows = steady().filter(~((pl.col("mostrador") == 2) & (pl.col("material") == 12)))
    found = predict(rows, CATALOGUE, NOTHING, 21.0)
    assert len(found) == 2 * 3
    assert mean_of(found, 2, 12) < mean_of(found, 1, 12)


def test_without_any_sale_there_is_nothing_to_expect() -> None:
    assert predict(sold(), CATALOGUE, NOTHING, 21.0).is_empty()


def test_one_week_of_one_product_is_enough_to_say_something() -> None:
    found = predict(sold((1, 11, 0, 3.0)), CATALOGUE, NOTHING, 21.0)
    assert mean_of(found, 1, 11) == pytest.approx(9.0)


@given(
    cutoff=st.dates(dt.date(1, 1, 1) + dt.timedelta(days=WEEK * WEEKS), dt.date(9999, 12, 31)),
    ages=st.lists(st.integers(0, WEEK * WEEKS - 1), max_size=30),
)
def test_a_week_is_of_the_seven_days_that_end_with_the_cutoff_or_a_week_before(
    cutoff: dt.date, ages: list[int]
) -> None:
    """And the oldest one counts where sell-out reaches back to its first day, or where there is no other."""
    days = [cutoff - dt.timedelta(days=age) for age in ages]
    assert all(begin(cutoff) <= day for day in days)
    schema = {"mostrador": pl.Int64, "material": pl.Int64, "date": pl.Date, "units": pl.Float64}
    rows = pl.DataFrame([(1, 1, day, float(n)) for n, day in enumerate(days)], schema=schema, orient="row")
    made = whole_weeks(rows, cutoff)
    oldest = max(ages, default=0)
    last = oldest // WEEK if oldest % WEEK == WEEK - 1 or oldest < WEEK else oldest // WEEK - 1
    expected = [(age // WEEK, float(n)) for n, age in enumerate(ages) if age // WEEK <= last]
    assert made.select("week", "units").rows() == expected


def test_the_sales_of_a_week_are_added_up_whatever_their_order() -> None:
    thirds = [(mostrador, material, week, units / 3) for mostrador, material, week, units in steady().iter_rows()] * 3
    rng = np.random.default_rng(2)
    found = [predict(sold(*(thirds[n] for n in rng.permutation(len(thirds)))), CATALOGUE, NOTHING, 21.0) for _ in "ab"]
    assert found[0].equals(found[1])
    assert found[0].equals(predict(steady(), CATALOGUE, NOTHING, 21.0))
