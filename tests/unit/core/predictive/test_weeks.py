"""From sell-out to forecasts of an area."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import Panel
from ipp.core.predictive.season import learn_season
from ipp.core.predictive.weeks import (
    MAX_HISTORY_WEEKS,
    SEASON_WEEKS,
    USUAL_PRODUCTS,
    WEEK_DAYS,
    assign_weeks,
    dated_spans,
    history_start,
    predict_area,
    unseen_weeks,
)

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
    found = predict_area(steady(), CATALOGUE, NOTHING, 21.0)
    assert mean_of(found, 1, 11) == pytest.approx(18, rel=0.2)
    assert mean_of(found, 1, 13) < mean_of(found, 1, 12) < mean_of(found, 1, 11)


def test_demand_grows_with_the_days_it_must_cover() -> None:
    """Between two numbers of whole weeks it is the nearest one's, by the day."""
    means = [
        mean_of(predict_area(steady(), CATALOGUE, NOTHING, days), 1, 11)
        for days in (7.0, 14.0, 15.0, 21.0, 45.0)
    ]
    assert (np.diff(means) > 0).all()
    assert means[2] == pytest.approx(means[1] * 15 / 14)


def test_what_has_run_out_is_not_taken_for_what_nobody_wants() -> None:
    rows = steady().filter(
        ~((pl.col("mostrador") == 1) & (pl.col("material") == 11) & (pl.col("week") < 8))
    )
    gone = pl.DataFrame({"mostrador": [1], "material": [11]})
    untold = predict_area(rows, CATALOGUE, NOTHING, 21.0)
    told = predict_area(rows, CATALOGUE, gone, 21.0)
    assert mean_of(told, 1, 11) == pytest.approx(18, rel=0.25)
    assert mean_of(untold, 1, 11) < 0.7 * mean_of(told, 1, 11)
    silent = told.filter(mostrador=1, material=11)["silent_weeks"].item()
    assert (silent, untold.filter(mostrador=1, material=11)["silent_weeks"].item()) == (0, 8)


def test_a_product_of_the_area_is_expected_at_each_of_its_counters() -> None:
    rows = steady().filter(~((pl.col("mostrador") == 2) & (pl.col("material") == 12)))
    found = predict_area(rows, CATALOGUE, NOTHING, 21.0)
    assert len(found) == 2 * 3
    assert mean_of(found, 2, 12) < mean_of(found, 1, 12)


def test_without_any_sale_there_is_nothing_to_expect() -> None:
    assert predict_area(sold(), CATALOGUE, NOTHING, 21.0).is_empty()


def test_one_week_of_one_product_is_enough_to_say_something() -> None:
    found = predict_area(sold((1, 11, 0, 3.0)), CATALOGUE, NOTHING, 21.0)
    assert mean_of(found, 1, 11) == pytest.approx(9.0)


@given(
    cutoff=st.dates(
        dt.date(1, 1, 1) + dt.timedelta(days=WEEK_DAYS * MAX_HISTORY_WEEKS), dt.date(9999, 12, 31)
    ),
    ages=st.lists(st.integers(0, WEEK_DAYS * MAX_HISTORY_WEEKS - 1), max_size=30),
)
def test_a_week_is_of_the_seven_days_that_end_with_the_cutoff_or_a_week_before(
    cutoff: dt.date, ages: list[int]
) -> None:
    """The oldest counts where sell-out reaches back to its first day, or if it is the only one."""
    days = [cutoff - dt.timedelta(days=age) for age in ages]
    assert all(history_start(cutoff) <= day for day in days)
    schema = {"mostrador": pl.Int64, "material": pl.Int64, "date": pl.Date, "units": pl.Float64}
    rows = pl.DataFrame(
        [(1, 1, day, float(n)) for n, day in enumerate(days)], schema=schema, orient="row"
    )
    made = assign_weeks(rows, cutoff)
    oldest = max(ages, default=0)
    last = (
        oldest // WEEK_DAYS
        if oldest % WEEK_DAYS == WEEK_DAYS - 1 or oldest < WEEK_DAYS
        else oldest // WEEK_DAYS - 1
    )
    expected = [
        (age // WEEK_DAYS, float(n)) for n, age in enumerate(ages) if age // WEEK_DAYS <= last
    ]
    assert made.select("week", "units").rows() == expected


def test_the_sales_of_a_week_are_added_up_whatever_their_order() -> None:
    thirds = [
        (mostrador, material, week, units / 3)
        for mostrador, material, week, units in steady().iter_rows()
    ] * 3
    rng = np.random.default_rng(2)
    found = [
        predict_area(
            sold(*(thirds[n] for n in rng.permutation(len(thirds)))), CATALOGUE, NOTHING, 21.0
        )
        for _ in "ab"
    ]
    assert found[0].equals(found[1])
    assert found[0].equals(predict_area(steady(), CATALOGUE, NOTHING, 21.0))


PRODUCTS = 6


def cube(*counters: str) -> np.ndarray:
    """Counters × products × weeks, from each counter's products sold by week: «55.5» has a gap."""
    sold = np.zeros((len(counters), PRODUCTS, len(counters[0])))
    for counter, weeks in zip(sold, counters, strict=True):
        for week, products in enumerate(weeks.replace(".", "0")):
            counter[: int(products), week] = 2.0
    return sold


@pytest.mark.parametrize(
    ("weeks", "unseen"),
    [
        ("555555", "      "),
        ("555.55", "   x  "),
        ("5555..", "    xx"),
        ("..555.", "     x"),
        ("5.5.55", " x x  "),
        ("555...", "      "),
        ("5555...", "    xxx"),
        ("444.44", "      "),
        ("66.116", "  x   "),
        ("661.11", "      "),
        ("......", "      "),
        (".....5", "      "),
    ],
)
def test_a_week_without_any_sale_of_a_counter_that_sells_in_most_was_not_seen(
    weeks: str, unseen: str
) -> None:
    assert USUAL_PRODUCTS == 5
    found = unseen_weeks(cube(weeks, "5" * len(weeks)))
    assert "".join("x" if gap else " " for gap in found[0]) == unseen
    assert not found[1].any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0.05, 4))
def test_no_week_with_a_sale_and_none_before_the_first_is_a_gap(
    seed: int, weeks: int, rate: float
) -> None:
    sold = np.random.default_rng(seed).poisson(rate, (3, PRODUCTS, weeks)).astype(np.float64)
    there = (sold > 0).any(axis=1)
    gaps = unseen_weeks(sold)
    assert not (gaps & there).any()
    assert not (gaps & (np.cumsum(there, axis=1) == 0)).any()
    assert ((gaps.sum(axis=1) < there.sum(axis=1)) | ~gaps.any(axis=1)).all()


def predict_units(units: np.ndarray) -> pl.DataFrame:
    """Return the forecast of an area of which ``units`` are known, counter × product × week."""
    counter, product, week = np.nonzero(units)
    _, products, weeks = units.shape
    rows = pl.DataFrame(
        {
            "mostrador": counter,
            "material": product,
            "week": weeks - 1 - week,
            "units": units[counter, product, week],
        }
    )
    catalogue = pl.DataFrame({"material": range(products), "category": ["OTC"] * products})
    return predict_area(rows, catalogue, NOTHING, 21.0)


@pytest.mark.parametrize("weeks", [20, 60, 120])
def test_where_every_week_was_seen_the_forecast_is_the_panels_to_the_bit(weeks: int) -> None:
    rng = np.random.default_rng(weeks)
    units = rng.poisson(2.0, (3, 7, weeks)).astype(np.float64)
    units[:, :, 0] = 1.0
    found = predict_units(units)
    panel = Panel.build(
        units.reshape(21, weeks), product=np.tile(np.arange(7), 3), group=np.repeat(np.arange(3), 7)
    )
    year = learn_season(panel, SEASON_WEEKS, 3)
    plain = year.deseasonalise(panel)
    demand = forecast_demand(plain, calibrate_forecast(plain, 3)).scale_mean(
        year.mean_factor(panel, 0, 3)
    )
    assert found["forecast_mean"].to_list() == demand.mean.tolist()
    assert found["forecast_size"].to_list() == demand.dispersion.tolist()
    assert found["forecast_idle"].to_list() == demand.zero_inflation.tolist()
    assert found["unseen_weeks"].null_count() == len(found)


@pytest.mark.parametrize("weeks", [110, 156])
@pytest.mark.parametrize("years", [1, 2])
def test_a_gap_is_no_season(weeks: int, years: int) -> None:
    """The weeks ahead are missing a year, or two, ago: they sell as the season says, not half."""
    rng = np.random.default_rng(weeks)
    season_of = 1 + 0.6 * np.sin(2 * np.pi * (np.arange(weeks + 3) - weeks + 40) / SEASON_WEEKS)
    units = rng.poisson(4.0 * season_of[:weeks] * np.ones((4, 30, 1))).astype(np.float64)
    gap = weeks - SEASON_WEEKS * years - 1
    units[:, :, gap : gap + 5] = 0
    found = predict_units(units)
    truth = 4.0 * units.shape[0] * units.shape[1] * season_of[weeks:].sum()
    assert found["forecast_mean"].sum() / truth == pytest.approx(1, abs=0.15)


def test_the_weeks_that_were_not_seen_are_told_by_their_days_the_latest_first() -> None:
    cutoff = dt.date(2026, 10, 25)
    assert dated_spans("0 1 2 3", cutoff) == "del 2026-09-28 al 2026-10-25"
    assert (
        dated_spans("1 5 6", cutoff)
        == "del 2026-10-12 al 2026-10-18 y del 2026-09-07 al 2026-09-20"
    )
    many = dated_spans(" ".join(str(2 * n) for n in range(20)), cutoff)
    assert many.count("del ") == 4
    assert many.endswith(" y otras 16 semanas")
    assert dated_spans("0 2 4 6 8", cutoff).endswith(" y otra semana")
