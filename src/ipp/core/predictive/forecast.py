"""Probabilistic demand forecast for a panel of series, calibrated on its own past.

The mean of a series is a non-negative mixture of its exponentially smoothed levels and of the
trends of similar series, times a factor by recency and one by trend. The mixture, the factors,
the zero inflation and the dispersion are fitted on a rolling-origin replay: at several origins in
the past, the forecast from what was known then is compared with the demand that followed. The
result is deterministic, and no replay sees demand after its origin.
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
"""Maximum number of origins in the past at which a forecast is compared with actual demand."""

MAX_REPLAYED_SERIES: Final = 4_000
"""Maximum number of series that are replayed, taken evenly from the panel."""

MIN_TRAINING_PERIODS: Final = 8
"""Periods of history below which an origin is not replayed."""

MIN_CLASS_REPLAYS: Final = 30
"""Minimum number of replays for a class to have an estimate of its own."""

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
"""Candidate values of the negative binomial dispersion r."""

MEAN_CLASS_QUANTILES: Final = (0.2, 0.4, 0.6, 0.8, 0.95)
"""Quantiles of the mean that bound its classes, ascending."""

SPREAD_CLASS_QUANTILES: Final = (1 / 3, 2 / 3)
"""Quantiles of the spread that bound its classes, ascending."""

QUIET_RECENCY_CLASS: Final = 4
"""Recency class from which recency, not the mean, determines the dispersion class.

A series that has been silent for long either resumes or has ended, whatever its mean.
"""

_MIN_MEAN_UNITS: Final = 1e-6
"""Lower limit of every forecast mean, in units per period."""

_BALANCE_WEIGHT: Final = 50.0
"""Weight of the error of the total, relative to the errors of the single series."""

_ERROR_STEP_SCALE: Final = 0.15
"""Error below which a smaller one hardly counts, in units of the scale of the series."""

_SHRINKAGE_SERIES: Final = 5.0
"""Strength of the shrinkage of a class factor towards 1, in sales of the median series."""

_REWEIGHTING_ROUNDS: Final = 12
"""Iterations of the reweighted least squares."""

_SPREAD_ROUNDS: Final = 3
"""Iterations that alternate between zero inflation and dispersion."""

_MAX_ZERO_INFLATION: Final = 0.95
"""Upper limit of the zero inflation: no class is certain to sell nothing."""

_MAX_LEARNING_UNITS: Final = 100_000
"""Units over a horizon at which demand is capped while the dispersion is fitted."""

_MIN_LIKELIHOOD: Final = 1e-9
"""Lower limit of a likelihood, so that a single outlier does not decide the fit."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted parameters of the forecast over ``horizon`` periods.

    ``half_lives`` (periods) are those of `Features`, and ``mixture`` holds the weights of its
    levels. ``recency_factor`` and ``zero_inflation`` are by recency class, ``trend_factor`` by
    trend class. ``dispersion`` has the classes of mean (bounded by ``mean_bounds``) and then those
    of recency as rows, and the classes of spread (bounded by ``spread_bounds``) as columns.
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
        """Return the expected units over the horizon, shape n."""
        level = (
            past.levels
            @ self.mixture
            * self.recency_factor[past.recency]
            * self.trend_factor[past.trend]
        )
        return np.maximum(level, _MIN_MEAN_UNITS) * self.horizon

    def dispersion_classes(self, past: Features, mean: Floats) -> tuple[Ints, Ints]:
        """Return the row and the column of each series in ``dispersion``, shape n each."""
        silent = len(self.mean_bounds) + 1 + past.recency
        row = np.where(
            past.recency >= QUIET_RECENCY_CLASS, silent, np.digitize(mean, self.mean_bounds)
        )
        return row, np.digitize(past.spread, self.spread_bounds)


def forecast_demand(panel: Panel, calibration: Calibration) -> Demand:
    """Forecast the demand of each series over the horizon that follows the panel."""
    past = extract_features(panel, calibration.horizon, calibration.half_lives)
    mean = calibration.expected_units(past)
    return Demand(
        mean,
        calibration.dispersion[calibration.dispersion_classes(past, mean)],
        calibration.zero_inflation[past.recency],
    )


def calibrate_forecast(panel: Panel, horizon: int) -> Calibration:
    """Fit the forecast over ``horizon`` periods by replaying the past of ``panel``.

    A past too short for one replay gives its plain mean and a dispersion of 1.
    """
    if len(panel) > MAX_REPLAYED_SERIES:
        panel = panel.select(np.linspace(0, len(panel) - 1, MAX_REPLAYED_SERIES).astype(np.int64))
    half_lives = usable_half_lives(panel.periods)
    pasts, actuals = [], []
    for replay in range(REPLAY_ORIGINS):
        origin = panel.periods - horizon - replay * max(1, horizon // 2)
        if origin < max(MIN_TRAINING_PERIODS, horizon):
            break
        past = extract_features(panel.truncate_at(origin), horizon, half_lives)
        usable = (past.scale > 0) & panel.seen[:, origin : origin + horizon].all(axis=1)
        pasts.append(past.select(np.flatnonzero(usable)))
        actuals.append(panel.units[usable, origin : origin + horizon].sum(axis=1))
    if not sum(map(len, actuals)):
        return _default_calibration(horizon, half_lives)
    return _fit_calibration(horizon, half_lives, concat_features(pasts), np.concatenate(actuals))


def _default_calibration(horizon: int, half_lives: tuple[int, ...]) -> Calibration:
    recency_classes = len(RECENCY_BOUNDS) + 1
    mixture = np.zeros(2 * len(half_lives) + 3)
    mixture[len(half_lives)] = 1.0
    return Calibration(
        horizon=horizon,
        half_lives=half_lives,
        mixture=mixture,
        recency_factor=np.ones(recency_classes),
        trend_factor=np.ones(len(TREND_BOUNDS) + 1),
        zero_inflation=np.zeros(recency_classes),
        mean_bounds=np.zeros(0),
        spread_bounds=np.zeros(0),
        dispersion=np.ones((1 + recency_classes, 1)),
    )


def _fit_calibration(
    horizon: int, half_lives: tuple[int, ...], past: Features, actual: Floats
) -> Calibration:
    mixture, recency_factor, trend_factor = _fit_mixture(past, actual, horizon)
    mean_only = replace(
        _default_calibration(horizon, half_lives),
        mixture=mixture,
        recency_factor=recency_factor,
        trend_factor=trend_factor,
    )
    mean = mean_only.expected_units(past)
    bounded = replace(
        mean_only,
        mean_bounds=np.quantile(mean, MEAN_CLASS_QUANTILES),
        spread_bounds=np.quantile(past.spread, SPREAD_CLASS_QUANTILES),
    )
    zero_inflation, dispersion = _fit_dispersion(
        past.recency, bounded.dispersion_classes(past, mean), mean, actual
    )
    return replace(bounded, zero_inflation=zero_inflation, dispersion=dispersion)


def _fit_mixture(past: Features, actual: Floats, horizon: int) -> tuple[Floats, Floats, Floats]:
    """Fit the weights of the levels and the factors by recency class and by trend class.

    Weights are non-negative. They minimise absolute errors, each in units of the scale of its
    series, and hold the sum of all forecasts to the sum of all actual demand.
    """
    # One contiguous row per level, because the products below work on a level at a time.
    levels = np.multiply(past.levels.T, horizon, order="C")
    scale = past.scale * horizon
    recency_factor, trend_factor = np.ones(len(RECENCY_BOUNDS) + 1), np.ones(len(TREND_BOUNDS) + 1)
    weight, shrinkage = 1 / past.scale**2, _SHRINKAGE_SERIES * float(np.median(actual))
    mixture = np.zeros(len(levels))
    for _ in range(_REWEIGHTING_ROUNDS):
        factor = recency_factor[past.recency] * trend_factor[past.trend]
        square = (levels * (weight * factor**2)) @ levels.T
        right = levels @ (weight * factor * actual)
        # Absolute errors become weighted squares: e² / |e| = |e|. An error of 0.85 scales weighs
        # 1 / (0.85 + 0.15) = 1, one of 0.05 scales 1 / 0.2 = 5. The rank-one term with ``total``
        # penalises the squared error of the sum of all forecasts.
        total = levels @ factor
        balance = _BALANCE_WEIGHT * np.trace(square) / max(float(total @ total), 1e-300)
        mixture = solve_nnls(
            square + balance * np.outer(total, total), right + balance * actual.sum() * total
        )
        plain = mixture @ levels
        recency_factor = _shrunken_ratios(
            past.recency, plain * trend_factor[past.trend], actual, recency_factor, shrinkage
        )
        trend_factor = _shrunken_ratios(
            past.trend, plain * recency_factor[past.recency], actual, trend_factor, shrinkage
        )
        error = (
            np.abs(actual - plain * recency_factor[past.recency] * trend_factor[past.trend]) / scale
        )
        weight = 1 / (past.scale**2 * (error + _ERROR_STEP_SCALE))
    return mixture, recency_factor, trend_factor


def _shrunken_ratios(
    kind: Ints, expected: Floats, actual: Floats, previous: Floats, shrinkage: float
) -> Floats:
    """Return the actual-to-forecast ratio by class, shrunk towards 1 for small classes.

    ``shrinkage`` (units) is added to both sides: with 20, 30 units sold of 60 expected give
    (30 + 20) / (60 + 20) = 0.625 instead of 0.5. Classes of at most `MIN_CLASS_REPLAYS` series
    keep their ``previous`` ratio.
    """
    kinds = len(previous)
    share = (np.bincount(kind, actual, kinds) + shrinkage) / (
        np.bincount(kind, expected, kinds) + shrinkage + 1e-300
    )
    return np.where(np.bincount(kind, minlength=kinds) > MIN_CLASS_REPLAYS, share, previous)


def _fit_dispersion(
    recency: Ints, classes: tuple[Ints, Ints], mean: Floats, actual: Floats
) -> tuple[Floats, Floats]:
    """Fit the zero inflation of each recency class and the dispersion of each class.

    The first matches the observed share of zeros, the second maximises the likelihood of
    ``actual``; each needs the other, so they alternate.
    """
    zero_inflation = np.zeros(len(RECENCY_BOUNDS) + 1)
    count = np.bincount(recency, minlength=len(zero_inflation))
    shape = (len(MEAN_CLASS_QUANTILES) + 1 + len(zero_inflation), len(SPREAD_CLASS_QUANTILES) + 1)
    place = np.ravel_multi_index(classes, shape)
    units = np.minimum(np.round(actual), _MAX_LEARNING_UNITS).astype(np.int64)
    dispersion = np.ones(shape[0] * shape[1])
    observed_zeros = np.bincount(recency, units == 0, len(zero_inflation)) / np.maximum(count, 1)
    for _ in range(_SPREAD_ROUNDS):
        active = mean / (1 - zero_inflation[recency])
        zero_probability = np.exp(-dispersion[place] * np.log1p(active / dispersion[place]))
        # Solve observed = z + (1 - z) × expected for z: with 60% zeros observed where the negative
        # binomial expects 20%, the zero inflation is (0.6 - 0.2) / (1 - 0.2) = 0.5.
        expected_zeros = np.bincount(recency, zero_probability, len(zero_inflation)) / np.maximum(
            count, 1
        )
        estimate = np.clip(
            (observed_zeros - expected_zeros) / (1 - expected_zeros), 0, _MAX_ZERO_INFLATION
        )
        for kind in range(len(zero_inflation)):
            if count[kind] >= MIN_CLASS_REPLAYS:
                zero_inflation[kind] = estimate[kind]
            elif kind:
                # A class with too few replays takes the estimate of the class before it.
                zero_inflation[kind] = zero_inflation[kind - 1]
        dispersion = _most_likely_dispersion(
            place,
            len(dispersion),
            mean / (1 - zero_inflation[recency]),
            zero_inflation[recency],
            units,
        )
    return zero_inflation, dispersion.reshape(shape)


def _most_likely_dispersion(
    place: Ints, places: int, active: Floats, idle: Floats, units: Ints
) -> Floats:
    """Return the value of `DISPERSION_GRID` of greatest likelihood for each class.

    A class with fewer than `MIN_CLASS_REPLAYS` replays takes the one of all classes together.
    """
    by_class = np.empty((len(DISPERSION_GRID), places))
    overall = np.empty(len(DISPERSION_GRID))
    k = np.arange(units.max())
    log_active, zero_mass, active_share = (
        np.log(active),
        idle * (units == 0) + _MIN_LIKELIHOOD,
        1 - idle,
    )
    for row, size in enumerate(DISPERSION_GRID):
        # log(Γ(k + r) / (Γ(r) k!)) for every k at once, as a running sum of log((k + r) / (k + 1)):
        # for r = 2 the coefficients of k = 0, 1, 2 are 1, 2/1 = 2 and 2 × 3/2 = 3.
        log_coefficients = np.concatenate([[0.0], np.cumsum(np.log((k + size) / (k + 1)))])
        log_all = np.log(size + active)
        log = (
            log_coefficients[units]
            + size * (np.log(size) - log_all)
            + units * (log_active - log_all)
        )
        chance = np.log(zero_mass + active_share * np.exp(log))
        by_class[row] = np.bincount(place, chance, places)
        overall[row] = chance.sum()
    few = np.bincount(place, minlength=places) < MIN_CLASS_REPLAYS
    return np.asarray(DISPERSION_GRID)[np.where(few, overall.argmax(), by_class.argmax(axis=0))]


def solve_nnls(square: Floats, right: Floats) -> Floats:
    """Return the x >= 0 that minimises x'Ax/2 - x'b: non-negative least squares (NNLS).

    ``square`` is the positive semidefinite A, ``right`` is b. The method is the active set of
    Lawson and Hanson (1974), on the normal equations.
    """
    n = len(right)
    matrix = square + 1e-9 * max(float(np.trace(square)), 1e-300) / n * np.eye(n)
    solution, free = np.zeros(n), np.zeros(n, dtype=np.bool_)
    for _ in range(3 * n):
        gain = np.where(free, -np.inf, right - matrix @ solution)
        if free.all() or gain.max() <= 1e-10 * np.abs(right).max():
            break
        free[gain.argmax()] = True
        while True:
            candidate = np.zeros(n)
            candidate[free] = np.linalg.solve(matrix[np.ix_(free, free)], right[free])
            below = free & (candidate <= 0)
            if not below.any():
                solution = candidate
                break
            # Go towards the candidate only as far as every weight stays non-negative: from 0.3
            # towards -0.1, that is 0.3 / (0.3 + 0.1) = 0.75 of the way. Then drop what became 0.
            part = (solution[below] / np.maximum(solution[below] - candidate[below], 1e-300)).min()
            solution = solution + part * (candidate - solution)
            free &= ~(below & (solution <= 1e-12 * np.abs(candidate).max()))
            solution[~free] = 0.0
    return solution
