"""Panel of demand series and the features that the forecast reads from it."""

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
"""Half-lives of the exponentially weighted levels, in periods; one more level is the plain mean."""

RECENCY_BOUNDS: Final = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0)
"""Bounds of the recency classes: sales that a series has missed since its last, at its own rate."""

TREND_BOUNDS: Final = (0.1, 0.5, 0.8, 1.25, 2.0, 4.0)
"""Bounds of the trend classes: the recent level of a series over its long-run level."""

OUTLIER_DEVIATIONS: Final = 3.0
"""Standard deviations above the mean of a series at which its calm levels clip a sale."""

_CHUNK_SERIES: Final = 1_024
"""Number of series whose features are computed at a time."""

_MAX_NEIGHBOUR_TREND: Final = 4.0
"""Upper limit of the multiplier taken from the trend of similar series."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Demand of n series in T periods of equal length, the latest last.

    ``units`` is n × T; ``seen`` is false, and ``units`` 0, where demand was not observed: before
    the launch or without stock. ``product`` numbers the products, which several places may sell;
    ``group`` numbers the groups of similar series of one place (a category of one mostrador). Both
    count from 0, shape n.
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
        """Build a panel, by default fully seen, of distinct products in one group."""
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
        """Number of periods."""
        return int(self.units.shape[1])

    def truncate_at(self, period: int) -> Panel:
        """Return what was known before ``period`` (counted from 0) began."""
        return replace(self, units=self.units[:, :period], seen=self.seen[:, :period])

    def select(self, rows: Ints | slice) -> Panel:
        """Return the series of ``rows``."""
        return Panel(self.units[rows], self.seen[rows], self.product[rows], self.group[rows])


@dataclass(frozen=True, slots=True)
class Features:
    """Features of the past of n series.

    ``levels`` (n × J, units per period) holds the exponentially weighted means by ascending
    half-life and the plain mean; then the weighted means again with outliers clipped; and last the
    long-run level times the recent trend of the same product elsewhere, and of its group.
    ``recency`` is the class by `RECENCY_BOUNDS`, ``trend`` that by `TREND_BOUNDS`; ``spread`` is
    the variance beyond a Poisson's over the squared mean, shrunk towards 1/2 where sales are few;
    ``scale`` is the root mean square of the differences between consecutive periods, units.
    """

    levels: Floats
    recency: Ints
    trend: Ints
    spread: Floats
    scale: Floats

    def select(self, rows: Ints) -> Features:
        """Return the features of the series of ``rows``."""
        return Features(*(getattr(self, item.name)[rows] for item in fields(self)))


def concat_features(parts: Sequence[Features]) -> Features:
    """Concatenate the features of all ``parts``, in their order."""
    return Features(
        *(
            np.concatenate([getattr(part, item.name) for part in parts])
            for item in fields(Features)
        ),
    )


def usable_half_lives(periods: int) -> tuple[int, ...]:
    """Return the `HALF_LIVES` shorter than half of ``periods``, or the shortest if none is."""
    return tuple(life for life in HALF_LIVES if life < periods / 2) or HALF_LIVES[:1]


def extract_features(panel: Panel, horizon: int, half_lives: Sequence[int]) -> Features:
    """Extract the features of ``panel`` for a forecast over ``horizon`` periods.

    ``half_lives`` is in periods, ascending; `usable_half_lives` chooses them.
    """
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
    recent_column = int(np.argmin([abs(life - horizon / 4) for life in half_lives]))
    prior, prior_weight = _neighbour_level(
        panel, _safe_ratio(own.weighted_sales, own.weighted_units)[:, recent_column], own.count > 0
    )
    # The neighbours' level enters as pseudo-observations from before the first period, which decay
    # like any other: worth 4 periods, after 8 seen ones they weigh 4 × 0.5^(8/8) = 2 by a half-life
    # of 8, and 4 in the plain mean.
    decayed_weight = prior_weight[:, None] * np.stack(
        [*(0.5 ** (own.count / life) for life in half_lives), np.ones(len(panel))], axis=1
    )
    levels = _safe_ratio(
        own.weighted_sales + decayed_weight * prior[:, None], own.weighted_units + decayed_weight
    )
    calm = _safe_ratio(own.calm[:, :-1], own.weighted_units[:, :-1])
    recent_level, long_run = levels[:, recent_column], levels[:, -1]
    elsewhere = long_run * _peer_trend(panel.product, recent_level, long_run, besides=True)
    in_group = long_run * _peer_trend(panel.group, recent_level, long_run, besides=False)
    return Features(
        levels=np.column_stack([levels, calm, elsewhere, in_group]),
        recency=np.digitize(own.silent * own.sales / np.maximum(own.count, 1), RECENCY_BOUNDS),
        trend=np.digitize(_safe_ratio(recent_level, long_run), TREND_BOUNDS),
        spread=own.spread,
        scale=own.scale,
    )


@dataclass(frozen=True, slots=True)
class _SeriesSums:
    """Sums over the past of each series: weighted sums (n × weightings) and counts (n).

    ``silent`` counts the seen periods since the last sale, none where there was no sale.
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
    """Split ``n`` series into chunks whose pasts fit into the processor cache."""
    return [slice(first, first + _CHUNK_SERIES) for first in range(0, n, _CHUNK_SERIES)] or [
        slice(0, 0)
    ]


def _series_sums(panel: Panel, weights: Floats) -> _SeriesSums:
    units, count = panel.units, panel.seen.sum(axis=1).astype(np.float64)
    seen = np.maximum(count, 1)
    mean = units.sum(axis=1) / seen
    variance = np.maximum(np.einsum("ij,ij->i", units, units) / seen - mean**2, 0)
    # Clip outliers, because a rare large sale says little about the next ones.
    calm = np.minimum(units, (mean + OUTLIER_DEVIATIONS * np.sqrt(variance))[:, None])
    sold = units > 0
    sales = sold.sum(axis=1).astype(np.float64)
    since = panel.periods - np.argmax(sold[:, ::-1], axis=1)
    after_last_sale = np.arange(panel.periods) >= since[:, None]
    # The spread is the variance beyond a Poisson's over the squared mean, shrunk towards 1/2 with
    # weight 2 / sales: mean 2 and variance 10 give (10 - 2) / 4 = 2; after 2 sales the weight is 1
    # and the spread (2 + 0.5) / (1 + 1) = 1.25.
    shrinkage = 2 / np.maximum(sales, 1)
    step = np.diff(units, axis=1)
    return _SeriesSums(
        weighted_units=panel.seen @ weights,
        weighted_sales=units @ weights,
        calm=calm @ weights,
        count=count,
        sales=sales,
        silent=(panel.seen & after_last_sale).sum(axis=1).astype(np.float64),
        spread=_safe_ratio(
            np.maximum(variance - mean, 0) + 0.5 * shrinkage * mean**2, mean**2 * (1 + shrinkage)
        ),
        scale=np.sqrt(np.einsum("ij,ij->i", step, step) / max(panel.periods - 1, 1)),
    )


def _neighbour_level(panel: Panel, level: Floats, known: Flags) -> tuple[Floats, Floats]:
    """Return the prior level of each series (units per period) and its weight in periods.

    The prior is what the same product sells elsewhere, at the pace of this group, mixed with the
    mean of the group. If the levels of a group vary around it with variance v, it weighs as much
    as mean / v periods of Poisson sales: empirical Bayes, the prior of a gamma-Poisson model by
    moments (Robbins 1956).
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
    # With k peers the product's level elsewhere has weight k / (k + 1): of 3 peers 0.75, and the
    # mean of the group has the other 0.25.
    trusted = np.where(pace > 0, peers / (peers + 1), 0.0)
    expected = trusted * elsewhere * pace + (1 - trusted) * mean[group]
    variance = np.bincount(group, known * (level - expected) ** 2) / members
    return expected, _safe_ratio(mean, variance)[group]


def _safe_ratio(above: Floats, below: Floats) -> Floats:
    """Return ``above`` / ``below``, 0 where ``below`` is not positive."""
    ratio = np.zeros_like(above)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _peer_trend(of: Ints, lately: Floats, always: Floats, *, besides: bool) -> Floats:
    """Return the recent level over the long-run level of all series of the same number in ``of``.

    ``besides`` leaves the series itself out of its sums. The ratio is shrunk towards 1 where sums
    are small, and at most `_MAX_NEIGHBOUR_TREND`.
    """
    now = np.bincount(of, lately)[of] - lately * besides
    then = np.bincount(of, always)[of] - always * besides
    shrinkage = 0.05 * always.sum() / max(len(always), 1) + 1e-12
    trend: Floats = np.minimum((now + shrinkage) / (then + shrinkage), _MAX_NEIGHBOUR_TREND)
    return trend
