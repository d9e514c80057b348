"""Replay of history under a policy, period by period, with lost sales.

At each review the policy sees the past and the stock, never the future; its order arrives after the
lead time; demand beyond the stock is lost.
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
    """Review period, lead time and unit costs of an ordering policy.

    There is a decision every ``review`` periods; an order decided before period t begins arrives
    before period t + ``lead`` begins. ``holding`` is the cost of a unit left at the end of a
    period, ``shortage`` of a unit of demand not served, both in the same currency.
    """

    review: int = 1
    lead: int = 2
    holding: float = 0.2
    shortage: float = 1.0

    @property
    def horizon(self) -> int:
        """Periods from a decision to the end of the last period that its order serves."""
        return self.lead + self.review

    @property
    def critical_ratio(self) -> float:
        """The newsvendor's critical ratio: underage cost over underage plus overage cost.

        A unit too many is held for all ``review`` periods that an order serves.
        """
        return self.shortage / (self.shortage + self.holding * self.review)


@dataclass(frozen=True, slots=True)
class StockPosition:
    """Units of n series on hand and in transit.

    ``in_transit`` is n × the lead time, or wider where later arrivals are known: column k arrives
    at the start of the k-th period from this one on.
    """

    on_hand: Floats
    in_transit: Floats

    @property
    def position(self) -> Floats:
        """Inventory position: units on hand plus units in transit, shape n."""
        total: Floats = self.on_hand + self.in_transit.sum(axis=1)
        return total

    @classmethod
    def empty(cls, n: int, lead: int) -> StockPosition:
        """Return a position with nothing on hand and nothing in transit."""
        return cls(np.zeros(n), np.zeros((n, lead)))


class OrderPolicy(Protocol):
    """A rule that decides what to order."""

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Return the units of each series to order, shape n.

        ``past`` ends with the last period before the decision.
        """
        ...


@dataclass(frozen=True, slots=True)
class PeriodOutcome:
    """Units ordered, demanded, served and left in one period, each of shape n.

    ``left`` is on hand at its end, ``ordered`` was decided before it began.
    """

    period: int
    ordered: Ints
    demand: Floats
    served: Floats
    left: Floats

    def cost(self, terms: OrderTerms) -> float:
        """Return the holding cost of the units left plus the shortage cost of those not served."""
        missed = float((self.demand - self.served).sum())
        return terms.holding * float(self.left.sum()) + terms.shortage * missed


def replay_policy(
    panel: Panel, policy: OrderPolicy, terms: OrderTerms, stock: StockPosition, start: int
) -> Iterator[PeriodOutcome]:
    """Yield the outcome of each period from ``start`` (from 0) on, ordering by ``policy``.

    The replay begins with ``stock``. Recorded sales are taken as demand, also in a period that was
    not observed.
    """
    on_hand, in_transit = stock.on_hand, stock.in_transit
    for period in range(start, panel.periods):
        ordered = np.zeros(len(panel), dtype=np.int64)
        if (period - start) % terms.review == 0:
            ordered = policy.order(panel.truncate_at(period), StockPosition(on_hand, in_transit))
        # A zero column keeps the width after the first one arrives. With a lead time of 2, units in
        # transit 4, 1 and an order of 6 give 4, 1, 6: the 4 arrive now and 1, 6 stay in transit.
        arriving = np.column_stack([in_transit, np.zeros(len(panel))])
        arriving[:, terms.lead] += ordered
        demand = panel.units[:, period]
        available = on_hand + arriving[:, 0]
        served = np.minimum(available, demand)
        on_hand, in_transit = available - served, arriving[:, 1:]
        yield PeriodOutcome(period, ordered, demand, served, on_hand)


@dataclass(frozen=True, slots=True)
class ReplayScore:
    """The cost of each period, the total units, and the mean stock held, of several outcomes."""

    costs: tuple[float, ...]
    demand: float
    served: float
    held: float
    ordered: int

    @property
    def cost(self) -> float:
        """Total cost of all periods."""
        return math.fsum(self.costs)

    @property
    def fill_rate(self) -> float:
        """Part of demand that was served; 1 without demand."""
        return self.served / self.demand if self.demand else 1.0


def score_outcomes(outcomes: Iterable[PeriodOutcome], terms: OrderTerms) -> ReplayScore:
    """Return the score of ``outcomes``."""
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
