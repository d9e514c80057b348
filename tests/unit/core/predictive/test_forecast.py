"""Forecasts of many series at once: laws for any numbers, and cases a person can judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand, solve_nnls
from ipp.core.predictive.panel import Panel, extract_features, usable_half_lives
from ipp.core.predictive.season import learn_season

HORIZON = 4


def shop(n: int = 300, periods: int = 80, seed: int = 1) -> np.ndarray:
    """Counts of products that sell at very different levels."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(0.7, 4.0, n)
    return rng.poisson(level[:, None] * rng.gamma(3.0, 1 / 3, (n, periods))).astype(float)


panels = npst.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(2, 40)), elements=st.integers(0, 30)
)


@settings(max_examples=60)
@given(panels, st.integers(1, 6))
def test_any_past_gives_a_demand_that_can_be_used(units: np.ndarray, horizon: int) -> None:
    panel = Panel.build(units)
    demand = forecast_demand(panel, calibrate_forecast(panel, horizon))
    assert np.isfinite(demand.mean).all()
    assert (demand.mean >= 0).all()
    assert (demand.dispersion > 0).all()
    assert ((demand.zero_inflation >= 0) & (demand.zero_inflation < 1)).all()


def test_the_same_past_gives_the_same_forecast_to_the_last_bit() -> None:
    panel = Panel.build(shop())
    first, second = (forecast_demand(panel, calibrate_forecast(panel, HORIZON)) for _ in range(2))
    assert first.mean.tobytes() == second.mean.tobytes()
    assert first.dispersion.tobytes() == second.dispersion.tobytes()


def test_the_order_of_the_series_does_not_matter() -> None:
    units = shop()
    order = np.random.default_rng(2).permutation(len(units))
    kinds = np.arange(len(units)) % 7
    here = Panel.build(units, group=kinds)
    there = Panel.build(units[order], group=kinds[order])
    one, other = (
        forecast_demand(panel, calibrate_forecast(panel, HORIZON)).mean for panel in (here, there)
    )
    assert other == pytest.approx(one[order], rel=1e-6)


def test_nothing_of_what_comes_later_is_known() -> None:
    units = shop()
    spiked = units.copy()
    spiked[:, 60:] = 10_000.0
    calm, wild = (Panel.build(u).truncate_at(60) for u in (units, spiked))
    assert forecast_demand(wild, calibrate_forecast(wild, HORIZON)).mean == pytest.approx(
        forecast_demand(calm, calibrate_forecast(calm, HORIZON)).mean
    )


def test_all_forecasts_add_up_to_what_comes() -> None:
    units = shop(n=2_000, periods=90)
    past = Panel.build(units[:, :-HORIZON])
    demand = forecast_demand(past, calibrate_forecast(past, HORIZON))
    assert demand.mean.sum() == pytest.approx(units[:, -HORIZON:].sum(), rel=0.05)


@pytest.mark.parametrize("level", [0.5, 0.75, 0.9, 0.95])
def test_a_quantile_means_what_it_says(level: float) -> None:
    """Counts are whole: the chance of not passing the quantile is just at or above the level."""
    units = shop(n=4_000, periods=90, seed=5)
    past, came = Panel.build(units[:, :-HORIZON]), units[:, -HORIZON:].sum(axis=1)
    quantile = forecast_demand(past, calibrate_forecast(past, HORIZON)).quantile(level)
    assert (came < quantile).mean() - 0.02 <= level <= (came <= quantile).mean() + 0.02


def test_periods_without_stock_are_not_zeros() -> None:
    units = np.full((200, 60), 5.0) + (np.arange(200.0)[:, None] % 3)
    seen = np.ones_like(units)
    units[:100, 40:], seen[:100, 40:] = 0.0, 0.0
    told = Panel.build(units, seen)
    mean = forecast_demand(told, calibrate_forecast(told, HORIZON)).mean
    usual = (5.0 + np.arange(200) % 3) * HORIZON
    assert mean[:100] == pytest.approx(usual[:100], rel=0.15)
    untold = Panel.build(units)
    assert (
        forecast_demand(untold, calibrate_forecast(untold, HORIZON)).mean[:100] < 0.8 * usual[:100]
    ).all()


def test_what_has_been_silent_for_long_is_expected_to_stay_idle_more_often() -> None:
    units = shop(n=600, periods=80)
    units[:120, 40:] = 0.0
    panel = Panel.build(units)
    demand = forecast_demand(panel, calibrate_forecast(panel, HORIZON))
    sold = units[:120, :40].mean(axis=1) > 1.5
    assert (demand.mean[:120][sold] < 0.5 * HORIZON * units[:120, :40].mean(axis=1)[sold]).all()


def test_a_new_product_is_expected_to_sell_as_it_does_elsewhere() -> None:
    rng = np.random.default_rng(3)
    level = rng.gamma(2.0, 4.0, 150)
    units = rng.poisson(np.tile(level, 2)[:, None], (300, 70)).astype(float)
    seen = np.ones_like(units)
    new = np.arange(150, 170)
    seen[new, :] = 0.0
    panel = Panel.build(
        units * seen, seen, product=np.tile(np.arange(150), 2), group=np.repeat([0, 1], 150)
    )
    mean = forecast_demand(panel, calibrate_forecast(panel, HORIZON)).mean
    assert np.corrcoef(mean[new], level[:20])[0, 1] > 0.9


def test_a_season_of_the_pool_moves_every_series_and_none_is_seen_where_there_is_none() -> None:
    rng = np.random.default_rng(4)
    wave = 1 + 0.4 * np.sin(2 * np.pi * np.arange(164) / 52)
    level = rng.gamma(1.0, 3.0, 500)
    waved = Panel.build(rng.poisson(level[:, None] * wave[:156]).astype(float))
    ahead = learn_season(waved, 52, 8).ahead[0]
    assert ahead == pytest.approx(wave[156:], abs=0.08)
    flat = Panel.build(rng.poisson(np.repeat(level[:, None], 156, axis=1)).astype(float))
    assert learn_season(flat, 52, 8).ahead[0] == pytest.approx(np.ones(8), abs=0.05)


def test_less_than_two_years_tell_no_season() -> None:
    panel = Panel.build(shop(periods=100))
    assert (learn_season(panel, 52, 4).ahead == 1).all()
    assert (learn_season(panel, 0, 4).past == 1).all()


@given(
    npst.arrays(np.float64, (6, 4), elements=st.floats(0, 10)),
    npst.arrays(np.float64, 6, elements=st.floats(0, 9)),
)
def test_weights_are_the_best_that_are_not_negative(
    columns: np.ndarray, wanted: np.ndarray
) -> None:
    square, right = columns.T @ columns, columns.T @ wanted
    found = solve_nnls(square, right)
    assert (found >= 0).all()

    def loss(x: np.ndarray) -> float:  # with the trace of a ridge that makes the best one unique
        return float(
            x @ square @ x / 2 - x @ right + 1e-9 * max(np.trace(square), 1e-300) / 4 * x @ x / 2
        )

    rng = np.random.default_rng(0)
    for _ in range(30):
        other = np.maximum(found + rng.normal(0, 0.3, 4), 0)
        slack = 1e-9 * (1 + np.abs(right).max() * (1 + found.max() + other.max()))
        assert loss(found) <= loss(other) + slack


def test_signs_are_per_series() -> None:
    panel = Panel.build(shop(n=40))
    rows = np.array([3, 17, 29])
    alone = extract_features(
        replace(panel, group=np.arange(40)), HORIZON, usable_half_lives(panel.periods)
    )
    some = extract_features(
        replace(panel, group=np.arange(40)).select(rows), HORIZON, usable_half_lives(panel.periods)
    )
    assert some.scale == pytest.approx(alone.scale[rows])
    assert (some.recency == alone.recency[rows]).all()
    assert some.spread == pytest.approx(alone.spread[rows])
