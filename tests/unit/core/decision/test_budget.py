"""The fit to the investment: its laws, and one case by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.decision.budget import MAX_CELLS, UNLIMITED, Offer, _take_away, fit, frontier
from ipp.core.decision.demand import Demand
from ipp.core.parameters import MIN_CHANCE


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    n = draw(st.integers(1, 12))

    def array(values: st.SearchStrategy[int]) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=np.int64)

    pack = array(st.sampled_from([1, 1, 1, 2, 6]))
    start = array(st.integers(0, 8)) * pack
    mean = array(st.integers(0, 3_000)) / 100
    open_ = array(st.integers(0, 5)) > 0
    return Offer(
        demand=Demand.around(mean, 3),
        start=np.where(open_, start, 0),
        least=np.where(open_, start * array(st.integers(0, 1)), 0),
        price=array(st.integers(1, 2_000)) * 100,
        pack=pack,
        open=open_,
        most=np.full(n, UNLIMITED),
        worth=np.ones(n),
    )


@st.composite
def huge_offers(draw: st.DrawFn) -> Offer:
    """Offers with products that sell so much that their units cannot be listed one by one."""
    offer = draw(offers())
    n = len(offer.start)
    by = np.array(draw(st.lists(st.sampled_from([1, 1_000, 10**6, 10**8]), min_size=n, max_size=n)))
    by[0], offer.demand.mean[0], offer.open[0] = 10**7, max(offer.demand.mean[0], 1.0), True
    pack = np.where(by > 1, offer.pack * draw(st.sampled_from([1, 1, 700, 100_000])), offer.pack)
    steps = offer.start // offer.pack * draw(st.sampled_from([0, 1, 5_000]))
    start = np.where(offer.open, steps * pack, 0)
    least = np.where(offer.least > 0, start, 0)
    return replace(offer, demand=offer.demand.scaled(by), pack=pack, start=start, least=least)


def cost(offer: Offer, units: np.ndarray) -> int:
    return int((units * offer.price).sum())


targets = st.integers(0, 6_000_000)
huge_targets = st.integers(0, 10**16)


@given(offers(), targets)
def test_what_is_left_buys_no_further_step(offer: Offer, target: int) -> None:
    units = fit(offer, target).units
    left = target - cost(offer, units)
    if left < 0:
        assert (units == np.where(offer.open, offer.least, 0)).all()
        return
    may_grow = offer.open & (offer.demand.reaches(units + offer.pack) >= MIN_CHANCE)
    assert (offer.step_cost[may_grow] > left).all()


@given(offers(), targets)
def test_no_rule_is_undercut_and_packs_stay_whole(offer: Offer, target: int) -> None:
    units = fit(offer, target).units
    assert (units >= offer.least).all()
    assert ((units - offer.start) % offer.pack == 0).all()
    assert (units[~offer.open] == 0).all()


@given(offers(), targets)
def test_no_step_left_out_sells_more_per_peso_than_one_taken(offer: Offer, target: int) -> None:
    units = fit(offer, target).units
    added = np.flatnonzero(units > offer.start)
    if not len(added) or cost(offer, np.where(offer.open, offer.start, 0)) > target:
        return

    def worth(low: np.ndarray) -> np.ndarray:
        sold = offer.demand.expected_sales(low + offer.pack) - offer.demand.expected_sales(low)
        return sold / offer.step_cost

    last, following = worth(units - offer.pack), worth(units)
    for i in added:
        rivals = offer.open & (offer.step_cost <= offer.step_cost[i])
        rivals &= offer.demand.reaches(units + offer.pack) >= MIN_CHANCE
        assert (following[rivals] <= last[i] * (1 + 1e-6) + 1e-15).all()


@given(offers(), targets)
def test_fitting_twice_changes_nothing(offer: Offer, target: int) -> None:
    units = fit(offer, target).units
    if cost(offer, units) <= target:
        assert (fit(replace(offer, start=units, least=np.minimum(offer.least, units)), target).units == units).all()


@given(offers(), targets)
def test_more_money_is_never_spent_on_less(offer: Offer, target: int) -> None:
    assert cost(offer, fit(offer, 2 * target).units) >= min(cost(offer, fit(offer, target).units), target)


@given(offers(), targets, st.integers(0, 12))
def test_no_product_passes_its_most(offer: Offer, target: int, most: int) -> None:
    bounded = replace(offer, start=offer.least, most=np.maximum(offer.least, most * offer.pack))
    assert (fit(bounded, target).units <= bounded.most).all()


@given(offers(), targets)
def test_no_other_units_pass_the_bound_and_the_gap_is_what_is_missing(offer: Offer, target: int) -> None:
    whole = replace(offer, start=np.where(offer.open, offer.least, 0))
    found = fit(whole, target)
    assert found.value <= found.bound * (1 + 1e-9) + 1e-9
    assert found.value == pytest.approx(offer.value(found.units), rel=1e-9, abs=1e-9)
    assert 0 <= found.gap <= 1


@given(offers(), st.integers(0, 200_000))
def test_no_trade_of_one_step_for_another_earns_more_than_the_bound(offer: Offer, target: int) -> None:
    whole = replace(offer, start=np.where(offer.open, offer.least, 0))
    found = fit(whole, target)
    for i in np.flatnonzero(offer.open & (found.units - offer.pack >= whole.start)):
        for j in np.flatnonzero(offer.open):
            other = found.units.copy()
            other[i] -= offer.pack[i]
            other[j] += offer.pack[j]
            if cost(offer, other) <= target:
                assert offer.value(other) <= found.bound * (1 + 1e-3) + 1e-2


@given(offers(), st.floats(0.01, 100))
def test_the_unit_that_worth_is_counted_in_does_not_matter(offer: Offer, scale: float) -> None:
    scaled = replace(offer, worth=offer.worth * 2.0 ** round(scale))
    assert (fit(offer, 300_000).units == fit(scaled, 300_000).units).all()


@given(offers(), targets, st.integers(2, 40))
def test_more_money_never_earns_less_and_each_peso_earns_less_than_the_one_before(
    offer: Offer, target: int, points: int
) -> None:
    single = replace(offer, pack=np.ones_like(offer.pack), start=np.where(offer.open, offer.least, 0))
    money, earned = frontier(single, points)
    assert (np.diff(money) > 0).all()
    assert (np.diff(earned) >= -1e-12).all()
    slopes = np.diff(earned) / np.diff(money)
    assert (np.diff(slopes) <= 1e-12 + 1e-9 * slopes[:-1]).all()


@given(offers(), st.integers(1, 6_000_000))
def test_no_step_kept_sells_less_per_peso_than_one_taken_away(offer: Offer, excess: int) -> None:
    """Before the change that is left buys what fits into it, which may be a step that sells less."""
    units = _take_away(offer, offer.start, excess)

    def worth(high: np.ndarray) -> np.ndarray:
        sold = offer.demand.expected_sales(high) - offer.demand.expected_sales(high - offer.pack)
        return sold / offer.step_cost

    gone, kept = units < offer.start, offer.open & (units > offer.least)
    if gone.any() and kept.any():
        dearest_gone = worth(units + offer.pack)[gone].max()
        assert worth(units)[kept].min() >= dearest_gone * (1 - 1e-6) - 1e-15
    freed = cost(offer, offer.start) - cost(offer, units)
    assert freed >= excess or (units[offer.open] == offer.least[offer.open]).all()


def test_what_sells_least_per_peso_is_taken_away_first() -> None:
    offer = Offer(
        demand=Demand.around(np.array([5.0, 0.1, 5.0]), 3),
        start=np.array([2, 2, 2]),
        least=np.array([0, 0, 0]),
        price=np.array([10, 10, 20]),
        pack=np.array([1, 1, 1]),
        open=np.array([True, True, True]),
        most=np.full(3, UNLIMITED),
        worth=np.ones(3),
    )
    assert fit(offer, 70).units.tolist() == [2, 1, 2]
    assert fit(offer, 60).units.tolist() == [2, 0, 2]
    assert fit(offer, 40).units.tolist() == [2, 0, 1]


def test_a_pack_is_bought_for_its_first_units() -> None:
    """Found by chance: one whose last unit is hardly ever asked for was never looked at."""
    offer = Offer(
        demand=Demand.around(np.array([0.5]), 3),
        start=np.array([0]),
        least=np.array([0]),
        most=np.array([UNLIMITED]),
        price=np.array([10]),
        pack=np.array([12]),
        open=np.array([True]),
        worth=np.ones(1),
    )
    assert offer.demand.quantile(1 - MIN_CHANCE)[0] < 12
    assert fit(offer, 10_000).units.tolist() == [12]


def test_by_hand() -> None:
    """Two products of 10 and 15 pesos that sell alike: the cheap one first, then the dear one, then the change."""
    offer = Offer(
        demand=Demand.around(np.array([1.0, 1.0]), 3),
        start=np.array([0, 0]),
        least=np.array([0, 0]),
        price=np.array([10, 15]),
        pack=np.array([1, 1]),
        open=np.array([True, True]),
        most=np.full(2, UNLIMITED),
        worth=np.ones(2),
    )
    assert fit(offer, 9).units.tolist() == [0, 0]
    assert fit(offer, 10).units.tolist() == [1, 0]
    assert fit(offer, 25).units.tolist() == [1, 1]
    assert fit(offer, 29).units.tolist() == [1, 1]


def test_too_much_is_taken_from_what_has_no_sales() -> None:
    offer = Offer(
        demand=Demand.around(np.array([2.0, 2.0]), 3),
        start=np.array([5, 5]),
        least=np.array([5, 0]),
        price=np.array([10, 10]),
        pack=np.array([1, 1]),
        open=np.array([True, True]),
        most=np.full(2, UNLIMITED),
        worth=np.ones(2),
    )
    assert fit(offer, 70).units.tolist() == [5, 2]
    assert fit(offer, 20).units.tolist() == [5, 0]


@pytest.mark.parametrize(("mean", "most"), [(0.0, 0), (0.01, 1), (1.0, 12)])
def test_money_is_not_spent_on_what_nobody_asks_for(mean: float, most: int) -> None:
    offer = Offer(
        demand=Demand.around(np.array([mean]), 3),
        start=np.array([0]),
        least=np.array([0]),
        price=np.array([1]),
        pack=np.array([1]),
        open=np.array([True]),
        most=np.full(1, UNLIMITED),
        worth=np.ones(1),
    )
    (units,) = fit(offer, 10**9).units
    assert units <= most
    assert offer.demand.reaches(np.array([units + 1]))[0] < MIN_CHANCE


@settings(max_examples=40)
@given(huge_offers(), huge_targets)
def test_however_much_is_sold_the_money_is_spent_to_the_last_step(offer: Offer, target: int) -> None:
    found = fit(offer, target)
    left = target - cost(offer, found.units)
    assert (found.units >= offer.least).all()
    assert ((found.units - offer.start) % offer.pack == 0).all()
    if left < 0:
        assert (found.units == np.where(offer.open, offer.least, 0)).all()
        return
    # Counted in lots, the units that are asked for one time in 1,000 are known to a fiftieth of that chance.
    may_grow = offer.open & (offer.demand.reaches(found.units + offer.pack) >= 1.02 * MIN_CHANCE)
    assert (offer.step_cost[may_grow] > left).all()


@settings(max_examples=25)
@given(huge_offers(), huge_targets)
def test_however_much_is_sold_hardly_any_other_units_would_earn_more(offer: Offer, target: int) -> None:
    """Lagrange's bound: at no rate of a sale per peso can the target earn more than it and what sells above it."""
    n = len(offer.start)
    none = np.zeros(n, dtype=np.int64)
    found = fit(replace(offer, pack=np.ones_like(none), start=none, least=none), target)
    grid = np.unique(np.geomspace(1, 10**13, 3_000).astype(np.int64))
    units = np.tile(np.concatenate([[0], grid]), (n, 1))
    sold = offer.demand.sales_curve(units) * offer.open[:, None]
    rates = np.concatenate([[0.0], np.geomspace(1e-3 / offer.price.max(), 1 / offer.price.min(), 1_500)])
    bounds = [rate * target + (sold - rate * offer.price[:, None] * units).max(axis=1).sum() for rate in rates.tolist()]
    assert cost(offer, found.units) <= target
    assert found.value >= min(bounds) * (1 - 0.02) - n


@settings(max_examples=20)
@given(huge_offers(), st.integers(2, 40))
def test_however_much_is_sold_the_curve_rises(offer: Offer, points: int) -> None:
    money, earned = frontier(replace(offer, start=np.where(offer.open, offer.least, 0)), points)
    assert (np.diff(money) > 0).all()
    assert (np.diff(earned) >= -1e-12 * earned.max()).all()


def test_blocks_of_units_are_as_good_as_units_for_what_sells_by_the_million() -> None:
    """Two products whose units can be listed one by one; eight counters' worth of them cannot."""
    mean = np.array([150_000.0, 60_000.0])
    offer = Offer(
        demand=Demand(mean, np.array([2.0, 7.0]), np.zeros(2)),
        start=np.zeros(2, dtype=np.int64),
        least=np.zeros(2, dtype=np.int64),
        most=np.full(2, UNLIMITED),
        price=np.array([120_000, 70_000]),
        pack=np.ones(2, dtype=np.int64),
        open=np.ones(2, dtype=np.bool_),
        worth=np.ones(2),
    )
    assert offer.demand.quantile(1 - MIN_CHANCE).sum() < MAX_CELLS
    target = 20_000_000_000
    singly = fit(offer, target)
    crowd = replace(
        offer,
        demand=offer.demand.take(np.array([0, 1] * 8)),
        **{name: np.tile(getattr(offer, name), 8) for name in ("start", "least", "most", "price", "pack", "open")},
        worth=np.ones(16),
    )
    assert crowd.demand.quantile(1 - MIN_CHANCE).sum() > MAX_CELLS
    together = fit(crowd, 8 * target)
    assert together.units.reshape(8, 2).sum(axis=0) / 8 == pytest.approx(singly.units, rel=2e-3)
    assert together.value == pytest.approx(8 * singly.value, rel=1e-4)
    assert 8 * target - cost(crowd, together.units) < crowd.price.min()
