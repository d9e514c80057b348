"""The fit to the investment: its laws, and one case by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.budget import Offer, _take_away, fit
from ipp.core.demand import Demand
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
        demand=Demand(mean),
        start=np.where(open_, start, 0),
        least=np.where(open_, start * array(st.integers(0, 1)), 0),
        price=array(st.integers(1, 2_000)) * 100,
        pack=pack,
        open=open_,
    )


def cost(offer: Offer, units: np.ndarray) -> int:
    return int((units * offer.price).sum())


targets = st.integers(0, 6_000_000)


@given(offers(), targets)
def test_what_is_left_buys_no_further_step(offer: Offer, target: int) -> None:
    units = fit(offer, target)
    left = target - cost(offer, units)
    if left < 0:
        assert (units == np.where(offer.open, offer.least, 0)).all()
        return
    may_grow = offer.open & (offer.demand.reaches(units + offer.pack) >= MIN_CHANCE)
    assert (offer.step_cost[may_grow] > left).all()


@given(offers(), targets)
def test_no_rule_is_undercut_and_packs_stay_whole(offer: Offer, target: int) -> None:
    units = fit(offer, target)
    assert (units >= offer.least).all()
    assert ((units - offer.start) % offer.pack == 0).all()
    assert (units[~offer.open] == 0).all()


@given(offers(), targets)
def test_no_step_left_out_sells_more_per_peso_than_one_taken(offer: Offer, target: int) -> None:
    units = fit(offer, target)
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
    units = fit(offer, target)
    if cost(offer, units) <= target:
        assert (fit(replace(offer, start=units, least=np.minimum(offer.least, units)), target) == units).all()


@given(offers(), targets)
def test_more_money_is_never_spent_on_less(offer: Offer, target: int) -> None:
    assert cost(offer, fit(offer, 2 * target)) >= min(cost(offer, fit(offer, target)), target)


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
        demand=Demand(np.array([5.0, 0.1, 5.0])),
        start=np.array([2, 2, 2]),
        least=np.array([0, 0, 0]),
        price=np.array([10, 10, 20]),
        pack=np.array([1, 1, 1]),
        open=np.array([True, True, True]),
    )
    assert fit(offer, 70).tolist() == [2, 1, 2]
    assert fit(offer, 60).tolist() == [2, 0, 2]
    assert fit(offer, 40).tolist() == [2, 0, 1]


def test_by_hand() -> None:
    """Two products of 10 and 15 pesos that sell alike: the cheap one first, then the dear one, then the change."""
    offer = Offer(
        demand=Demand(np.array([1.0, 1.0])),
        start=np.array([0, 0]),
        least=np.array([0, 0]),
        price=np.array([10, 15]),
        pack=np.array([1, 1]),
        open=np.array([True, True]),
    )
    assert fit(offer, 9).tolist() == [0, 0]
    assert fit(offer, 10).tolist() == [1, 0]
    assert fit(offer, 25).tolist() == [1, 1]
    assert fit(offer, 29).tolist() == [1, 1]


def test_too_much_is_taken_from_what_has_no_sales() -> None:
    offer = Offer(
        demand=Demand(np.array([2.0, 2.0])),
        start=np.array([5, 5]),
        least=np.array([5, 0]),
        price=np.array([10, 10]),
        pack=np.array([1, 1]),
        open=np.array([True, True]),
    )
    assert fit(offer, 70).tolist() == [5, 2]
    assert fit(offer, 20).tolist() == [5, 0]


@pytest.mark.parametrize(("mean", "most"), [(0.0, 0), (0.01, 1), (1.0, 12)])
def test_money_is_not_spent_on_what_nobody_asks_for(mean: float, most: int) -> None:
    offer = Offer(
        demand=Demand(np.array([mean])),
        start=np.array([0]),
        least=np.array([0]),
        price=np.array([1]),
        pack=np.array([1]),
        open=np.array([True]),
    )
    (units,) = fit(offer, 10**9)
    assert units <= most
    assert offer.demand.reaches(np.array([units + 1]))[0] < MIN_CHANCE
