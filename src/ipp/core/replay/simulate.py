"""Replaying history: what a policy would have ordered, held and lost, period by period.

At each review the policy sees the past and the stock, never the periods to come; what it orders arrives after the
lead time; what is asked for and not there is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ipp.core.predictive.panel import Floats, Ints, Panel


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """How stock is ordered and what it costs.

    There is a decision every ``review`` periods; an order decided before period t begins arrives before period
    t + ``lead`` begins. ``holding`` is for a unit left at the end of a period, ``shortage`` for a unit asked for and
    not served, in one money.
    """

    review: int = 1
    lead: int = 2
    holding: float = 0.2
    shortage: float = 1.0

    @property
    def horizon(self) -> int:
        """Periods from a decision to the end of the last that its order serves."""
        return self.lead + self.review

    @property
    def critical_ratio(self) -> float:
        """The chance of being enough at which one unit more costs as much as one less (the newsvendor's).

        A unit too many is held for all the periods that an order serves.
        """
        return self.shortage / (self.shortage + self.holding * self.review)


@dataclass(frozen=True, slots=True)
class StockPosition:
    """Units of n series: on hand, and what arrives at the start of this period and of those after it.

    ``coming`` is n × the lead time, or wider where more is known to come.
    """

    on_hand: Floats
    in_transit: Floats

    @property
    def position(self) -> Floats:
        """All that was ordered and not sold."""
        total: Floats = self.on_hand + self.in_transit.sum(axis=1)
        return total

    @classmethod
    def empty(cls, n: int, lead: int) -> StockPosition:
        """Nothing on hand and nothing on its way."""
        return cls(np.zeros(n), np.zeros((n, lead)))


class OrderPolicy(Protocol):
    """Decides what to order."""

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Units of each series to order now, shape n; ``past`` ends with the last period before the decision."""
        ...


@dataclass(frozen=True, slots=True)
class PeriodOutcome:
    """What happened in one period, units of each of n series.

    ``left`` is on hand at its end, ``ordered`` what was decided before it began.
    """

    period: int
    ordered: Ints
    demand: Floats
    served: Floats
    left: Floats

    def cost(self, terms: OrderTerms) -> float:
        """Money for what was left and for what was not served."""
        missed = float((self.demand - self.served).sum())
        return terms.holding * float(self.left.sum()) + terms.shortage * missed


def replay_policy(
    panel: Panel, policy: OrderPolicy, terms: OrderTerms, stock: StockPosition, start: int
) -> Iterator[PeriodOutcome]:
    """Let ``policy`` decide from period ``start`` (counted from 0) to the last one, beginning with ``stock``.

    In a period that was not seen, what was sold is taken as what was asked for.
    """
    on_hand, coming = stock.on_hand, stock.in_transit
    for period in range(start, panel.periods):
        ordered = np.zeros(len(panel), dtype=np.int64)
        if (period - start) % terms.review == 0:
            ordered = policy.order(panel.truncate_at(period), StockPosition(on_hand, coming))
        arriving = np.column_stack([coming, np.zeros(len(panel))])
        arriving[:, terms.lead] += ordered
        demand = panel.units[:, period]
        available = on_hand + arriving[:, 0]
        served = np.minimum(available, demand)
        on_hand, coming = available - served, arriving[:, 1:]
        yield PeriodOutcome(period, ordered, demand, served, on_hand)


@dataclass(frozen=True, slots=True)
class ReplayScore:
    """What the outcomes of some periods come to: money by period, units in all, and what was held on average."""

    costs: tuple[float, ...]
    demand: float
    served: float
    held: float
    ordered: int

    @property
    def cost(self) -> float:
        """Money of all periods."""
        return math.fsum(self.costs)

    @property
    def fill_rate(self) -> float:
        """The part of demand that was served; 1 where there was none."""
        return self.served / self.demand if self.demand else 1.0


def score_outcomes(outcomes: Iterable[PeriodOutcome], terms: OrderTerms) -> ReplayScore:
    """Add up ``outcomes``."""
    costs, demand, served, held, ordered = [], [], [], [], 0
    for outcome in outcomes:
        costs.append(outcome.cost(terms))
        demand.append(float(outcome.demand.sum()))
        served.append(float(outcome.served.sum()))
        held.append(float(outcome.left.sum()))
        ordered += int(outcome.ordered.sum())
    return ReplayScore(
        costs=tuple(costs),
        demand=math.fsum(demand),
        served=math.fsum(served),
        held=math.fsum(held) / max(len(held), 1),
        ordered=ordered,
    )
