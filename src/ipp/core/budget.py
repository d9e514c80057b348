"""Fit to the investment by marginal analysis: the next peso goes where it is expected to earn most.

The k-th unit of a product is sold with P(demand >= k), which never rises with k, so taking units in order of
that chance times what a sale is worth, per peso, is the best that the money can do (Everett 1963; Fox 1966). Every
unit in question is listed, sorted and added up at once; there is no loop over units.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ipp.core.demand import Demand
from ipp.core.parameters import MIN_CHANCE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNLIMITED = np.iinfo(np.int64).max // 4
"""The most of a product that has no most."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be bought: n products with the units they start from, and the least and the most they may end at.

    ``price`` is per unit and ``pack`` the units of one step; ``open`` is false for what is not stocked at all;
    ``worth`` is what one sale is worth, in any unit. Money is in ten-thousandths of a peso.
    """

    demand: Demand
    start: Ints
    least: Ints
    most: Ints
    price: Ints
    pack: Ints
    open: Flags
    worth: Floats

    @property
    def step_cost(self) -> Ints:
        """Money of one step of each product."""
        return self.price * self.pack

    def cost(self, units: Ints) -> int:
        """Money of ``units`` of each product."""
        return int((units * self.price).sum())

    def value(self, units: Ints) -> float:
        """What holding ``units`` of each product is expected to earn."""
        return float((self.worth * self.demand.expected_sales(units)).sum())


@dataclass(frozen=True, slots=True)
class Fit:
    """The units of each product, and what no other units could pass.

    ``value`` is what they are expected to earn, ``bound`` what they would if the last step could be bought in part:
    the optimum of the linear relaxation over the same starting units.
    """

    units: Ints
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """The part of the bound that is not reached, from 0."""
        return max(0.0, 1 - self.value / self.bound) if self.bound > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Steps:
    """Single steps as parallel arrays: product, units after the step, what of it is sold, what that earns, cost."""

    product: Ints
    units: Ints
    sold: Floats
    earned: Floats
    cost: Ints

    @property
    def per_peso(self) -> Floats:
        return self.earned / np.maximum(self.cost, 1)

    def take(self, order: npt.NDArray[np.intp]) -> _Steps:
        return _Steps(*(getattr(self, item.name)[order] for item in fields(self)))


def fit(offer: Offer, target: int) -> Fit:
    """Give back the units of each product whose money comes nearest to ``target`` without passing it.

    What stays unspent is less than one step of the cheapest product that may still grow. Where even the
    ``least`` of every product costs more than the target, that least is what is given back.
    """
    units = np.where(offer.open, offer.start, 0)
    excess = offer.cost(units) - target
    if excess > 0:
        units = _take_away(offer, units, excess)
    left = target - offer.cost(units)
    if left <= 0:
        value = offer.value(units)
        return Fit(units, value, value)
    steps = _upwards(offer, units, left)
    before = offer.value(units)
    bound = before + _relaxed(steps, left)
    bought = _bought(steps, left)
    count = np.bincount(steps.product[bought], minlength=len(units)).astype(np.int64)
    return Fit(units + count * offer.pack, before + float(steps.earned[bought].sum()), bound)


def frontier(offer: Offer, points: int) -> tuple[Ints, Floats]:
    """What each sum of money would sell: at most ``points`` of them, from the ``least`` of all to all that sells.

    Gives money and the units expected to be sold where it is spent where it earns most, both rising.
    """
    units = np.where(offer.open, offer.least, 0)
    steps = _upwards(offer, units, UNLIMITED)
    spent = offer.cost(units) + np.concatenate([[0], np.cumsum(steps.cost)])
    sold = float(offer.demand.expected_sales(units).sum()) + np.concatenate([[0.0], np.cumsum(steps.sold)])
    shown = np.unique(np.searchsorted(spent, np.linspace(spent[0], spent[-1], points)).clip(0, len(spent) - 1))
    return spent[shown], sold[shown]


def _take_away(offer: Offer, units: Ints, excess: int) -> Ints:
    """Remove steps, those that earn least per peso first, until ``excess`` is gone or nothing may go."""
    count: Ints = np.where(offer.open, (units - offer.least) // offer.pack, 0)
    lowest: Ints = units - count * offer.pack
    steps = _listed(offer, lowest, count)
    steps = steps.take(np.lexsort((-steps.units, steps.product, steps.per_peso)))
    gone = np.cumsum(steps.cost) - steps.cost < excess
    return units - np.bincount(steps.product[gone], minlength=len(units)).astype(np.int64) * offer.pack


def _upwards(offer: Offer, units: Ints, left: int) -> _Steps:
    """Every step up that may be worth its money and costs no more than ``left``, what earns most per peso first."""
    # A pack is worth looking at where its first unit is: what it earns per peso says the rest.
    packs = -(-(offer.demand.quantile(1 - MIN_CHANCE) - units) // offer.pack)
    useful = np.minimum(packs, (offer.most - units) // offer.pack)
    allowed = offer.open & (offer.step_cost > 0) & (offer.step_cost <= left)
    count = np.where(allowed, np.clip(useful, 0, left // np.maximum(offer.step_cost, 1)), 0)
    steps = _listed(offer, units, count)
    return steps.take(np.argsort(-steps.per_peso, kind="stable"))  # they are listed by product and units


def _bought(steps: _Steps, left: int) -> npt.NDArray[np.intp]:
    """The steps that are bought with what is ``left``: in their order, each that still fits."""
    bought, rest = [], np.arange(len(steps.cost))
    while len(rest):
        spent = np.cumsum(steps.cost[rest])
        fits = int(np.searchsorted(spent, left, side="right"))
        bought.append(rest[:fits])
        left -= int(spent[fits - 1]) if fits else 0
        # A step that does not fit now never will, nor will any later one of its product: the price is the same.
        rest = rest[fits:]
        rest = rest[steps.cost[rest] <= left]
    return np.concatenate(bought) if bought else rest


def _relaxed(steps: _Steps, left: int) -> float:
    """What ``left`` could earn at most, if a step could be bought in part."""
    spent = np.cumsum(steps.cost)
    whole = int(np.searchsorted(spent, left, side="right"))
    earned = float(steps.earned[:whole].sum())
    if whole == len(spent):
        return earned
    rest = left - (int(spent[whole - 1]) if whole else 0)
    return earned + float(steps.earned[whole]) * rest / int(steps.cost[whole])


def _listed(offer: Offer, units: Ints, count: Ints) -> _Steps:
    """List ``count`` steps of each product upwards from ``units``."""
    cells = count * offer.pack
    chances = offer.demand.chances(units + cells)
    first = np.cumsum(units + cells) - cells
    inside = np.arange(int(cells.sum())) + np.repeat(first - (np.cumsum(cells) - cells), cells)
    product = np.repeat(np.arange(len(units)), count)
    number = np.arange(len(product)) - np.repeat(np.cumsum(count) - count, count) + 1
    pack = offer.pack[product]
    sold = np.add.reduceat(chances[inside], np.cumsum(pack) - pack) if len(pack) else np.zeros(0)
    return _Steps(product, units[product] + number * pack, sold, offer.worth[product] * sold, offer.step_cost[product])
