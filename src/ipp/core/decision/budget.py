"""Fit to the investment by marginal analysis: the next peso goes where it is expected to earn most.

The k-th unit of a product is sold with P(demand >= k), which never rises with k, so taking units in order of
that chance times what a sale is worth, per peso, is the best that the money can do (Everett 1963; Fox 1966). Every
unit in question is listed, sorted and added up at once; there is no loop over units. Where there are more than memory
should hold, the products that sell most are listed by blocks of units instead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ipp.core.decision.demand import Demand
from ipp.core.parameters import MIN_CHANCE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNLIMITED_UNITS = np.iinfo(np.int64).max // 4
"""The most of a product that has no most."""

MAX_LISTED_UNITS = 1 << 21
"""Units that are listed one by one, at most, over all products; each takes some 200 bytes on the way."""


@dataclass(frozen=True, slots=True)
class AllocationProblem:
    """What may be bought: n products with the units they start from, and the least and the most they may end at.

    ``price`` is per unit and ``pack`` the units of one step; ``open`` is false for what is not stocked at all;
    ``worth`` is what one sale is worth, in any unit. Money is in ten-thousandths of a peso.
    """

    demand: Demand
    start: Ints
    minimum: Ints
    maximum: Ints
    price: Ints
    pack: Ints
    eligible: Flags
    unit_value: Floats

    @property
    def step_cost(self) -> Ints:
        """Money of one step of each product."""
        return self.price * self.pack

    def total_cost(self, units: Ints) -> int:
        """Money of ``units`` of each product."""
        return int((units * self.price).sum())

    def expected_value(self, units: Ints) -> float:
        """What holding ``units`` of each product is expected to earn."""
        return float((self.unit_value * self.demand.expected_sales(units)).sum())


@dataclass(frozen=True, slots=True)
class BudgetFit:
    """The units of each product, and what no other units could pass.

    ``value`` is what they are expected to earn, ``bound`` what they would if the last step could be bought in part:
    the optimum of the linear relaxation over the same starting units.
    """

    units: Ints
    value: float
    bound: float

    @property
    def optimality_gap(self) -> float:
        """The part of the bound that is not reached, from 0."""
        return max(0.0, 1 - self.value / self.bound) if self.bound > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _UnitSteps:
    """Blocks of ``times`` equal steps of a product, nearly always of one, as parallel arrays.

    ``units`` are those after the block, ``sold`` what of it is sold, ``earned`` what that earns, ``cost`` its money.
    """

    product: Ints
    units: Ints
    sold: Floats
    earned: Floats
    cost: Ints
    times: Ints

    @property
    def step_cost(self) -> Ints:
        """Money of one step of each block."""
        return self.cost // self.times

    @property
    def value_per_peso(self) -> Floats:
        return self.earned / np.maximum(self.cost, 1)

    def select(self, order: npt.NDArray[np.intp]) -> _UnitSteps:
        return _UnitSteps(*(getattr(self, item.name)[order] for item in fields(self)))


def fit_budget(offer: AllocationProblem, target: int) -> BudgetFit:
    """Give back the units of each product whose money comes nearest to ``target`` without passing it.

    What stays unspent is less than one step of the cheapest product that may still grow. Where even the
    ``least`` of every product costs more than the target, that least is what is given back.
    """
    units = np.where(offer.eligible, offer.start, 0)
    excess = offer.total_cost(units) - target
    if excess > 0:
        units = _remove_units(offer, units, excess)
    left = target - offer.total_cost(units)
    if left <= 0:
        value = offer.expected_value(units)
        return BudgetFit(units, value, value)
    steps = _candidate_steps(offer, units, left)
    before = offer.expected_value(units)
    bound = before + _fractional_bound(steps, left)
    bought, times = _affordable_steps(steps, left)
    count = _count_steps(steps.product[bought], times, len(units))
    earned = steps.earned[bought] * (times / steps.times[bought])
    return BudgetFit(units + count * offer.pack, before + float(earned.sum()), bound)


def investment_frontier(offer: AllocationProblem, points: int) -> tuple[Ints, Floats]:
    """What each sum of money would sell: at most ``points`` of them, from the ``least`` of all to all that sells.

    Gives money and the units expected to be sold where it is spent where it earns most, both rising.
    """
    units = np.where(offer.eligible, offer.minimum, 0)
    steps = _candidate_steps(offer, units, UNLIMITED_UNITS)
    spent = offer.total_cost(units) + np.concatenate([[0], np.cumsum(steps.cost)])
    sold = float(offer.demand.expected_sales(units).sum()) + np.concatenate(
        [[0.0], np.cumsum(steps.sold)]
    )
    shown = np.unique(
        np.searchsorted(spent, np.linspace(spent[0], spent[-1], points)).clip(0, len(spent) - 1)
    )
    return spent[shown], sold[shown]


def _remove_units(offer: AllocationProblem, units: Ints, excess: int) -> Ints:
    """Remove steps, those that earn least per peso first, until ``excess`` is gone or nothing may go."""
    count: Ints = np.where(offer.eligible, (units - offer.minimum) // offer.pack, 0)
    lowest: Ints = units - count * offer.pack
    steps = _enumerate_steps(offer, lowest, count)
    steps = steps.select(np.lexsort((-steps.units, steps.product, steps.value_per_peso)))
    still = excess - (np.cumsum(steps.cost) - steps.cost)
    gone = np.flatnonzero(still > 0)
    # Of the last block only what is still missing.
    times = np.minimum(steps.times[gone], -(-still[gone] // np.maximum(steps.step_cost[gone], 1)))
    return units - _count_steps(steps.product[gone], times, len(units)) * offer.pack


def _candidate_steps(offer: AllocationProblem, units: Ints, left: int) -> _UnitSteps:
    """Every step up that may be worth its money and costs no more than ``left``, what earns most per peso first."""
    # A pack is worth looking at where its first unit is: what it earns per peso says the rest.
    packs = -(-(offer.demand.quantile(1 - MIN_CHANCE) - units) // offer.pack)
    useful = np.minimum(packs, (offer.maximum - units) // offer.pack)
    allowed = offer.eligible & (offer.step_cost > 0) & (offer.step_cost <= left)
    count = np.where(allowed, np.clip(useful, 0, left // np.maximum(offer.step_cost, 1)), 0)
    steps = _enumerate_steps(offer, units, count)
    return steps.select(
        np.argsort(-steps.value_per_peso, kind="stable")
    )  # they are listed by product and units


def _affordable_steps(steps: _UnitSteps, left: int) -> tuple[npt.NDArray[np.intp], Ints]:
    """The blocks that are bought with what is ``left``, in their order, and of each as many steps as still fit."""
    bought, times, rest = [], [], np.arange(len(steps.cost))
    while len(rest):
        spent = np.cumsum(steps.cost[rest])
        fits = int(np.searchsorted(spent, left, side="right"))
        bought.append(rest[:fits])
        times.append(steps.times[rest[:fits]])
        left -= int(spent[fits - 1]) if fits else 0
        rest = rest[fits:]
        part = rest[:1]
        some = left // steps.step_cost[part]
        if some.any():
            bought.append(part)
            times.append(some)
            left -= int((some * steps.step_cost[part]).sum())
        # A step that does not fit now never will, nor will any later one of its product: the price is the same.
        rest = rest[steps.step_cost[rest] <= left]
    return (np.concatenate(bought), np.concatenate(times)) if bought else (rest, steps.times[rest])


def _count_steps(product: Ints, times: Ints, products: int) -> Ints:
    """How many steps of each product there are in blocks."""
    count: Ints = np.bincount(product, times, products).astype(np.int64)
    return count


def _fractional_bound(steps: _UnitSteps, left: int) -> float:
    """What ``left`` could earn at most, if a step could be bought in part."""
    spent = np.cumsum(steps.cost)
    whole = int(np.searchsorted(spent, left, side="right"))
    earned = float(steps.earned[:whole].sum())
    if whole == len(spent):
        return earned
    rest = left - (int(spent[whole - 1]) if whole else 0)
    return earned + float(steps.earned[whole]) * rest / int(steps.cost[whole])


def _enumerate_steps(offer: AllocationProblem, units: Ints, count: Ints) -> _UnitSteps:
    """List ``count`` steps of each product upwards from ``units``, by blocks those that would be too many."""
    size = np.where(count > 0, units + count * offer.pack, 0)
    cap = _single_unit_limit(size)
    large = size > cap
    single = _enumerate_single_steps(offer, units, np.where(large, 0, count))
    if not large.any():
        return single
    blocks = _enumerate_blocks(offer, units, count, np.flatnonzero(large), cap)
    both = ((getattr(single, item.name), getattr(blocks, item.name)) for item in fields(_UnitSteps))
    return _UnitSteps(*map(np.concatenate, both))


def _single_unit_limit(size: Ints) -> int:
    """The most units of a product that are listed one by one: all where all are few, else so few that all fit."""
    cap = max(int(size.max(initial=0)), 1)
    while cap > 1 and np.minimum(size, cap).sum() > MAX_LISTED_UNITS:
        cap = min(cap, MAX_LISTED_UNITS) // 2
    return cap


def _enumerate_single_steps(offer: AllocationProblem, units: Ints, count: Ints) -> _UnitSteps:
    """List each step for itself."""
    cells = count * offer.pack
    most = np.where(count > 0, units + cells, 0)
    chances = offer.demand.survival_table(most)
    first = np.cumsum(most) - cells
    inside = np.arange(int(cells.sum())) + np.repeat(first - (np.cumsum(cells) - cells), cells)
    product = np.repeat(np.arange(len(units)), count)
    number = np.arange(len(product)) - np.repeat(np.cumsum(count) - count, count) + 1
    pack = offer.pack[product]
    sold = np.add.reduceat(chances[inside], np.cumsum(pack) - pack) if len(pack) else np.zeros(0)
    times = np.ones(len(product), dtype=np.int64)
    cost = offer.step_cost[product]
    return _UnitSteps(
        product, units[product] + number * pack, sold, offer.unit_value[product] * sold, cost, times
    )


def _enumerate_blocks(
    offer: AllocationProblem, units: Ints, count: Ints, those: Ints, most: int
) -> _UnitSteps:
    """List the steps of ``those`` products in at most ``most`` blocks each, all but equally long.

    10 steps in 4 blocks end after 2, 5, 7 and 10 steps.
    """
    blocks = np.minimum(count[those], most)[:, None]
    ends = np.minimum(np.arange(int(blocks.max()) + 1), blocks)
    # The quotient first: steps times blocks may pass 64 bits.
    whole, rest = np.divmod(count[those][:, None], blocks)
    after = ends * whole + ends * rest // blocks
    held = units[those][:, None] + after * offer.pack[those][:, None]
    there = np.diff(ends, axis=1) > 0
    product = np.repeat(those, there.sum(axis=1))
    times = np.diff(after, axis=1)[there]
    sold = np.maximum(np.diff(offer.demand.select(those).sales_curve(held), axis=1), 0.0)[there]
    cost = times * offer.step_cost[product]
    return _UnitSteps(
        product, held[:, 1:][there], sold, offer.unit_value[product] * sold, cost, times
    )
