"""What each policy serves for what it holds: fill rate against stock, by replaying one stretch of history."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ipp.core.predictive.panel import Floats, Panel
from ipp.core.replay.policy import (
    MovingMeanPolicy,
    PolicyKind,
    PredictivePolicy,
    ScenarioPolicy,
    TraditionalPolicy,
)
from ipp.core.replay.simulate import (
    OrderPolicy,
    OrderTerms,
    StockPosition,
    replay_policy,
    score_outcomes,
)

SERVICE_LEVELS: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
"""Chances of being enough that the predictive model is drawn at."""

COVER_DAYS: Final = (7.0, 10.0, 14.0, 17.0, 21.0, 25.0, 28.0, 35.0, 42.0)
"""Days of cover that the traditional model is drawn at."""

MOVING_MEAN_PERIODS: Final = (1, 2, 3, 4, 5, 6)
"""Periods of the mean of 13 that are drawn."""


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A policy with one setting: the part of demand it served, and what it held at the end of a period on average.

    ``held`` is in units, or in money where prices are known.
    """

    kind: PolicyKind
    setting: float
    fill_rate: float
    held: float


def trace_frontier(
    panel: Panel,
    terms: OrderTerms,
    stock: StockPosition,
    start: int,
    counted: int,
    *,
    days: float,
    price: Floats | None = None,
) -> list[FrontierPoint]:
    """Replay each policy at each of its settings from period ``start``; what is before ``counted`` is not counted.

    With a ``price`` for each series the predictive model holds the unit that sells most per peso first, and its
    settings are what a peso must sell.
    """
    found = []
    for kind, setting, policy in _policy_settings(panel, terms, start, days, price):
        outcomes = [
            o for o in replay_policy(panel, policy, terms, stock, start) if o.period >= counted
        ]
        held = [float((o.left if price is None else o.left * price).sum()) for o in outcomes]
        found.append(
            FrontierPoint(
                kind,
                setting,
                score_outcomes(outcomes, terms).fill_rate,
                math.fsum(held) / max(len(held), 1),
            )
        )
    return found


def interpolate_stock(points: Sequence[FrontierPoint], fill_rate: float) -> float:
    """Units that the policy of ``points`` holds where it serves ``fill_rate``, on the line between its settings."""
    rising = sorted(points, key=lambda point: point.fill_rate)
    return float(np.interp(fill_rate, [p.fill_rate for p in rising], [p.held for p in rising]))


def interpolate_fill_rate(points: Sequence[FrontierPoint], held: float) -> float:
    """The part of demand that the policy of ``points`` serves where it holds ``held`` units."""
    rising = sorted(points, key=lambda point: point.held)
    return float(np.interp(held, [p.held for p in rising], [p.fill_rate for p in rising]))


def _policy_settings(
    panel: Panel, terms: OrderTerms, start: int, days: float, price: Floats | None
) -> Iterator[tuple[PolicyKind, float, OrderPolicy]]:
    predictive = PredictivePolicy.for_periods(terms, days)
    known = {
        period: predictive.simulate_demand(panel.truncate_at(period))
        for period in range(start, panel.periods, terms.review)
    }
    for aim in SERVICE_LEVELS:
        if price is None:
            yield PolicyKind.IPP, aim, ScenarioPolicy(terms, aim, known)
        else:
            least = (1 - aim) / float(np.median(price))
            yield (
                PolicyKind.IPP,
                least,
                ScenarioPolicy(terms, np.maximum(1 - least * price, 0.0), known),
            )
    for cover in COVER_DAYS:
        yield PolicyKind.SPP, cover, TraditionalPolicy(days, cover)
    for cover in MOVING_MEAN_PERIODS:
        yield PolicyKind.MEDIA13, float(cover), MovingMeanPolicy(cover)
