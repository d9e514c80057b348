"""Demand of many series at once, as a distribution over the periods to come.

The level of a series is a mixture of its own levels by ever longer memories and of what others like it do, times a
factor by how long it has been silent. The mixture, the factor, how often a series stays idle and how widely it
spreads are learnt by replaying the past: at several moments before the last, what was known then is held against
what came. Nothing is drawn at random and nothing looks ahead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ipp.core.decision.demand import Demand
from ipp.core.predictive.panel import (
    RECENCY_BOUNDS,
    TREND_BOUNDS,
    Features,
    Floats,
    Ints,
    Panel,
    concat_features,
    extract_features,
    usable_half_lives,
)

REPLAY_ORIGINS: Final = 6
"""Moments of the past at which a forecast is held against what came."""

MAX_REPLAYED_SERIES: Final = 8_000
"""Series that are replayed, at most, evenly taken from all."""

MIN_TRAINING_PERIODS: Final = 8
"""Periods of past below which nothing is learnt from a replay."""

MIN_CLASS_REPLAYS: Final = 30
"""Replays in a class below which it has no figure of its own."""

DISPERSION_GRID: Final = (
    0.05,
    0.1,
    0.2,
    0.35,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    4.5,
    7.0,
    11.0,
    18.0,
    30.0,
    80.0,
)
"""The negative binomial's r that are tried."""

MEAN_CLASS_QUANTILES: Final = (0.2, 0.4, 0.6, 0.8, 0.95)
"""Shares of the series that bound the classes of mean, smallest first."""

SPREAD_CLASS_QUANTILES: Final = (1 / 3, 2 / 3)
"""Shares of the series that bound the classes of spread."""

QUIET_RECENCY_CLASS: Final = 4
"""Class of silence from which a series spreads as the silent do, whatever its mean: it is back, or it is not."""

_MIN_MEAN_UNITS: Final = 1e-6
"""Units a period that every series is thought able to sell."""

_BALANCE_WEIGHT: Final = 50.0
"""How much more it counts that the forecasts add up to what came than that each is near."""

_ERROR_STEP_SCALE: Final = 0.15
"""Errors in steps of a series below which it hardly counts whether they are smaller."""

_SHRINKAGE_SERIES: Final = 5.0
"""Median series whose sales a class must outweigh to have a factor of its own."""

_REWEIGHTING_ROUNDS: Final = 12
"""Turns of weighing and of looking at the errors that are left."""

_SPREAD_ROUNDS: Final = 3
"""Turns of looking for what is idle and for the spread of what is not."""

_MAX_ZERO_INFLATION: Final = 0.95
"""No class is thought to be dead for sure."""

_MAX_LEARNING_UNITS: Final = 100_000
"""Units over a horizon above which the spread is learnt as if they were as many."""

_MIN_LIKELIHOOD: Final = 1e-9
"""Chance of what has no chance: one strange sale must not decide."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learnt of how pasts go on over ``horizon`` periods.

    ``usable_half_lives`` are the memories of `Features`, ``mixture`` weighs their levels; ``lift`` and ``idle`` are by class of
    silence, ``turn`` by class of pace; ``size`` is by class of mean and, behind these, of silence, each by class of
    spread, bounded by ``means`` and ``spreads``.
    """

    horizon: int
    half_lives: tuple[int, ...]
    mixture: Floats
    recency_factor: Floats
    trend_factor: Floats
    zero_inflation: Floats
    mean_bounds: Floats
    spread_bounds: Floats
    dispersion: Floats

    def expected_units(self, past: Features) -> Floats:
        """Expected units over the horizon, shape n."""
        level = (
            past.levels
            @ self.mixture
            * self.recency_factor[past.recency]
            * self.trend_factor[past.trend]
        )
        return np.maximum(level, _MIN_MEAN_UNITS) * self.horizon

    def dispersion_classes(self, past: Features, mean: Floats) -> tuple[Ints, Ints]:
        """The place of each series in ``size``."""
        silent = len(self.mean_bounds) + 1 + past.recency
        row = np.where(
            past.recency >= QUIET_RECENCY_CLASS, silent, np.digitize(mean, self.mean_bounds)
        )
        return row, np.digitize(past.spread, self.spread_bounds)


def forecast_demand(panel: Panel, calibration: Calibration) -> Demand:
    """Demand of each series over the horizon that follows the panel."""
    past = extract_features(panel, calibration.horizon, calibration.half_lives)
    mean = calibration.expected_units(past)
    return Demand(
        mean,
        calibration.dispersion[calibration.dispersion_classes(past, mean)],
        calibration.zero_inflation[past.recency],
    )


def calibrate_forecast(panel: Panel, horizon: int) -> Calibration:
    """Learn from the past of ``panel`` how pasts go on over ``horizon`` periods.

    A past too short for one replay gives the plain mean of all of it, and a spread of size 1.
    """
    if len(panel) > MAX_REPLAYED_SERIES:
        panel = panel.select(np.linspace(0, len(panel) - 1, MAX_REPLAYED_SERIES).astype(np.int64))
    memories = usable_half_lives(panel.periods)
    pasts, came = [], []
    for number in range(REPLAY_ORIGINS):
        moment = panel.periods - horizon - number * max(1, horizon // 2)
        if moment < max(MIN_TRAINING_PERIODS, horizon):
            break
        past = extract_features(panel.truncate_at(moment), horizon, memories)
        fair = (past.scale > 0) & panel.seen[:, moment : moment + horizon].all(axis=1)
        pasts.append(past.select(np.flatnonzero(fair)))
        came.append(panel.units[fair, moment : moment + horizon].sum(axis=1))
    if not sum(map(len, came)):
        return _default_calibration(horizon, memories)
    return _fit_calibration(horizon, memories, concat_features(pasts), np.concatenate(came))


def _default_calibration(horizon: int, memories: tuple[int, ...]) -> Calibration:
    silences = len(RECENCY_BOUNDS) + 1
    mixture = np.zeros(2 * len(memories) + 3)
    mixture[len(memories)] = 1.0
    return Calibration(
        horizon=horizon,
        half_lives=memories,
        mixture=mixture,
        recency_factor=np.ones(silences),
        trend_factor=np.ones(len(TREND_BOUNDS) + 1),
        zero_inflation=np.zeros(silences),
        mean_bounds=np.zeros(0),
        spread_bounds=np.zeros(0),
        dispersion=np.ones((1 + silences, 1)),
    )


def _fit_calibration(
    horizon: int, memories: tuple[int, ...], past: Features, actual: Floats
) -> Calibration:
    mixture, lift, turn = _fit_mixture(past, actual, horizon)
    unspread = replace(
        _default_calibration(horizon, memories),
        mixture=mixture,
        recency_factor=lift,
        trend_factor=turn,
    )
    mean = unspread.expected_units(past)
    bounded = replace(
        unspread,
        mean_bounds=np.quantile(mean, MEAN_CLASS_QUANTILES),
        spread_bounds=np.quantile(past.spread, SPREAD_CLASS_QUANTILES),
    )
    idle, size = _fit_dispersion(past.recency, bounded.dispersion_classes(past, mean), mean, actual)
    return replace(bounded, zero_inflation=idle, dispersion=size)


def _fit_mixture(past: Features, actual: Floats, horizon: int) -> tuple[Floats, Floats, Floats]:
    """The weights of the levels, and the factors of the classes of silence and of pace.

    No weight is negative. They bring the forecasts near to what came, each error measured in the steps of its series
    and counted as it is, not squared, and hold the sum of all forecasts to the sum of all that came.
    """
    levels = np.multiply(
        past.levels.T, horizon, order="C"
    )  # memory by memory: a level at a time is what is worked on
    scale = past.scale * horizon
    lift, turn = np.ones(len(RECENCY_BOUNDS) + 1), np.ones(len(TREND_BOUNDS) + 1)
    weight, little = 1 / past.scale**2, _SHRINKAGE_SERIES * float(np.median(actual))
    mixture = np.zeros(len(levels))
    for _ in range(_REWEIGHTING_ROUNDS):
        factor = lift[past.recency] * turn[past.trend]
        square = (levels * (weight * factor**2)) @ levels.T
        right = levels @ (weight * factor * actual)
        total = levels @ factor
        balance = _BALANCE_WEIGHT * np.trace(square) / max(float(total @ total), 1e-300)
        mixture = solve_nnls(
            square + balance * np.outer(total, total), right + balance * actual.sum() * total
        )
        plain = mixture @ levels
        lift = _shrunken_ratios(past.recency, plain * turn[past.trend], actual, lift, little)
        turn = _shrunken_ratios(past.trend, plain * lift[past.recency], actual, turn, little)
        error = np.abs(actual - plain * lift[past.recency] * turn[past.trend]) / scale
        weight = 1 / (past.scale**2 * (error + _ERROR_STEP_SCALE))
    return mixture, lift, turn


def _shrunken_ratios(
    kind: Ints, expected: Floats, actual: Floats, previous: Floats, shrinkage: float
) -> Floats:
    """How much of what was expected came, by class, drawn to one where ``little`` was; ``before`` where few are."""
    kinds = len(previous)
    share = (np.bincount(kind, actual, kinds) + shrinkage) / (
        np.bincount(kind, expected, kinds) + shrinkage + 1e-300
    )
    return np.where(np.bincount(kind, minlength=kinds) > MIN_CLASS_REPLAYS, share, previous)


def _fit_dispersion(
    silence: Ints, classes: tuple[Ints, Ints], mean: Floats, actual: Floats
) -> tuple[Floats, Floats]:
    """How often each class of silence stays idle, and the size of each class: what makes what came likeliest."""
    idle = np.zeros(len(RECENCY_BOUNDS) + 1)
    count = np.bincount(silence, minlength=len(idle))
    place = np.ravel_multi_index(
        classes,
        (shape := (len(MEAN_CLASS_QUANTILES) + 1 + len(idle), len(SPREAD_CLASS_QUANTILES) + 1)),
    )
    units = np.minimum(np.round(actual), _MAX_LEARNING_UNITS).astype(np.int64)
    size = np.ones(shape[0] * shape[1])
    came_to_nothing = np.bincount(silence, units == 0, len(idle)) / np.maximum(count, 1)
    for _ in range(_SPREAD_ROUNDS):
        active = mean / (1 - idle[silence])
        chance = np.exp(-size[place] * np.log1p(active / size[place]))
        nothing = np.bincount(silence, chance, len(idle)) / np.maximum(count, 1)
        found = np.clip((came_to_nothing - nothing) / (1 - nothing), 0, _MAX_ZERO_INFLATION)
        for kind in range(len(idle)):
            if count[kind] >= MIN_CLASS_REPLAYS:
                idle[kind] = found[kind]
            elif kind:
                idle[kind] = idle[kind - 1]
        size = _most_likely_dispersion(
            place, len(size), mean / (1 - idle[silence]), idle[silence], units
        )
    return idle, size.reshape(shape)


def _most_likely_dispersion(
    place: Ints, places: int, active: Floats, idle: Floats, units: Ints
) -> Floats:
    """The one of `DISPERSION_GRID` that makes the units of each place likeliest; of all places where it has few."""
    found = np.empty((len(DISPERSION_GRID), places))
    whole = np.empty(len(DISPERSION_GRID))
    k = np.arange(units.max())
    log_active, idle_now, awake = np.log(active), idle * (units == 0) + _MIN_LIKELIHOOD, 1 - idle
    for row, size in enumerate(DISPERSION_GRID):
        ways = np.concatenate([[0.0], np.cumsum(np.log((k + size) / (k + 1)))])
        log_all = np.log(size + active)
        log = ways[units] + size * (np.log(size) - log_all) + units * (log_active - log_all)
        chance = np.log(idle_now + awake * np.exp(log))
        found[row] = np.bincount(place, chance, places)
        whole[row] = chance.sum()
    few = np.bincount(place, minlength=places) < MIN_CLASS_REPLAYS
    return np.asarray(DISPERSION_GRID)[np.where(few, whole.argmax(), found.argmax(axis=0))]


def solve_nnls(square: Floats, right: Floats) -> Floats:
    """The x >= 0 that makes x'Ax/2 - x'b least, for a positive semidefinite ``square`` A and ``right`` b.

    Lawson and Hanson's active sets (1974), on the normal equations.
    """
    n = len(right)
    matrix = square + 1e-9 * max(float(np.trace(square)), 1e-300) / n * np.eye(n)
    found, free = np.zeros(n), np.zeros(n, dtype=np.bool_)
    for _ in range(3 * n):
        gain = np.where(free, -np.inf, right - matrix @ found)
        if free.all() or gain.max() <= 1e-10 * np.abs(right).max():
            break
        free[gain.argmax()] = True
        while True:
            tried = np.zeros(n)
            tried[free] = np.linalg.solve(matrix[np.ix_(free, free)], right[free])
            below = free & (tried <= 0)
            if not below.any():
                found = tried
                break
            part = (found[below] / np.maximum(found[below] - tried[below], 1e-300)).min()
            found = found + part * (tried - found)
            free &= ~(below & (found <= 1e-12 * np.abs(tried).max()))
            found[~free] = 0.0
    return found
