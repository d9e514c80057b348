"""What the forecast learns from replaying the past: by hand, on a few series."""

from __future__ import annotations

import numpy as np
import pytest

from ipp.core.predictive.forecast import (
    DISPERSION_GRID,
    MIN_CLASS_REPLAYS,
    QUIET_RECENCY_CLASS,
    _fit_dispersion,
    _most_likely_dispersion,
    _shrunken_ratios,
    calibrate_forecast,
    forecast_demand,
)
from ipp.core.predictive.panel import RECENCY_BOUNDS, Panel, extract_features

HORIZON = 4


def make_shop(n: int = 300, periods: int = 80) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.poisson(rng.gamma(0.7, 4.0, n)[:, None], (n, periods)).astype(float)


def test_a_series_without_stock_does_not_keep_the_others_from_being_replayed() -> None:
    units = make_shop()
    seen = np.ones((301, 80))
    seen[-1, -20:] = 0.0
    alone = Panel.build(units)
    beside = Panel.build(np.vstack([units, np.full(80, 3.0)]), seen)
    calibrations = [calibrate_forecast(panel, HORIZON) for panel in (alone, beside)]
    assert all(len(found.mean_bounds) for found in calibrations)
    one, other = (
        forecast_demand(panel, found)
        for panel, found in zip((alone, beside), calibrations, strict=True)
    )
    assert other.mean[:-1].sum() == pytest.approx(one.mean.sum(), rel=0.01)
    assert np.median(abs(other.mean[:-1] - one.mean) / one.mean) < 0.01


def test_a_replay_without_stock_in_its_window_teaches_nothing() -> None:
    """What sold 9 until its shelf was empty is no proof that 9 becomes 0."""
    units = np.random.default_rng(2).poisson(9.0, (60, 40)).astype(float)
    seen = np.ones_like(units)
    seen[:30, -12:] = 0.0
    panel = Panel.build(units, seen)
    mean = forecast_demand(panel, calibrate_forecast(panel, HORIZON)).mean
    assert mean[:30].mean() == pytest.approx(mean[30:].mean(), rel=0.1)


@pytest.mark.parametrize(("periods", "learns"), [(11, False), (12, True)])
def test_a_replay_has_at_least_eight_periods_before_it(periods: int, learns: bool) -> None:
    calibration = calibrate_forecast(Panel.build(make_shop(periods=periods)), HORIZON)
    assert bool(len(calibration.mean_bounds)) == learns


@pytest.mark.parametrize(("periods", "learns"), [(19, False), (20, True)])
def test_a_replay_has_at_least_its_horizon_before_it(periods: int, learns: bool) -> None:
    calibration = calibrate_forecast(Panel.build(make_shop(periods=periods)), 10)
    assert bool(len(calibration.mean_bounds)) == learns


def test_a_past_too_short_to_learn_gives_its_plain_mean_and_dispersion_one() -> None:
    panel = Panel.build(np.array([[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]]))
    demand = forecast_demand(panel, calibrate_forecast(panel, HORIZON))
    assert demand.mean[0] > demand.mean[1] >= HORIZON * 1e-6
    assert demand.dispersion.tolist() == [1.0, 1.0]
    assert demand.zero_inflation.tolist() == [0.0, 0.0]
    lone = Panel.build(np.array([[1.0, 2.0, 6.0]]))
    assert forecast_demand(lone, calibrate_forecast(lone, HORIZON)).mean == pytest.approx(12.0)


def test_what_has_ended_is_idle_and_what_sells_is_not() -> None:
    units = make_shop(600)
    units[:120, 40:] = 0.0
    units[:120, :40] = np.maximum(units[:120, :40], 1.0)
    panel = Panel.build(units)
    demand = forecast_demand(panel, calibrate_forecast(panel, HORIZON))
    alive = units[:, -20:].sum(axis=1) > 10
    assert demand.zero_inflation[:120].mean() > 0.5
    assert demand.zero_inflation[alive].mean() < 0.05
    assert demand.mean[:120].sum() < 0.05 * HORIZON * units[:120, :40].mean(axis=1).sum()


def test_every_series_takes_the_numbers_of_its_classes() -> None:
    """Expected units are the mixed levels times the factors of the series' own classes."""
    panel = Panel.build(make_shop(n=200))
    found = calibrate_forecast(panel, HORIZON)
    past = extract_features(panel, HORIZON, found.half_lives)
    mean = found.expected_units(past)
    row, column = found.dispersion_classes(past, mean)
    demand = forecast_demand(panel, found)
    for n in range(200):
        level = float(past.levels[n] @ found.mixture)
        level *= found.recency_factor[past.recency[n]] * found.trend_factor[past.trend[n]]
        assert mean[n] == pytest.approx(max(level, 1e-6) * HORIZON)
        quiet = past.recency[n] >= QUIET_RECENCY_CLASS
        size = sum(mean[n] >= bound for bound in found.mean_bounds)
        assert row[n] == (len(found.mean_bounds) + 1 + past.recency[n] if quiet else size)
        assert column[n] == sum(past.spread[n] >= bound for bound in found.spread_bounds)
        assert demand.dispersion[n] == found.dispersion[row[n], column[n]]
        assert demand.zero_inflation[n] == found.zero_inflation[past.recency[n]]


@pytest.mark.parametrize(("replays", "ratio"), [(30, 0.9), (31, (31 + 20) / (62 + 20))])
def test_a_ratio_is_shrunk_and_needs_more_than_thirty_replays(replays: int, ratio: float) -> None:
    ones = np.ones(replays)
    kind = np.ones(replays, dtype=np.int64)
    found = _shrunken_ratios(kind, 2 * ones, ones, np.array([0.7, 0.9, 0.8]), 20.0)
    assert found == pytest.approx([0.7, ratio, 0.8])


def fit_idle(kinds: list[int], zeros: list[int], each: int) -> np.ndarray:
    """Fit classes of ``each`` replays of mean 4, of which ``zeros`` sold nothing, the rest 5."""
    recency = np.repeat(kinds, each)
    actual = np.concatenate([np.r_[np.zeros(z), np.full(each - z, 5.0)] for z in zeros])
    classes = (np.zeros(len(recency), dtype=np.int64),) * 2
    return _fit_dispersion(recency, classes, np.full(len(recency), 4.0), actual)[0]


def test_idleness_is_what_zeros_exceed_those_of_the_binomial() -> None:
    found = fit_idle([0, 1], [0, 60], 100)
    assert len(found) == len(RECENCY_BOUNDS) + 1
    assert found[0] == 0.0
    assert 0.5 < found[1] < 0.6
    # A class without replays takes the estimate of the class before it.
    assert (found[2:] == found[1]).all()


@pytest.mark.parametrize(("each", "own"), [(29, False), (30, True)])
def test_a_class_of_thirty_replays_has_an_idleness_of_its_own(each: int, own: bool) -> None:
    found = fit_idle([0, 1], [0, 20], each)
    assert each in {MIN_CLASS_REPLAYS - 1, MIN_CLASS_REPLAYS}
    assert (found[1] > 0.3) == own


def test_no_class_is_certain_to_sell_nothing() -> None:
    assert fit_idle([0], [100], 100)[0] == 0.95


def likelihood(units: np.ndarray, mean: float, r: float, idle: float) -> float:
    """Log likelihood of the zero-inflated negative binomial, term by term."""
    total = 0.0
    for k in units.astype(int):
        mass = (r / (r + mean)) ** r
        for j in range(k):
            mass *= (r + j) / (j + 1) * mean / (r + mean)
        total += np.log((1 - idle) * mass + idle * (k == 0) + 1e-9)
    return total


@pytest.mark.parametrize("idle", [0.0, 0.3])
@pytest.mark.parametrize("r", [0.2, 1.0, 7.0])
def test_the_dispersion_is_the_most_likely_of_the_grid(r: float, idle: float) -> None:
    rng = np.random.default_rng(3)
    units = rng.negative_binomial(r, r / (r + 4.0), 60) * (rng.random(60) >= idle)
    some = rng.poisson(4.0, 29)
    place = np.repeat([0, 2], [60, 29])
    both = np.concatenate([units, some])
    found = _most_likely_dispersion(place, 3, np.full(89, 4.0), np.full(89, idle), both)
    best = max(DISPERSION_GRID, key=lambda size: likelihood(units, 4.0, size, idle))
    overall = max(DISPERSION_GRID, key=lambda size: likelihood(both, 4.0, size, idle))
    # The last class has one replay too few for its own, the middle one has none.
    assert found.tolist() == [best, overall, overall]


def test_thirty_replays_are_enough_for_a_dispersion() -> None:
    equal = np.full(30, 4)
    wild = np.repeat([0, 40], [90, 10])
    place = np.repeat([0, 1], [30, 100])
    found = _most_likely_dispersion(
        place, 2, np.full(130, 4.0), np.zeros(130), np.concatenate([equal, wild])
    )
    assert found[0] == DISPERSION_GRID[-1]
    assert found[1] < 0.2


def test_no_more_than_four_thousand_series_are_replayed_taken_evenly() -> None:
    """The odd half of 8,000 series ends; every second one is enough to see it."""
    units = np.tile(make_shop(80, 30), (100, 1))
    whole = calibrate_forecast(Panel.build(units), HORIZON)
    rows = np.linspace(0, 7_999, 4_000).astype(np.int64)
    some = calibrate_forecast(Panel.build(units[rows]), HORIZON)
    assert whole.mixture.tolist() == some.mixture.tolist()
    assert whole.dispersion.tolist() == some.dispersion.tolist()


def test_the_fitted_demand_has_the_zeros_and_the_mean_that_were_seen() -> None:
    """Of 100 replays of mean 2 half sold nothing and half 4: its own mean is 2 / (1 - idle)."""
    recency = np.zeros(100, dtype=np.int64)
    actual = np.repeat([0.0, 4.0], 50)
    idle, dispersion = _fit_dispersion(recency, (recency, recency), np.full(100, 2.0), actual)
    z, r = float(idle[0]), float(dispersion[0, 0])
    active = 2.0 / (1 - z)
    assert z + (1 - z) * (r / (r + active)) ** r == pytest.approx(0.5, abs=0.01)
    assert r == max(DISPERSION_GRID, key=lambda size: likelihood(actual, active, size, z))
