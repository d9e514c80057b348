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
from ipp.core.predictive.panel import PACES, SILENCES, Floats, Ints, Panel, Signs, lives, signs, together

REPLAYS: Final = 6
"""Moments of the past at which a forecast is held against what came."""

SERIES: Final = 8_000
"""Series that are replayed, at most, evenly taken from all."""

SHORTEST: Final = 8
"""Periods of past below which nothing is learnt from a replay."""

FEW: Final = 30
"""Replays in a class below which it has no figure of its own."""

SIZES: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 11.0, 18.0, 30.0, 80.0)
"""The negative binomial's r that are tried."""

MEANS: Final = (0.2, 0.4, 0.6, 0.8, 0.95)
"""Shares of the series that bound the classes of mean, smallest first."""

SPREADS: Final = (1 / 3, 2 / 3)
"""Shares of the series that bound the classes of spread."""

QUIET: Final = 4
"""Class of silence from which a series spreads as the silent do, whatever its mean: it is back, or it is not."""

_LEAST: Final = 1e-6
"""Units a period that every series is thought able to sell."""

_BALANCE: Final = 50.0
"""How much more it counts that the forecasts add up to what came than that each is near."""

_BLUNT: Final = 0.15
"""Errors in steps of a series below which it hardly counts whether they are smaller."""

_LITTLE: Final = 5.0
"""Median series whose sales a class must outweigh to have a factor of its own."""

_ROUNDS: Final = 12
"""Turns of weighing and of looking at the errors that are left."""

_TURNS: Final = 3
"""Turns of looking for what is idle and for the spread of what is not."""

_MOST_IDLE: Final = 0.95
"""No class is thought to be dead for sure."""

_LARGEST: Final = 100_000
"""Units over a horizon above which the spread is learnt as if they were as many."""

_NEVER: Final = 1e-9
"""Chance of what has no chance: one strange sale must not decide."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learnt of how pasts go on over ``horizon`` periods.

    ``lives`` are the memories of `Signs`, ``mixture`` weighs their levels; ``lift`` and ``idle`` are by class of
    silence, ``turn`` by class of pace; ``size`` is by class of mean and, behind these, of silence, each by class of
    spread, bounded by ``means`` and ``spreads``.
    """

    horizon: int
    lives: tuple[int, ...]
    mixture: Floats
    lift: Floats
    turn: Floats
    idle: Floats
    means: Floats
    spreads: Floats
    size: Floats

    def mean(self, past: Signs) -> Floats:
        """Expected units over the horizon, shape n."""
        level = past.levels @ self.mixture * self.lift[past.silence] * self.turn[past.pace]
        return np.maximum(level, _LEAST) * self.horizon

    def classes(self, past: Signs, mean: Floats) -> tuple[Ints, Ints]:
        """The place of each series in ``size``."""
        silent = len(self.means) + 1 + past.silence
        row = np.where(past.silence >= QUIET, silent, np.digitize(mean, self.means))
        return row, np.digitize(past.spread, self.spreads)


def forecast(panel: Panel, calibration: Calibration) -> Demand:
    """Demand of each series over the horizon that follows the panel."""
    past = signs(panel, calibration.horizon, calibration.lives)
    mean = calibration.mean(past)
    return Demand(mean, calibration.size[calibration.classes(past, mean)], calibration.idle[past.silence])


def calibrate(panel: Panel, horizon: int) -> Calibration:
    """Learn from the past of ``panel`` how pasts go on over ``horizon`` periods.

    A past too short for one replay gives the plain mean of all of it, and a spread of size 1.
    """
    if len(panel) > SERIES:
        panel = panel.take(np.linspace(0, len(panel) - 1, SERIES).astype(np.int64))
    memories = lives(panel.periods)
    pasts, came = [], []
    for number in range(REPLAYS):
        moment = panel.periods - horizon - number * max(1, horizon // 2)
        if moment < max(SHORTEST, horizon):
            break
        past = signs(panel.until(moment), horizon, memories)
        fair = (past.scale > 0) & panel.seen[:, moment : moment + horizon].all(axis=1)
        pasts.append(past.take(np.flatnonzero(fair)))
        came.append(panel.units[fair, moment : moment + horizon].sum(axis=1))
    if not sum(map(len, came)):
        return _unlearnt(horizon, memories)
    return _learnt(horizon, memories, together(pasts), np.concatenate(came))


def _unlearnt(horizon: int, memories: tuple[int, ...]) -> Calibration:
    silences = len(SILENCES) + 1
    mixture = np.zeros(2 * len(memories) + 3)
    mixture[len(memories)] = 1.0
    return Calibration(
        horizon=horizon,
        lives=memories,
        mixture=mixture,
        lift=np.ones(silences),
        turn=np.ones(len(PACES) + 1),
        idle=np.zeros(silences),
        means=np.zeros(0),
        spreads=np.zeros(0),
        size=np.ones((1 + silences, 1)),
    )


def _learnt(horizon: int, memories: tuple[int, ...], past: Signs, came: Floats) -> Calibration:
    mixture, lift, turn = _mixture(past, came, horizon)
    unspread = replace(_unlearnt(horizon, memories), mixture=mixture, lift=lift, turn=turn)
    mean = unspread.mean(past)
    bounded = replace(unspread, means=np.quantile(mean, MEANS), spreads=np.quantile(past.spread, SPREADS))
    idle, size = _spread(past.silence, bounded.classes(past, mean), mean, came)
    return replace(bounded, idle=idle, size=size)


def _mixture(past: Signs, came: Floats, horizon: int) -> tuple[Floats, Floats, Floats]:
    """The weights of the levels, and the factors of the classes of silence and of pace.

    No weight is negative. They bring the forecasts near to what came, each error measured in the steps of its series
    and counted as it is, not squared, and hold the sum of all forecasts to the sum of all that came.
    """
    levels = np.multiply(past.levels.T, horizon, order="C")  # memory by memory: a level at a time is what is worked on
    scale = past.scale * horizon
    lift, turn = np.ones(len(SILENCES) + 1), np.ones(len(PACES) + 1)
    weight, little = 1 / past.scale**2, _LITTLE * float(np.median(came))
    mixture = np.zeros(len(levels))
    for _ in range(_ROUNDS):
        factor = lift[past.silence] * turn[past.pace]
        square = (levels * (weight * factor**2)) @ levels.T
        right = levels @ (weight * factor * came)
        total = levels @ factor
        balance = _BALANCE * np.trace(square) / max(float(total @ total), 1e-300)
        mixture = nonnegative(square + balance * np.outer(total, total), right + balance * came.sum() * total)
        plain = mixture @ levels
        lift = _factors(past.silence, plain * turn[past.pace], came, lift, little)
        turn = _factors(past.pace, plain * lift[past.silence], came, turn, little)
        error = np.abs(came - plain * lift[past.silence] * turn[past.pace]) / scale
        weight = 1 / (past.scale**2 * (error + _BLUNT))
    return mixture, lift, turn


def _factors(kind: Ints, expected: Floats, came: Floats, before: Floats, little: float) -> Floats:
    """How much of what was expected came, by class, drawn to one where ``little`` was; ``before`` where few are."""
    kinds = len(before)
    share = (np.bincount(kind, came, kinds) + little) / (np.bincount(kind, expected, kinds) + little + 1e-300)
    return np.where(np.bincount(kind, minlength=kinds) > FEW, share, before)


def _spread(silence: Ints, classes: tuple[Ints, Ints], mean: Floats, came: Floats) -> tuple[Floats, Floats]:
    """How often each class of silence stays idle, and the size of each class: what makes what came likeliest."""
    idle = np.zeros(len(SILENCES) + 1)
    count = np.bincount(silence, minlength=len(idle))
    place = np.ravel_multi_index(classes, (shape := (len(MEANS) + 1 + len(idle), len(SPREADS) + 1)))
    units = np.minimum(np.round(came), _LARGEST).astype(np.int64)
    size = np.ones(shape[0] * shape[1])
    came_to_nothing = np.bincount(silence, units == 0, len(idle)) / np.maximum(count, 1)
    for _ in range(_TURNS):
        active = mean / (1 - idle[silence])
        chance = np.exp(-size[place] * np.log1p(active / size[place]))
        nothing = np.bincount(silence, chance, len(idle)) / np.maximum(count, 1)
        found = np.clip((came_to_nothing - nothing) / (1 - nothing), 0, _MOST_IDLE)
        for kind in range(len(idle)):
            if count[kind] >= FEW:
                idle[kind] = found[kind]
            elif kind:
                idle[kind] = idle[kind - 1]
        size = _likeliest(place, len(size), mean / (1 - idle[silence]), idle[silence], units)
    return idle, size.reshape(shape)


def _likeliest(place: Ints, places: int, active: Floats, idle: Floats, units: Ints) -> Floats:
    """The one of `SIZES` that makes the units of each place likeliest; of all places where it has few."""
    found = np.empty((len(SIZES), places))
    whole = np.empty(len(SIZES))
    k = np.arange(units.max())
    log_active, idle_now, awake = np.log(active), idle * (units == 0) + _NEVER, 1 - idle
    for row, size in enumerate(SIZES):
        ways = np.concatenate([[0.0], np.cumsum(np.log((k + size) / (k + 1)))])
        log_all = np.log(size + active)
        log = ways[units] + size * (np.log(size) - log_all) + units * (log_active - log_all)
        chance = np.log(idle_now + awake * np.exp(log))
        found[row] = np.bincount(place, chance, places)
        whole[row] = chance.sum()
    few = np.bincount(place, minlength=places) < FEW
    return np.asarray(SIZES)[np.where(few, whole.argmax(), found.argmax(axis=0))]


def nonnegative(square: Floats, right: Floats) -> Floats:
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
