"""The frontier of each policy: fill rate against stock held, by replaying a stretch of history."""

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
"""Service levels at which the predictive model is replayed."""

COVER_DAYS: Final = (7.0, 10.0, 14.0, 17.0, 21.0, 25.0, 28.0, 35.0, 42.0)
"""Days of cover at which the traditional model is replayed."""

MOVING_MEAN_PERIODS: Final = (1, 2, 3, 4, 5, 6)
"""Periods of cover at which the moving mean of 13 is replayed."""


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A policy at one setting: its fill rate, and the stock it held.

    ``held`` is the mean over the ends of the periods, in units, or in money where prices are known.
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
    """Replay each policy at each of its settings from period ``start``; score from ``counted`` on.

    With a ``price`` for each series the predictive model first holds the unit that sells most per
    peso, and its settings are the sales that a peso must bring.
    """
    points = []
    for kind, setting, policy in _policy_settings(panel, terms, start, days, price):
        outcomes = [
            o for o in replay_policy(panel, policy, terms, stock, start) if o.period >= counted
        ]
        held = [float((o.left if price is None else o.left * price).sum()) for o in outcomes]
        points.append(
            FrontierPoint(
                kind,
                setting,
                score_outcomes(outcomes, terms).fill_rate,
                math.fsum(held) / max(len(held), 1),
            )
        )
    return points


def interpolate_stock(points: Sequence[FrontierPoint], fill_rate: float) -> float:
    """Return the stock that the policy of ``points`` holds at ``fill_rate``, interpolated."""
    ascending = sorted(points, key=lambda point: point.fill_rate)
    return float(
        np.interp(fill_rate, [p.fill_rate for p in ascending], [p.held for p in ascending])
    )


def interpolate_fill_rate(points: Sequence[FrontierPoint], held: float) -> float:
    """Return the fill rate of the policy of ``points`` where it holds ``held``, interpolated."""
    ascending = sorted(points, key=lambda point: point.held)
    return float(np.interp(held, [p.held for p in ascending], [p.fill_rate for p in ascending]))


def _policy_settings(
    panel: Panel, terms: OrderTerms, start: int, days: float, price: Floats | None
) -> Iterator[tuple[PolicyKind, float, OrderPolicy]]:
    """Yield each policy with its kind and setting."""
    predictive = PredictivePolicy.for_periods(terms, days)
    # Scenarios depend on the period only, so every service level shares them.
    known = {
        period: predictive.simulate_demand(panel.truncate_at(period))
        for period in range(start, panel.periods, terms.review)
    }
    for aim in SERVICE_LEVELS:
        if price is None:
            yield PolicyKind.IPP, aim, ScenarioPolicy(terms, aim, known)
        else:
            # A series is held up to the unit whose chance of selling, per peso, is at least
            # ``least``, so its service level is 1 - least × price. With aim 0.9 and a median price
            # of 50, least is 0.002: a product of 20 MXN is held at 0.96, one of 500 not at all.
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
