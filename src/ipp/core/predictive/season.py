"""What a time of the year does to demand, learnt from the pool: one series alone has too few years to tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ipp.core.predictive.panel import Floats, Panel

MIN_HISTORY_YEARS: Final = 2
"""Whole years of past below which a season cannot be told from a trend."""

SEASON_STRENGTHS: Final = (0.0, 0.5, 1.0)
"""How much of what the years before show is believed: the past says how much of it came true."""

SMOOTHING_KERNEL: Final = (0.25, 0.5, 0.25)
"""Weights of a period and of its neighbours in the year: what falls on one date falls near it the next year."""

SHRINKAGE_UNITS: Final = 2_000.0
"""Units a year that a group must sell for its own season to weigh as much as the whole pool's."""

_LEVEL_HALF_LIFE: Final = 8.0
"""Half-life, in periods, of the level by which strengths are told apart."""


@dataclass(frozen=True, slots=True)
class SeasonalFactors:
    """Factors around 1 by group: ``past`` for each period of the panel, ``ahead`` for those to come."""

    past: Floats
    ahead: Floats

    def deseasonalise(self, panel: Panel) -> Panel:
        """The panel as if every time of the year were alike."""
        factors = self.past[panel.group]
        return replace(panel, units=np.divide(panel.units, factors, out=factors))

    def mean_factor(self, panel: Panel, first: int, last: int) -> Floats:
        """The factor of each series over the periods ahead from ``first`` to before ``last``, from 0; shape n."""
        mean: Floats = self.ahead[:, first:last].mean(axis=1)[panel.group]
        return mean


def learn_season(panel: Panel, cycle: int, ahead: int) -> SeasonalFactors:
    """Learn the season of ``panel``, whose year has ``cycle`` periods (0 where it has none), ``ahead`` of its end.

    Factors are 1 where there are fewer than `MIN_HISTORY_YEARS` whole years, or where the last year went against the ones before.
    """
    groups = int(panel.group.max()) + 1 if len(panel) else 0
    none = SeasonalFactors(np.ones((groups, panel.periods)), np.ones((groups, ahead)))
    if not cycle or panel.periods < MIN_HISTORY_YEARS * cycle + ahead:
        return none
    totals = np.stack(
        [np.bincount(panel.group, sold, groups) for sold in panel.units.T], axis=1
    ).astype(np.float64)
    strength = _choose_strength(totals, cycle, ahead)
    if not strength:
        return none
    of_year = 1 + strength * (_yearly_factors(totals, cycle) - 1)
    place = np.arange(-panel.periods, ahead) % cycle
    factors = of_year[:, place]
    return SeasonalFactors(factors[:, : panel.periods], factors[:, panel.periods :])


def _yearly_factors(totals: Floats, cycle: int) -> Floats:
    """The factors of a year that begins where ``totals`` end, groups × cycle; growth from year to year taken out."""
    years = totals.shape[1] // cycle
    pool = np.concatenate([totals, totals.sum(axis=0, keepdims=True)])
    of_years = pool[:, -years * cycle :].reshape(len(pool), years, cycle)
    sold = of_years.sum(axis=2)
    growth = np.clip((sold[:, -1] + 1) / (sold[:, 0] + 1), 0.25, 4.0) ** (1 / (years - 1))
    level = (
        (growth[:, None] ** ((np.arange(cycle) + 0.5) / cycle - 0.5))[:, None]
        * sold[:, :, None]
        / cycle
    )
    shape = np.divide(of_years, level, out=np.ones_like(of_years), where=level > 0).mean(axis=1)
    blurred = sum(
        weight * np.roll(shape, shift, axis=1)
        for weight, shift in zip(SMOOTHING_KERNEL, (-1, 0, 1), strict=True)
    )
    own = sold[:-1].mean(axis=1) / (sold[:-1].mean(axis=1) + SHRINKAGE_UNITS)
    mixed = own[:, None] * blurred[:-1] + (1 - own[:, None]) * blurred[-1]
    bounded = np.clip(mixed, 0.2, 5.0)
    factors: Floats = bounded / bounded.mean(axis=1, keepdims=True)
    return factors


def _choose_strength(totals: Floats, cycle: int, ahead: int) -> float:
    """The strength that would have told the totals of the last year's moments best, from the years before each."""
    moments = range(
        max(MIN_HISTORY_YEARS * cycle, totals.shape[1] - cycle),
        totals.shape[1] - ahead + 1,
        max(1, ahead),
    )
    wrong = np.zeros(len(SEASON_STRENGTHS))
    for moment in moments:
        known = totals[:, :moment]
        of_year = _yearly_factors(known, cycle)
        weight = 0.5 ** (np.arange(moment)[::-1] / _LEVEL_HALF_LIFE)
        came = totals[:, moment : moment + ahead].sum(axis=1)
        for row, strength in enumerate(SEASON_STRENGTHS):
            factors = 1 + strength * (of_year - 1)
            level = (known / factors[:, np.arange(-moment, 0) % cycle]) @ weight / weight.sum()
            wrong[row] += np.abs(came - level * factors[:, :ahead].sum(axis=1)).sum()
    return SEASON_STRENGTHS[int(wrong.argmin())]
