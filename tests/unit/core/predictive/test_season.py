"""The seasonal factors against a plain computation, and where there is no season."""

from __future__ import annotations

import numpy as np
import pytest

from ipp.core.predictive.panel import Panel
from ipp.core.predictive.season import (
    SEASON_STRENGTHS,
    SHRINKAGE_UNITS,
    SMOOTHING_KERNEL,
    _choose_strength,
    _yearly_factors,
    learn_season,
)

Totals = list[list[float]]


def find_shape(totals: list[float], cycle: int) -> list[float]:
    """The mean of each place of the year over its level, smoothed with its neighbours."""
    years = len(totals) // cycle
    recent = totals[-years * cycle :]
    by_year = [recent[n * cycle : (n + 1) * cycle] for n in range(years)]
    growth = (sum(by_year[-1]) + 1) / (sum(by_year[0]) + 1)
    growth = min(max(growth, 0.25), 4.0) ** (1 / (years - 1))
    shape = []
    for place in range(cycle):
        trend = growth ** ((place + 0.5) / cycle - 0.5)
        parts = [
            sold[place] / (trend * sum(sold) / cycle) if sum(sold) else 1.0 for sold in by_year
        ]
        shape.append(sum(parts) / years)
    before, here, after = SMOOTHING_KERNEL
    return [
        before * shape[(place + 1) % cycle] + here * shape[place] + after * shape[place - 1]
        for place in range(cycle)
    ]


def find_factors(totals: Totals, cycle: int) -> Totals:
    pool = find_shape([sum(column) for column in zip(*totals, strict=True)], cycle)
    factors = []
    for own in totals:
        years = len(own) // cycle
        yearly = sum(own[-years * cycle :]) / years
        weight = yearly / (yearly + SHRINKAGE_UNITS)
        mixed = [
            min(max(weight * mine + (1 - weight) * all_, 0.2), 5.0)
            for mine, all_ in zip(find_shape(own, cycle), pool, strict=True)
        ]
        factors.append([one * cycle / sum(mixed) for one in mixed])
    return factors


def find_strength(totals: Totals, cycle: int, ahead: int) -> float:
    periods, errors = len(totals[0]), [0.0] * len(SEASON_STRENGTHS)
    for origin in range(max(2 * cycle, periods - cycle), periods - ahead + 1, ahead):
        yearly = find_factors([own[:origin] for own in totals], cycle)
        for row, strength in enumerate(SEASON_STRENGTHS):
            for own, shape in zip(totals, yearly, strict=True):
                factor = [1 + strength * (one - 1) for one in shape]
                weights = [0.5 ** ((origin - 1 - t) / 8) for t in range(origin)]
                level = sum(
                    own[t] / factor[(t - origin) % cycle] * weights[t] for t in range(origin)
                ) / sum(weights)
                errors[row] += abs(sum(own[origin : origin + ahead]) - level * sum(factor[:ahead]))
    return SEASON_STRENGTHS[errors.index(min(errors))]


def make_totals(seed: int, cycle: int, periods: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * np.arange(periods) / cycle)
    growth = rng.uniform(0.5, 2.0) ** (np.arange(periods) / cycle)
    level = np.array([3.0, 40.0, 900.0])[:, None]
    return rng.poisson(level * wave * growth).astype(float)


@pytest.mark.parametrize("seed", range(12))
def test_the_factors_of_a_year_are_those_of_a_plain_computation(seed: int) -> None:
    cycle, periods = (4, 12, 13)[seed % 3], (26, 29, 52)[seed % 3]
    totals = make_totals(seed, cycle, periods)
    if seed == 3:
        totals[0] = 0.0
    plain = np.array(find_factors(totals.tolist(), cycle))
    assert _yearly_factors(totals, cycle) == pytest.approx(plain)


@pytest.mark.parametrize("seed", range(9))
def test_the_strength_is_the_one_of_least_error_in_the_last_year(seed: int) -> None:
    cycle, ahead = (4, 13)[seed % 2], (1, 2, 5)[seed % 3]
    totals = make_totals(seed, cycle, 3 * cycle + 2)
    if seed % 3 == 0:  # no season: each year has another order
        totals = np.random.default_rng(seed).permuted(totals, axis=1)
    assert _choose_strength(totals, cycle, ahead) == find_strength(totals.tolist(), cycle, ahead)


def test_a_season_is_taken_out_of_its_group_and_put_back_ahead() -> None:
    """Two groups of one series each; the year ends with a third of its way gone."""
    wave = 1 + 0.8 * np.sin(2 * np.pi * np.arange(40) / 12)
    totals = np.round(np.array([[100.0], [3_000.0]]) * wave + np.array([[0.0], [50.0]]))
    panel = Panel.build(totals, group=np.array([1, 0]))
    season = learn_season(panel, 12, 5)
    by_group = totals[::-1]
    strength = find_strength(by_group.tolist(), 12, 5)
    assert strength > 0
    yearly = 1 + strength * (np.array(find_factors(by_group.tolist(), 12)) - 1)
    assert season.ahead == pytest.approx(yearly[:, :5])
    assert season.past == pytest.approx(yearly[:, np.arange(-40, 0) % 12])
    assert season.deseasonalise(panel).units == pytest.approx(totals / season.past[::-1])
    assert season.mean_factor(panel, 1, 3) == pytest.approx(yearly[::-1, 1:3].mean(axis=1))


@pytest.mark.parametrize(("periods", "known"), [(28, False), (29, True)])
def test_a_season_needs_two_years_and_the_periods_ahead(periods: int, known: bool) -> None:
    wave = 100.0 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(periods) / 12))
    season = learn_season(Panel.build(np.round(wave)[None]), 12, 5)
    assert (season.ahead != 1).any() == known
    assert season.ahead.shape == (1, 5)
    assert season.past.shape == (1, periods)
