"""Seasonal factors, estimated on pooled series because one series has too few years."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ipp.core.predictive.panel import Floats, Panel

MIN_HISTORY_YEARS: Final = 2
"""Whole years of history below which a season cannot be told from a trend."""

SEASON_STRENGTHS: Final = (0.0, 0.5, 1.0)
"""Candidate weights of the estimated season; a replay of the last year chooses one."""

SMOOTHING_KERNEL: Final = (0.25, 0.5, 0.25)
"""Weights of the period before, the period and the one after, because dates shift between years."""

SHRINKAGE_UNITS: Final = 2_000.0
"""Units a year at which a group's own season weighs as much as that of all groups."""

_LEVEL_HALF_LIFE: Final = 8.0
"""Half-life, in periods, of the level with which the strengths are compared."""


@dataclass(frozen=True, slots=True)
class SeasonalFactors:
    """Seasonal factors around 1, groups × periods: ``past`` of the panel, ``ahead`` after it."""

    past: Floats
    ahead: Floats

    def deseasonalise(self, panel: Panel) -> Panel:
        """Return the panel with its units divided by the seasonal factors."""
        factors = self.past[panel.group]
        return replace(panel, units=np.divide(panel.units, factors, out=factors))

    def mean_factor(self, panel: Panel, first: int, last: int) -> Floats:
        """Return the mean factor of each series over the periods ahead [first, last), shape n.

        Periods ahead are counted from 0.
        """
        mean: Floats = self.ahead[:, first:last].mean(axis=1)[panel.group]
        return mean


def learn_season(panel: Panel, cycle: int, ahead: int) -> SeasonalFactors:
    """Estimate the seasonal factors of ``panel`` and of the ``ahead`` periods after its end.

    A year has ``cycle`` periods, 0 without a season. Factors are 1 where there are fewer than
    `MIN_HISTORY_YEARS` whole years and ``ahead`` periods, or where no season would have forecast
    the last year better.
    """
    groups = int(panel.group.max()) + 1 if len(panel) else 0
    neutral = SeasonalFactors(np.ones((groups, panel.periods)), np.ones((groups, ahead)))
    if not cycle or panel.periods < MIN_HISTORY_YEARS * cycle + ahead:
        return neutral
    totals = np.stack(
        [np.bincount(panel.group, sold, groups) for sold in panel.units.T], axis=1
    ).astype(np.float64)
    strength = _choose_strength(totals, cycle, ahead)
    if not strength:
        return neutral
    yearly = 1 + strength * (_yearly_factors(totals, cycle) - 1)
    place = np.arange(-panel.periods, ahead) % cycle
    factors = yearly[:, place]
    return SeasonalFactors(factors[:, : panel.periods], factors[:, panel.periods :])


def _yearly_factors(totals: Floats, cycle: int) -> Floats:
    """Return the factors of the year after ``totals``, groups × cycle, net of yearly growth."""
    years = totals.shape[1] // cycle
    pool = np.concatenate([totals, totals.sum(axis=0, keepdims=True)])
    by_year = pool[:, -years * cycle :].reshape(len(pool), years, cycle)
    sold = by_year.sum(axis=2)
    growth = np.clip((sold[:, -1] + 1) / (sold[:, 0] + 1), 0.25, 4.0) ** (1 / (years - 1))
    # Growth within a year is part of the level, not of the season: at 1.21 a year, a period at the
    # end of the year is 1.21^0.5 = 1.1 times the mean period and one at its start 1.21^-0.5 = 0.91.
    level = (
        (growth[:, None] ** ((np.arange(cycle) + 0.5) / cycle - 0.5))[:, None]
        * sold[:, :, None]
        / cycle
    )
    shape = np.divide(by_year, level, out=np.ones_like(by_year), where=level > 0).mean(axis=1)
    smoothed = sum(
        weight * np.roll(shape, shift, axis=1)
        for weight, shift in zip(SMOOTHING_KERNEL, (-1, 0, 1), strict=True)
    )
    own_weight = sold[:-1].mean(axis=1) / (sold[:-1].mean(axis=1) + SHRINKAGE_UNITS)
    # Shrink each group's season towards that of all: at 2,000 units a year half of each, at 6,000
    # 6,000 / (6,000 + 2,000) = 0.75 its own.
    mixed = own_weight[:, None] * smoothed[:-1] + (1 - own_weight[:, None]) * smoothed[-1]
    bounded = np.clip(mixed, 0.2, 5.0)
    factors: Floats = bounded / bounded.mean(axis=1, keepdims=True)
    return factors


def _choose_strength(totals: Floats, cycle: int, ahead: int) -> float:
    """Return the strength that best forecasts the totals of the last year.

    Each origin in the last year is forecast from the periods before it; absolute errors add up.
    """
    origins = range(
        max(MIN_HISTORY_YEARS * cycle, totals.shape[1] - cycle),
        totals.shape[1] - ahead + 1,
        max(1, ahead),
    )
    errors = np.zeros(len(SEASON_STRENGTHS))
    for origin in origins:
        known = totals[:, :origin]
        yearly = _yearly_factors(known, cycle)
        weight = 0.5 ** (np.arange(origin)[::-1] / _LEVEL_HALF_LIFE)
        actual = totals[:, origin : origin + ahead].sum(axis=1)
        for row, strength in enumerate(SEASON_STRENGTHS):
            factors = 1 + strength * (yearly - 1)
            level = (known / factors[:, np.arange(-origin, 0) % cycle]) @ weight / weight.sum()
            errors[row] += np.abs(actual - level * factors[:, :ahead].sum(axis=1)).sum()
    return SEASON_STRENGTHS[int(errors.argmin())]
