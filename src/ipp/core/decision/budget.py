"""Fit stock to a budget by marginal analysis: the next peso goes where it is expected to earn most.

The k-th unit of a product is sold with probability P(demand >= k), which never increases with k.
So taking units by descending probability times value of a sale, per peso, is the best use of the
money (Everett 1963; Fox 1966). All candidate units are enumerated, sorted and summed in array
operations, without a loop over units. If they are too many for memory, the products that sell most
are enumerated in blocks of units.
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
"""Maximum of a product without a limit."""

MAX_LISTED_UNITS = 1 << 21
"""Maximum number of units enumerated one by one over all products, at some 200 bytes each."""


@dataclass(frozen=True, slots=True)
class AllocationProblem:
    """Budget problem of n products: ``start`` units, and the ``minimum`` and ``maximum`` of each.

    ``price`` is per unit and ``pack`` the units of one step; ``eligible`` is false for products
    that are not stocked at all; ``unit_value`` is the value of one sale, in any unit; ``useful``
    is what `useful_units` gives of ``demand``. Money is in ten-thousandths of a peso.
    """

    demand: Demand
    useful: Ints
    start: Ints
    minimum: Ints
    maximum: Ints
    price: Ints
    pack: Ints
    eligible: Flags
    unit_value: Floats

    def select(self, rows: slice) -> AllocationProblem:
        """Return the problem of the products ``rows`` alone."""
        return AllocationProblem(*(getattr(self, item.name)[rows] for item in fields(self)))

    @property
    def step_cost(self) -> Ints:
        """Cost of one step of each product."""
        return self.price * self.pack

    def total_cost(self, units: Ints) -> int:
        """Return the cost of ``units`` of each product."""
        return int((units * self.price).sum())

    def expected_value(self, units: Ints) -> float:
        """Return the expected value of the sales when ``units`` of each product are held."""
        return float((self.unit_value * self.demand.expected_sales(units)).sum())


def useful_units(demand: Demand) -> Ints:
    """Return the most units of each product of which the last is sold likely enough, shape n.

    The chance of selling one more is below `MIN_CHANCE`.
    """
    return demand.quantile(1 - MIN_CHANCE)


@dataclass(frozen=True, slots=True)
class BudgetFit:
    """Units of each product, their expected ``value``, and an upper ``bound`` of it.

    The bound allows the last step to be bought in part: it is the optimum of the linear relaxation
    from the same starting units.
    """

    units: Ints
    value: float
    bound: float

    @property
    def optimality_gap(self) -> float:
        """Gap between the value and the bound, as a part of the bound, at least 0."""
        return max(0.0, 1 - self.value / self.bound) if self.bound > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _UnitSteps:
    """Blocks of ``times`` equal steps of a product, nearly always one, as parallel arrays.

    ``units`` is the total after the block, ``sold`` its expected sales, ``earned`` the value of
    those, ``cost`` the cost of the whole block.
    """

    product: Ints
    units: Ints
    sold: Floats
    earned: Floats
    cost: Ints
    times: Ints

    @property
    def step_cost(self) -> Ints:
        """Cost of one step of each block."""
        return self.cost // self.times

    @property
    def value_per_peso(self) -> Floats:
        """Value of each block per unit of money."""
        return self.earned / np.maximum(self.cost, 1)

    def select(self, order: npt.NDArray[np.intp]) -> _UnitSteps:
        """Return the blocks ``order``, in that order."""
        return _UnitSteps(*(getattr(self, item.name)[order] for item in fields(self)))


def fit_units(offer: AllocationProblem, target: int) -> Ints:
    """Return the units of each product whose cost is nearest to ``target`` without exceeding it.

    The rest is less than one step of the cheapest product that may still grow. If the ``minimum``
    of all products already costs more than the target, that minimum is returned.
    """
    units, steps, left = _open_budget(offer, target)
    return units + _bought_units(offer, steps, *_affordable_steps(steps, left))


def fit_budget(offer: AllocationProblem, target: int) -> BudgetFit:
    """Return `fit_units`, with the value that they are expected to earn and its upper bound."""
    units, steps, left = _open_budget(offer, target)
    before = offer.expected_value(units)
    bought, times = _affordable_steps(steps, left)
    earned = steps.earned[bought] * (times / steps.times[bought])
    return BudgetFit(
        units=units + _bought_units(offer, steps, bought, times),
        value=before + float(earned.sum()),
        bound=before + _fractional_bound(steps, left),
    )


def _open_budget(offer: AllocationProblem, target: int) -> tuple[Ints, _UnitSteps, int]:
    """Return the units to start from, the steps that may be added, and the money left for them."""
    units = np.where(offer.eligible, offer.start, 0)
    excess = offer.total_cost(units) - target
    if excess > 0:
        units = _remove_units(offer, units, excess)
    left = max(target - offer.total_cost(units), 0)
    return units, _candidate_steps(offer, units, left), left


def _bought_units(
    offer: AllocationProblem, steps: _UnitSteps, bought: npt.NDArray[np.intp], times: Ints
) -> Ints:
    return _count_steps(steps.product[bought], times, len(offer.price)) * offer.pack


def investment_frontier(offer: AllocationProblem, points: int) -> tuple[Ints, Floats]:
    """Return at most ``points`` investments and the expected unit sales of each, both ascending.

    They go from the ``minimum`` of all products to all that is worth buying; each investment is
    spent where it earns most.
    """
    units = np.where(offer.eligible, offer.minimum, 0)
    steps = _candidate_steps(offer, units, UNLIMITED_UNITS)
    spent = offer.total_cost(units) + np.concatenate([[0], np.cumsum(steps.cost)])
    sold = float(offer.demand.expected_sales(units).sum()) + np.concatenate(
        [[0.0], np.cumsum(steps.sold)]
    )
    index = np.unique(
        np.searchsorted(spent, np.linspace(spent[0], spent[-1], points)).clip(0, len(spent) - 1)
    )
    return spent[index], sold[index]


def _remove_units(offer: AllocationProblem, units: Ints, excess: int) -> Ints:
    """Remove steps by ascending value per peso, down to the minimum, until ``excess`` is gone."""
    count: Ints = np.where(offer.eligible, (units - offer.minimum) // offer.pack, 0)
    lowest: Ints = units - count * offer.pack
    steps = _enumerate_steps(offer, lowest, count)
    steps = steps.select(np.lexsort((-steps.units, steps.product, steps.value_per_peso)))
    remaining = excess - (np.cumsum(steps.cost) - steps.cost)
    removed = np.flatnonzero(remaining > 0)
    # Remove only as many steps of the last block as are needed: an excess of 250 and steps of 100
    # take ceil(250 / 100) = 3.
    times = np.minimum(
        steps.times[removed], -(-remaining[removed] // np.maximum(steps.step_cost[removed], 1))
    )
    return units - _count_steps(steps.product[removed], times, len(units)) * offer.pack


def _candidate_steps(offer: AllocationProblem, units: Ints, left: int) -> _UnitSteps:
    """Return the steps worth buying that cost at most ``left``, by descending value per peso."""
    # A pack is a candidate if its first unit is likely enough; its value per peso decides the rest.
    packs = -(-(offer.useful - units) // offer.pack)
    useful = np.minimum(packs, (offer.maximum - units) // offer.pack)
    allowed = offer.eligible & (offer.step_cost > 0) & (offer.step_cost <= left)
    count = np.where(allowed, np.clip(useful, 0, left // np.maximum(offer.step_cost, 1)), 0)
    steps = _enumerate_steps(offer, units, count)
    # A stable sort leaves ties by product and units, the order in which they are enumerated.
    return steps.select(np.argsort(-steps.value_per_peso, kind="stable"))


def _affordable_steps(steps: _UnitSteps, left: int) -> tuple[npt.NDArray[np.intp], Ints]:
    """Return the blocks that ``left`` buys, in their order, and how many steps of each fit.

    With 10 left and steps that cost 6, 5, 3 and 1, the first fits and leaves 4, the second never
    will, and the last two fit after it.
    """
    bought, times, rest = [], [], np.arange(len(steps.cost))
    while len(rest):
        spent = np.cumsum(steps.cost[rest])
        fits = int(np.searchsorted(spent, left, side="right"))
        bought.append(rest[:fits])
        times.append(steps.times[rest[:fits]])
        left -= int(spent[fits - 1]) if fits else 0
        rest = rest[fits:]
        part = rest[:1]
        fitting = left // steps.step_cost[part]
        if fitting.any():
            bought.append(part)
            times.append(fitting)
            left -= int((fitting * steps.step_cost[part]).sum())
        # A step that does not fit now never will, nor will a later one of its product, which costs
        # the same: dropping all of them keeps the rounds few.
        rest = rest[steps.step_cost[rest] <= left]
    return (np.concatenate(bought), np.concatenate(times)) if bought else (rest, steps.times[rest])


def _count_steps(product: Ints, times: Ints, products: int) -> Ints:
    """Return the number of steps of each product in the blocks, shape ``products``."""
    count: Ints = np.bincount(product, times, products).astype(np.int64)
    return count


def _fractional_bound(steps: _UnitSteps, left: int) -> float:
    """Return the value that ``left`` could earn if a step could be bought in part."""
    spent = np.cumsum(steps.cost)
    whole = int(np.searchsorted(spent, left, side="right"))
    earned = float(steps.earned[:whole].sum())
    if whole == len(spent):
        return earned
    rest = left - (int(spent[whole - 1]) if whole else 0)
    return earned + float(steps.earned[whole]) * rest / int(steps.cost[whole])


def _enumerate_steps(offer: AllocationProblem, units: Ints, count: Ints) -> _UnitSteps:
    """Enumerate ``count`` steps of each product up from ``units``, in blocks if too many."""
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
    """Return the most units of a product that are enumerated one by one.

    It is the largest of ``size`` if all fit into `MAX_LISTED_UNITS`, else a number so small that
    they do.
    """
    cap = max(int(size.max(initial=0)), 1)
    while cap > 1 and np.minimum(size, cap).sum() > MAX_LISTED_UNITS:
        cap = min(cap, MAX_LISTED_UNITS) // 2
    return cap


def _enumerate_single_steps(offer: AllocationProblem, units: Ints, count: Ints) -> _UnitSteps:
    """Enumerate each step on its own."""
    cells = count * offer.pack
    most = np.where(count > 0, units + cells, 0)
    chances = offer.demand.survival_table(most)
    first = np.cumsum(most) - cells
    # ``inside`` indexes the chances of the units above ``units``: a product held at 2 with 3 steps
    # of 1 takes those of its units 3, 4 and 5. The sum over each pack is what a step sells.
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
    """Enumerate the steps of products ``those`` in at most ``most`` nearly equal blocks each.

    10 steps in 4 blocks end after 2, 5, 7 and 10 steps.
    """
    blocks = np.minimum(count[those], most)[:, None]
    ends = np.minimum(np.arange(int(blocks.max()) + 1), blocks)
    # The quotient is taken first, because steps times blocks may overflow 64 bits.
    whole, rest = np.divmod(count[those][:, None], blocks)
    after = ends * whole + ends * rest // blocks
    held = units[those][:, None] + after * offer.pack[those][:, None]
    exists = np.diff(ends, axis=1) > 0
    product = np.repeat(those, exists.sum(axis=1))
    times = np.diff(after, axis=1)[exists]
    sold = np.maximum(np.diff(offer.demand.select(those).sales_curve(held), axis=1), 0.0)[exists]
    cost = times * offer.step_cost[product]
    return _UnitSteps(
        product, held[:, 1:][exists], sold, offer.unit_value[product] * sold, cost, times
    )
