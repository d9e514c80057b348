"""The fit to the investment: its laws, and one case by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.decision.budget import (
    MAX_LISTED_UNITS,
    UNLIMITED_UNITS,
    AllocationProblem,
    _remove_units,
    fit_budget,
    investment_frontier,
    useful_units,
)
from ipp.core.decision.demand import Demand
from ipp.core.parameters import MIN_CHANCE


@st.composite
def offers(draw: st.DrawFn) -> AllocationProblem:
    n = draw(st.integers(1, 12))

    def array(values: st.SearchStrategy[int]) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=np.int64)

    pack = array(st.sampled_from([1, 1, 1, 2, 6]))
    start = array(st.integers(0, 8)) * pack
    mean = array(st.integers(0, 3_000)) / 100
    open_ = array(st.integers(0, 5)) > 0
    demand = Demand.negative_binomial(mean, 3)
    return AllocationProblem(
        demand=demand,
        useful=useful_units(demand),
        start=np.where(open_, start, 0),
        minimum=np.where(open_, start * array(st.integers(0, 1)), 0),
        price=array(st.integers(1, 2_000)) * 100,
        pack=pack,
        eligible=open_,
        maximum=np.full(n, UNLIMITED_UNITS),
        unit_value=np.ones(n),
    )


@st.composite
def huge_offers(draw: st.DrawFn) -> AllocationProblem:
    """Offers with products that sell so much that their units cannot be listed one by one."""
    offer = draw(offers())
    n = len(offer.start)
    by = np.array(draw(st.lists(st.sampled_from([1, 1_000, 10**6, 10**8]), min_size=n, max_size=n)))
    by[0], offer.demand.mean[0], offer.eligible[0] = 10**7, max(offer.demand.mean[0], 1.0), True
    pack = np.where(by > 1, offer.pack * draw(st.sampled_from([1, 1, 700, 100_000])), offer.pack)
    steps = offer.start // offer.pack * draw(st.sampled_from([0, 1, 5_000]))
    start = np.where(offer.eligible, steps * pack, 0)
    least = np.where(offer.minimum > 0, start, 0)
    changed = replace(offer, pack=pack, start=start, minimum=least)
    return with_demand(changed, offer.demand.scale_mean(by))


def with_demand(offer: AllocationProblem, demand: Demand) -> AllocationProblem:
    return replace(offer, demand=demand, useful=useful_units(demand))


def cost(offer: AllocationProblem, units: np.ndarray) -> int:
    return int((units * offer.price).sum())


targets = st.integers(0, 6_000_000)
huge_targets = st.integers(0, 10**16)


@given(offers(), targets)
def test_no_step_left_out_sells_more_per_peso_than_one_taken(
    offer: AllocationProblem, target: int
) -> None:
    units = fit_budget(offer, target).units
    added = np.flatnonzero(units > offer.start)
    if not len(added) or cost(offer, np.where(offer.eligible, offer.start, 0)) > target:
        return

    def worth(low: np.ndarray) -> np.ndarray:
        sold = offer.demand.expected_sales(low + offer.pack) - offer.demand.expected_sales(low)
        return sold / offer.step_cost

    last, following = worth(units - offer.pack), worth(units)
    for i in added:
        rivals = offer.eligible & (offer.step_cost <= offer.step_cost[i])
        rivals &= offer.demand.survival(units + offer.pack) >= MIN_CHANCE
        assert (following[rivals] <= last[i] * (1 + 1e-6) + 1e-15).all()


@given(offers(), targets)
def test_fitting_twice_changes_nothing(offer: AllocationProblem, target: int) -> None:
    units = fit_budget(offer, target).units
    if cost(offer, units) <= target:
        again = replace(offer, start=units, minimum=np.minimum(offer.minimum, units))
        assert (fit_budget(again, target).units == units).all()


@given(offers(), targets)
def test_more_money_is_never_spent_on_less(offer: AllocationProblem, target: int) -> None:
    assert cost(offer, fit_budget(offer, 2 * target).units) >= min(
        cost(offer, fit_budget(offer, target).units), target
    )


@given(offers(), targets, st.integers(0, 12))
def test_no_product_passes_its_most(offer: AllocationProblem, target: int, most: int) -> None:
    bounded = replace(
        offer, start=offer.minimum, maximum=np.maximum(offer.minimum, most * offer.pack)
    )
    assert (fit_budget(bounded, target).units <= bounded.maximum).all()


@given(offers(), targets)
def test_no_other_units_pass_the_bound_and_the_gap_is_what_is_missing(
    offer: AllocationProblem, target: int
) -> None:
    whole = replace(offer, start=np.where(offer.eligible, offer.minimum, 0))
    found = fit_budget(whole, target)
    assert found.value <= found.bound * (1 + 1e-9) + 1e-9
    assert found.value == pytest.approx(offer.expected_value(found.units), rel=1e-9, abs=1e-9)
    assert 0 <= found.optimality_gap <= 1


@given(offers(), st.integers(0, 200_000))
def test_no_trade_of_one_step_for_another_earns_more_than_the_bound(
    offer: AllocationProblem, target: int
) -> None:
    whole = replace(offer, start=np.where(offer.eligible, offer.minimum, 0))
    found = fit_budget(whole, target)
    for i in np.flatnonzero(offer.eligible & (found.units - offer.pack >= whole.start)):
        for j in np.flatnonzero(offer.eligible):
            other = found.units.copy()
            other[i] -= offer.pack[i]
            other[j] += offer.pack[j]
            if cost(offer, other) <= target:
                assert offer.expected_value(other) <= found.bound * (1 + 1e-3) + 1e-2


@given(offers(), st.floats(0.01, 100))
def test_the_unit_that_worth_is_counted_in_does_not_matter(
    offer: AllocationProblem, scale: float
) -> None:
    scaled = replace(offer, unit_value=offer.unit_value * 2.0 ** round(scale))
    assert (fit_budget(offer, 300_000).units == fit_budget(scaled, 300_000).units).all()


@given(offers(), targets, st.integers(2, 40))
def test_more_money_never_earns_less_and_each_peso_earns_less_than_the_one_before(
    offer: AllocationProblem, target: int, points: int
) -> None:
    single = replace(
        offer, pack=np.ones_like(offer.pack), start=np.where(offer.eligible, offer.minimum, 0)
    )
    money, earned = investment_frontier(single, points)
    assert (np.diff(money) > 0).all()
    assert (np.diff(earned) >= -1e-12).all()
    slopes = np.diff(earned) / np.diff(money)
    assert (np.diff(slopes) <= 1e-12 + 1e-9 * slopes[:-1]).all()


@given(offers(), st.integers(1, 6_000_000))
def test_no_step_kept_sells_less_per_peso_than_one_taken_away(
    offer: AllocationProblem, excess: int
) -> None:
    """Before the change buys what fits into it, which may be a step that sells less."""
    units = _remove_units(offer, offer.start, excess)

    def worth(high: np.ndarray) -> np.ndarray:
        sold = offer.demand.expected_sales(high) - offer.demand.expected_sales(high - offer.pack)
        return sold / offer.step_cost

    gone, kept = units < offer.start, offer.eligible & (units > offer.minimum)
    if gone.any() and kept.any():
        dearest_gone = worth(units + offer.pack)[gone].max()
        assert worth(units)[kept].min() >= dearest_gone * (1 - 1e-6) - 1e-15
    freed = cost(offer, offer.start) - cost(offer, units)
    assert freed >= excess or (units[offer.eligible] == offer.minimum[offer.eligible]).all()


def problem(mean: list[float], **cells: int | list[int]) -> AllocationProblem:
    """Return products of mean sales; of every other number the usual one, where none is given."""
    n = len(mean)
    usual: dict[str, int | list[int]] = {
        "start": 0, "minimum": 0, "maximum": UNLIMITED_UNITS, "price": 1, "pack": 1,
    }  # fmt: skip
    arrays = {name: np.full(n, cell, dtype=np.int64) for name, cell in (usual | cells).items()}
    demand = Demand.negative_binomial(np.array(mean), 3)
    return AllocationProblem(
        demand=demand,
        useful=useful_units(demand),
        eligible=np.ones(n, dtype=np.bool_),
        unit_value=np.ones(n),
        **arrays,
    )


def test_what_sells_least_per_peso_is_taken_away_first() -> None:
    offer = problem([5.0, 0.1, 5.0], start=2, price=[10, 10, 20])
    assert fit_budget(offer, 70).units.tolist() == [2, 1, 2]
    assert fit_budget(offer, 60).units.tolist() == [2, 0, 2]
    assert fit_budget(offer, 40).units.tolist() == [2, 0, 1]


def test_a_pack_is_bought_for_its_first_units() -> None:
    """Found by chance: one whose last unit is hardly ever asked for was never looked at."""
    offer = problem([0.5], price=10, pack=12)
    assert offer.demand.quantile(1 - MIN_CHANCE)[0] < 12
    assert fit_budget(offer, 10_000).units.tolist() == [12]


def test_by_hand() -> None:
    """Two products of 10 and 15 pesos that sell alike: the cheap one, the dear one, the change."""
    offer = problem([1.0, 1.0], price=[10, 15])
    assert fit_budget(offer, 9).units.tolist() == [0, 0]
    assert fit_budget(offer, 10).units.tolist() == [1, 0]
    assert fit_budget(offer, 25).units.tolist() == [1, 1]
    assert fit_budget(offer, 29).units.tolist() == [1, 1]


def test_too_much_is_taken_from_what_has_no_sales() -> None:
    offer = problem([2.0, 2.0], start=5, minimum=[5, 0], price=10)
    assert fit_budget(offer, 70).units.tolist() == [5, 2]
    assert fit_budget(offer, 20).units.tolist() == [5, 0]


@pytest.mark.parametrize(("mean", "most"), [(0.0, 0), (0.01, 1), (1.0, 12)])
def test_money_is_not_spent_on_what_nobody_asks_for(mean: float, most: int) -> None:
    offer = problem([mean])
    (units,) = fit_budget(offer, 10**9).units
    assert units <= most
    assert offer.demand.survival(np.array([units + 1]))[0] < MIN_CHANCE


@given(offers() | huge_offers(), targets | huge_targets)
def test_no_rule_is_undercut_and_what_is_left_buys_no_further_step(
    offer: AllocationProblem, target: int
) -> None:
    found = fit_budget(offer, target)
    left = target - cost(offer, found.units)
    assert (found.units >= offer.minimum).all()
    assert ((found.units - offer.start) % offer.pack == 0).all()
    assert (found.units[~offer.eligible] == 0).all()
    if left < 0:
        assert (found.units == np.where(offer.eligible, offer.minimum, 0)).all()
        return
    # Counted in lots, the 0.999 quantile of demand is known to a fiftieth of that probability.
    may_grow = offer.eligible & (
        offer.demand.survival(found.units + offer.pack) >= 1.02 * MIN_CHANCE
    )
    assert (offer.step_cost[may_grow] > left).all()


@settings(max_examples=12)
@given(huge_offers(), huge_targets)
def test_however_much_is_sold_hardly_any_other_units_would_earn_more(
    offer: AllocationProblem, target: int
) -> None:
    """Lagrange's bound: at every rate of sales per peso, it caps what the target can earn."""
    n = len(offer.start)
    none = np.zeros(n, dtype=np.int64)
    found = fit_budget(replace(offer, pack=np.ones_like(none), start=none, minimum=none), target)
    grid = np.unique(np.geomspace(1, 10**13, 3_000).astype(np.int64))
    units = np.tile(np.concatenate([[0], grid]), (n, 1))
    sold = offer.demand.sales_curve(units) * offer.eligible[:, None]
    rates = np.concatenate(
        [[0.0], np.geomspace(1e-3 / offer.price.max(), 1 / offer.price.min(), 1_500)]
    )
    bounds = [
        rate * target + (sold - rate * offer.price[:, None] * units).max(axis=1).sum()
        for rate in rates.tolist()
    ]
    assert cost(offer, found.units) <= target
    assert found.value >= min(bounds) * (1 - 0.02) - n


def test_blocks_of_units_are_as_good_as_units_for_what_sells_by_the_million() -> None:
    """Two products whose units can be listed one by one; eight counters' worth of them cannot."""
    demand = Demand(np.array([150_000.0, 60_000.0]), np.array([2.0, 7.0]), np.zeros(2))
    offer = with_demand(problem([1.0, 1.0], price=[120_000, 70_000]), demand)
    assert offer.demand.quantile(1 - MIN_CHANCE).sum() < MAX_LISTED_UNITS
    target = 20_000_000_000
    singly = fit_budget(offer, target)
    crowd = with_demand(
        problem([1.0] * 16, price=[120_000, 70_000] * 8), demand.select(np.array([0, 1] * 8))
    )
    assert crowd.demand.quantile(1 - MIN_CHANCE).sum() > MAX_LISTED_UNITS
    together = fit_budget(crowd, 8 * target)
    assert together.units.reshape(8, 2).sum(axis=0) / 8 == pytest.approx(singly.units, rel=2e-3)
    assert together.value == pytest.approx(8 * singly.value, rel=1e-4)
    assert 8 * target - cost(crowd, together.units) < crowd.price.min()
