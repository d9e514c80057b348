"""What many series asked for, period by period, and what of that tells how they will go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

HALF_LIVES: Final = (1, 2, 4, 8, 16, 32, 64)
"""Periods after which a sale counts half, for each of the levels that are looked at; one more forgets nothing."""

RECENCY_BOUNDS: Final = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0)
"""Sales that a series has missed since its last one, at its own rate: the bounds of the classes of silence."""

TREND_BOUNDS: Final = (0.1, 0.5, 0.8, 1.25, 2.0, 4.0)
"""What a series sells lately to what it sold always: the bounds of the classes of pace."""

OUTLIER_DEVIATIONS: Final = 3.0
"""Standard deviations above its mean from which a sale says little of the next ones."""

_CHUNK_SERIES: Final = 1_024
"""Series whose pasts are read at a time."""

_MAX_NEIGHBOUR_TREND: Final = 4.0
"""No trend of others multiplies a level by more."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Demand of n series in T periods of one length, the latest last.

    ``units`` is n × T, 0 where it was not seen; ``seen`` is false there: before the launch, or without stock.
    ``product`` is the same number for the same product at several places, ``group`` for what is of one kind at one
    place (a category of one mostrador); both count from 0, shape n.
    """

    units: Floats
    seen: Flags
    product: Ints
    group: Ints

    @classmethod
    def build(
        cls,
        units: Floats,
        seen: Floats | Flags | None = None,
        product: Ints | None = None,
        group: Ints | None = None,
    ) -> Panel:
        """A panel of series that are all seen, of different products and one group, but for what is given."""
        n = len(units)
        return cls(
            units=units if seen is None else units * seen,
            seen=np.ones(units.shape, dtype=np.bool_) if seen is None else seen > 0,
            product=np.arange(n) if product is None else product,
            group=np.zeros(n, dtype=np.int64) if group is None else group,
        )

    def __len__(self) -> int:
        return len(self.units)

    @property
    def periods(self) -> int:
        """How many periods there are."""
        return int(self.units.shape[1])

    def truncate_at(self, period: int) -> Panel:
        """What was known before ``period`` (counted from 0) began."""
        return replace(self, units=self.units[:, :period], seen=self.seen[:, :period])

    def select(self, rows: Ints | slice) -> Panel:
        """Some of the series."""
        return Panel(self.units[rows], self.seen[rows], self.product[rows], self.group[rows])


@dataclass(frozen=True, slots=True)
class Features:
    """What the past of n series says of them.

    ``levels`` (n × J, units a period) are what they sell by ever longer memories, then the same without their rare
    large sales, and at last by what others like them do lately; ``silence`` is the class of `RECENCY_BOUNDS` they are
    in, ``pace`` that of `TREND_BOUNDS`; ``spread`` tells how widely a series varies around its mean, as a part of it
    squared; ``scale`` is the root mean square of its steps, units.
    """

    levels: Floats
    recency: Ints
    trend: Ints
    spread: Floats
    scale: Floats

    def select(self, rows: Ints) -> Features:
        """Those of some of the series."""
        return Features(*(getattr(self, item.name)[rows] for item in fields(self)))


def concat_features(parts: Sequence[Features]) -> Features:
    """The signs of all ``parts``, one after the other."""
    return Features(
        *(
            np.concatenate([getattr(part, item.name) for part in parts])
            for item in fields(Features)
        ),
    )


def usable_half_lives(periods: int) -> tuple[int, ...]:
    """The `HALF_LIVES` that a past of so many periods can tell apart."""
    return tuple(life for life in HALF_LIVES if life < periods / 2) or HALF_LIVES[:1]


def extract_features(panel: Panel, horizon: int, half_lives: Sequence[int]) -> Features:
    """Read the past of ``panel`` for a forecast over ``horizon`` periods, with memories of ``usable_half_lives``."""
    age = np.arange(panel.periods)[::-1]
    weights = np.stack(
        [*(0.5 ** (age / life) for life in half_lives), np.ones(panel.periods)], axis=1
    )
    parts = [_series_sums(panel.select(rows), weights) for rows in _series_chunks(len(panel))]
    own = _SeriesSums(
        *(
            np.concatenate([getattr(part, item.name) for part in parts])
            for item in fields(_SeriesSums)
        )
    )
    recent = int(np.argmin([abs(life - horizon / 4) for life in half_lives]))
    prior, worth = _neighbour_level(
        panel, _safe_ratio(own.weighted_sales, own.weighted_units)[:, recent], own.count > 0
    )
    # What the neighbours say was known before the first period, and is forgotten like any other.
    left = worth[:, None] * np.stack(
        [*(0.5 ** (own.count / life) for life in half_lives), np.ones(len(panel))], axis=1
    )
    levels = _safe_ratio(own.weighted_sales + left * prior[:, None], own.weighted_units + left)
    calm = _safe_ratio(own.calm[:, :-1], own.weighted_units[:, :-1])
    lately, always = levels[:, recent], levels[:, -1]
    elsewhere = always * _peer_trend(panel.product, lately, always, besides=True)
    around = always * _peer_trend(panel.group, lately, always, besides=False)
    return Features(
        levels=np.column_stack([levels, calm, elsewhere, around]),
        recency=np.digitize(own.silent * own.sales / np.maximum(own.count, 1), RECENCY_BOUNDS),
        trend=np.digitize(_safe_ratio(lately, always), TREND_BOUNDS),
        spread=own.spread,
        scale=own.scale,
    )


@dataclass(frozen=True, slots=True)
class _SeriesSums:
    """What each series says by itself: weighed sums (n × memories), and counts (n).

    ``silent`` counts the seen periods since the last sale: all of them and one more where there was none.
    """

    weighted_units: Floats
    weighted_sales: Floats
    calm: Floats
    count: Floats
    sales: Floats
    silent: Floats
    spread: Floats
    scale: Floats


def _series_chunks(n: int) -> list[slice]:
    """The series of ``n`` in parts that a processor's cache holds the pasts of."""
    return [slice(first, first + _CHUNK_SERIES) for first in range(0, n, _CHUNK_SERIES)] or [
        slice(0, 0)
    ]


def _series_sums(panel: Panel, weights: Floats) -> _SeriesSums:
    units, count = panel.units, panel.seen.sum(axis=1).astype(np.float64)
    seen = np.maximum(count, 1)
    mean = units.sum(axis=1) / seen
    variance = np.maximum(np.einsum("ij,ij->i", units, units) / seen - mean**2, 0)
    # Without its rare large sales: they say little of the next ones.
    calm = np.minimum(units, (mean + OUTLIER_DEVIATIONS * np.sqrt(variance))[:, None])
    sold = units > 0
    sales = sold.sum(axis=1).astype(np.float64)
    since = np.where(sales > 0, panel.periods - np.argmax(sold[:, ::-1], axis=1), 0)
    later = np.arange(panel.periods) >= since[:, None]
    # Variance beyond a Poisson's as a part of the mean squared, drawn to a half where there are few sales.
    doubt = 2 / np.maximum(sales, 1)
    step = np.diff(units, axis=1)
    return _SeriesSums(
        weighted_units=panel.seen @ weights,
        weighted_sales=units @ weights,
        calm=calm @ weights,
        count=count,
        sales=sales,
        silent=(panel.seen & later).sum(axis=1) + (sales == 0.0),
        spread=_safe_ratio(
            np.maximum(variance - mean, 0) + 0.5 * doubt * mean**2, mean**2 * (1 + doubt)
        ),
        scale=np.sqrt(np.einsum("ij,ij->i", step, step) / max(panel.periods - 1, 1)),
    )


def _neighbour_level(panel: Panel, level: Floats, known: Flags) -> tuple[Floats, Floats]:
    """What others make one expect of a series, units a period, and how many periods of its own that is worth.

    Expected is what the same product sells elsewhere, at the pace of this place, and what its group sells. Where the
    true levels of a group lie around that with variance v, it is worth as much as mean / v periods of Poisson sales
    (the prior of a gamma-Poisson model, by moments; Robbins 1956).
    """
    group, product = panel.group, panel.product
    members = np.maximum(np.bincount(group, known), 1.0)
    mean = np.bincount(group, level) / members
    peers = (np.bincount(product, known)[product] - known).astype(np.float64)
    elsewhere = np.bincount(product, level)[product] - level
    elsewhere = _safe_ratio(elsewhere, peers)
    shared = known & (peers > 0)
    here, there = (
        np.bincount(group, units * shared).astype(np.float64) for units in (level, elsewhere)
    )
    pace = _safe_ratio(here, there)[group]
    trusted = np.where(pace > 0, peers / (peers + 1), 0.0)
    expected = trusted * elsewhere * pace + (1 - trusted) * mean[group]
    apart = np.bincount(group, known * (level - expected) ** 2) / members
    return expected, _safe_ratio(mean, apart)[group]


def _safe_ratio(above: Floats, below: Floats) -> Floats:
    """One by the other, 0 where there is nothing below."""
    share = np.zeros_like(above)
    np.divide(above, below, out=share, where=below > 0)
    return share


def _peer_trend(of: Ints, lately: Floats, always: Floats, *, besides: bool) -> Floats:
    """How the level of all of one kind lately is to their level always; ``besides`` leaves each itself out."""
    now = np.bincount(of, lately)[of] - lately * besides
    then = np.bincount(of, always)[of] - always * besides
    little = 0.05 * always.mean() + 1e-12
    moved: Floats = np.minimum((now + little) / (then + little), _MAX_NEIGHBOUR_TREND)
    return moved
