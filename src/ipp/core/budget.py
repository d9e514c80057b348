"""Fit to the investment by marginal analysis: the next peso goes where it is expected to sell most.

The k-th unit of a product is sold with P(demand >= k), which never rises with k, so taking units in order of
that chance per peso serves the most demand that the money can (Everett 1963; Fox 1966). Every unit in question
is listed, sorted and added up at once; there is no loop over units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ipp.core.demand import Demand
from ipp.core.parameters import MIN_CHANCE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be bought: n products with the units they start from and the least they may end at.

    ``price`` is per unit and ``pack`` the units of one step; ``open`` is false for what is not stocked at all.
    Money is in ten-thousandths of a peso.
    """

    demand: Demand
    start: Ints
    least: Ints
    price: Ints
    pack: Ints
    open: Flags

    @property
    def step_cost(self) -> Ints:
        """Money of one step of each product."""
        return self.price * self.pack


@dataclass(frozen=True, slots=True)
class _Steps:
    """Single steps up or down, as parallel arrays: the product, its units after the step, what it is worth."""

    product: Ints
    units: Ints
    worth: Floats
    cost: Ints

    def in_order(self, order: npt.NDArray[np.intp]) -> _Steps:
        return _Steps(self.product[order], self.units[order], self.worth[order], self.cost[order])


def fit(offer: Offer, target: int) -> Ints:
    """Give back the units of each product whose money comes nearest to ``target`` without passing it.

    What stays unspent is less than one step of the cheapest product that may still grow. Where even the
    ``least`` of every product costs more than the target, that least is what is given back.
    """
    units = offer.start.copy()
    excess = int(np.where(offer.open, units * offer.price, 0).sum()) - target
    if excess > 0:
        units = _take_away(offer, units, excess)
    left = target - int(np.where(offer.open, units * offer.price, 0).sum())
    return _add(offer, units, left) if left > 0 else units


def _take_away(offer: Offer, units: Ints, excess: int) -> Ints:
    """Remove steps, those that sell least per peso first, until ``excess`` is gone or nothing may go."""
    steps = np.where(offer.open, (units - offer.least) // offer.pack, 0)
    listed = _listed(offer, steps, units, direction=-1)
    listed = listed.in_order(np.lexsort((-listed.units, listed.product, listed.worth)))
    before = np.cumsum(listed.cost) - listed.cost
    gone = before < excess
    return units - _count(listed, gone, len(units)) * offer.pack


def _add(offer: Offer, units: Ints, left: int) -> Ints:
    """Add steps, those that sell most per peso first, as long as one fits into what is ``left``."""
    affordable = offer.open & (offer.step_cost > 0) & (offer.step_cost <= left)
    steps = np.where(affordable, np.minimum(_useful(offer, units), left // np.maximum(offer.step_cost, 1)), 0)
    listed = _listed(offer, steps, units, direction=1)
    listed = listed.in_order(np.lexsort((listed.units, listed.product, -listed.worth)))
    while len(listed.product):
        spent = np.cumsum(listed.cost)
        fits = int(np.searchsorted(spent, left, side="right"))
        units = units + _count(listed, np.arange(len(spent)) < fits, len(units)) * offer.pack
        left -= int(spent[fits - 1]) if fits else 0
        # A step that does not fit now never will, nor will any later one of its product: the price is the same.
        rest = np.flatnonzero(listed.cost[fits:] <= left) + fits
        listed = listed.in_order(rest)
    return units


def _listed(offer: Offer, steps: Ints, units: Ints, *, direction: int) -> _Steps:
    """List every step of every product: ``steps`` of them from ``units`` up or down."""
    product = np.repeat(np.arange(len(units)), steps)
    number = np.arange(len(product)) - np.repeat(np.cumsum(steps) - steps, steps) + 1
    pack = offer.pack[product]
    after = units[product] + direction * number * pack
    low, high = (after - pack, after) if direction > 0 else (after, after + pack)
    demand = offer.demand.take(product)
    single = demand.reaches(high)
    sold = np.where(pack == 1, single, demand.expected_sales(high) - demand.expected_sales(low))
    cost = offer.step_cost[product]
    return _Steps(product, after, sold / np.maximum(cost, 1), cost)


def _useful(offer: Offer, units: Ints) -> Ints:
    """Steps of each product until a further unit would be asked for less often than `MIN_CHANCE`."""
    low, high = units, units + offer.pack
    while np.any(growing := offer.demand.reaches(high) >= MIN_CHANCE):
        low, high = np.where(growing, high, low), np.where(growing, 2 * high, high)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        enough = offer.demand.reaches(middle) >= MIN_CHANCE
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return (low - units) // offer.pack


def _count(steps: _Steps, chosen: Flags, n: int) -> Ints:
    return np.bincount(steps.product[chosen], minlength=n).astype(np.int64)
