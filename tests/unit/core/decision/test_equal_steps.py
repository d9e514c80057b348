"""The order of steps that are worth the same, and the steps of one product by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ipp.core.decision.budget import (
    UNLIMITED_UNITS,
    AllocationProblem,
    fit_budget,
    fit_units,
    investment_frontier,
    useful_units,
)
from ipp.core.decision.demand import Demand

PESO = 10_000


def make_offer(n: int, mean: float = 4.0, price: int = 10 * PESO) -> AllocationProblem:
    """``n`` equal products."""
    demand = Demand.negative_binomial(np.full(n, mean), 3)
    return AllocationProblem(
        demand=demand,
        useful=useful_units(demand),
        start=np.zeros(n, dtype=np.int64),
        minimum=np.zeros(n, dtype=np.int64),
        maximum=np.full(n, UNLIMITED_UNITS),
        price=np.full(n, price),
        pack=np.ones(n, dtype=np.int64),
        eligible=np.ones(n, dtype=np.bool_),
        unit_value=np.ones(n),
    )


@pytest.mark.parametrize("bought", [1, 7, 17, 33, 39])
def test_of_equal_products_the_first_are_bought(bought: int) -> None:
    units = fit_units(make_offer(40), bought * 10 * PESO)
    assert units.tolist() == [1] * bought + [0] * (40 - bought)


@pytest.mark.parametrize("removed", [1, 7, 17, 33])
def test_of_equal_products_the_first_give_back(removed: int) -> None:
    offer = replace(make_offer(40), start=np.full(40, 2))
    units = fit_units(offer, (80 - removed) * 10 * PESO)
    assert units.tolist() == [1] * removed + [2] * (40 - removed)


def test_a_part_of_the_last_step_bounds_the_value() -> None:
    """30 pesos buy one unit of 20; half a unit of the other product would be worth half of it."""
    offer = make_offer(2, price=20 * PESO)
    chance = offer.demand.survival(np.array([1, 1]))[0]
    fit = fit_budget(offer, 30 * PESO)
    assert fit.units.tolist() == [1, 0]
    assert fit.value == pytest.approx(chance)
    assert fit.bound == pytest.approx(1.5 * chance)
    assert fit.optimality_gap == pytest.approx(1 / 3)


def test_all_that_is_worth_buying_leaves_no_gap() -> None:
    fit = fit_budget(make_offer(3), 10**12)
    assert fit.optimality_gap == 0.0
    assert fit.bound == pytest.approx(fit.value)


def test_nothing_to_sell_has_no_gap() -> None:
    fit = fit_budget(replace(make_offer(2), unit_value=np.zeros(2)), 100 * PESO)
    assert (fit.value, fit.bound, fit.optimality_gap) == (0.0, 0.0, 0.0)


def test_the_maximum_and_whole_packs_end_the_steps() -> None:
    offer = replace(make_offer(2), pack=np.array([3, 1]), maximum=np.array([8, 2]))
    assert fit_units(offer, 10**12).tolist() == [6, 2]


def test_a_step_that_costs_all_the_money_is_bought_and_one_that_costs_more_is_not() -> None:
    offer = make_offer(1)
    assert fit_units(offer, 10 * PESO).tolist() == [1]
    assert fit_units(offer, 10 * PESO - 1).tolist() == [0]


def test_what_does_not_fit_leaves_its_money_to_what_does() -> None:
    """With 10 left and steps of 6, 5, 3 and 1: 6, then 3 and 1."""
    offer = replace(
        make_offer(4),
        price=np.array([6, 5, 3, 1]) * PESO,
        maximum=np.ones(4, dtype=np.int64),
        unit_value=np.array([60.0, 40.0, 20.0, 5.0]),
    )
    assert fit_units(offer, 10 * PESO).tolist() == [1, 0, 1, 1]


def test_what_earns_more_per_peso_comes_first() -> None:
    offer = replace(make_offer(2), unit_value=np.array([1.0, 2.0]))
    assert fit_units(offer, 10 * PESO).tolist() == [0, 1]


def test_the_frontier_goes_from_the_minimum_to_all_that_is_worth_buying() -> None:
    offer = replace(make_offer(2), minimum=np.array([1, 0]), maximum=np.array([3, 2]))
    spent, sold = investment_frontier(offer, 50)
    chances = offer.demand.survival_table(np.array([3, 2]))
    assert spent.tolist() == [units * 10 * PESO for units in range(1, 6)]
    assert sold[0] == pytest.approx(chances[0])
    assert sold[-1] == pytest.approx(chances.sum())
    assert (np.diff(sold) > 0).all()
    ends = investment_frontier(offer, 2)
    assert ends[0].tolist() == [10 * PESO, 50 * PESO]


@pytest.mark.parametrize("part", [0.3, 0.7])
def test_what_is_counted_in_blocks_is_worth_what_it_is_expected_to_sell(part: float) -> None:
    """Ten million units a product, a million of which are held already, in packs of 10."""
    offer = replace(make_offer(3, mean=1e7), pack=np.full(3, 10))
    least = np.full(3, 1_000_000)
    offer = replace(offer, start=least, minimum=least, unit_value=np.array([1.0, 2.0, 3.0]))
    fit = fit_budget(offer, int(part * 3e7) * 10 * PESO)
    assert (fit.units >= least).all()
    assert (fit.units % 10 == 0).all()
    assert offer.total_cost(fit.units) == pytest.approx(part * 3e8 * PESO, rel=1e-4)
    assert fit.value == pytest.approx(offer.expected_value(fit.units), rel=1e-3)
    assert fit.value <= fit.bound * (1 + 1e-9)
    assert fit.units[2] >= fit.units[1] >= fit.units[0]
