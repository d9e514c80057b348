"""Demand as a distribution, held to the textbook's formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.decision.demand import Demand

means = st.floats(0, 400, allow_nan=False)
sizes = st.floats(0.05, 200)
idles = st.floats(0, 0.9)


def probability(k: int, mean: float, size: float, idle: float) -> float:
    """P(demand = k), from the gamma function."""
    active = mean / (1 - idle)
    if active < 1e-300:
        return float(k == 0)
    ways = math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1)
    chance = math.exp(
        ways + size * math.log(size / (size + active)) + k * math.log(active / (size + active))
    )
    return (1 - idle) * chance + idle * (k == 0)


def one(mean: float, size: float = 3.0, idle: float = 0.0) -> Demand:
    return Demand(np.array([mean]), np.array([size]), np.array([idle]))


@given(means, sizes, idles, st.integers(0, 60))
def test_the_tail_is_one_minus_the_sum_of_the_textbooks_terms(
    mean: float, size: float, idle: float, units: int
) -> None:
    below = sum(probability(k, mean, size, idle) for k in range(units))
    assert one(mean, size, idle).survival(np.array([units]))[0] == pytest.approx(
        1 - below, abs=1e-8
    )


@given(means, sizes, idles, st.floats(0.01, 0.999))
def test_a_quantile_is_the_least_units_that_are_enough(
    mean: float, size: float, idle: float, level: float
) -> None:
    demand = one(mean, size, idle)
    units = int(demand.quantile(level)[0])
    slack = 1e-12 if units < 16_000 else 1e-3  # beyond, units are counted in lots
    assert demand.survival(np.array([units + 1]))[0] <= 1 - level + slack
    assert units == 0 or demand.survival(np.array([units]))[0] > 1 - level - slack


@given(means, sizes, idles, st.floats(0, 0.999))
def test_the_units_for_a_fill_rate_are_the_fewest_that_sell_that_part_of_the_mean(
    mean: float, size: float, idle: float, rate: float
) -> None:
    demand = one(mean, size, idle)
    (units,) = demand.units_for_fill_rate(rate)
    needed = rate * mean
    slack = 1e-9 if units < 16_000 else 1e-3 * mean  # beyond, units are counted in lots
    assert demand.expected_sales(np.array([units]))[0] >= needed - slack
    assert units == 0 or demand.expected_sales(np.array([units - 1]))[0] < needed + slack


def test_a_wide_demand_has_its_small_quantiles_to_the_unit() -> None:
    """Its tail is longer than a row of probabilities, which must not make its middle coarse."""
    demand = one(293.0, 0.156, 0.822)
    units = int(demand.quantile(0.9)[0])
    below = sum(probability(k, 293.0, 0.156, 0.822) for k in range(units))
    assert below < 0.9 <= below + probability(units, 293.0, 0.156, 0.822)


@given(st.lists(st.tuples(means, sizes, idles), min_size=1, max_size=20), st.data())
def test_each_product_is_as_if_it_were_alone(
    rows: list[tuple[float, float, float]], data: st.DataObject
) -> None:
    mean, size, idle = (np.array(column) for column in zip(*rows, strict=True))
    demand = Demand(mean, size, idle)
    units = np.array(
        data.draw(st.lists(st.integers(0, 500), min_size=len(rows), max_size=len(rows)))
    )
    alone = [demand.select(np.array([i])) for i in range(len(rows))]
    assert demand.survival(units).tolist() == [
        d.survival(units[i : i + 1])[0] for i, d in enumerate(alone)
    ]
    assert demand.quantile(0.9).tolist() == [d.quantile(0.9)[0] for d in alone]
    chances = np.concatenate([d.survival_table(units[i : i + 1]) for i, d in enumerate(alone)])
    assert demand.survival_table(units) == pytest.approx(chances, abs=1e-12)


@given(means, sizes, idles, st.integers(0, 200))
def test_expected_sales_are_the_sum_of_the_chances_of_each_unit(
    mean: float, size: float, idle: float, units: int
) -> None:
    demand = one(mean, size, idle).select(np.zeros(units + 1, dtype=np.int64))
    chances = demand.survival(np.arange(units + 1))[1:].sum()
    assert demand.expected_sales(np.full(units + 1, units))[0] == pytest.approx(chances, abs=1e-7)


@given(means, sizes, idles)
def test_a_further_unit_is_never_likelier(mean: float, size: float, idle: float) -> None:
    chances = one(mean, size, idle).survival_table(np.array([600]))
    assert (np.diff(chances) <= 1e-12).all()
    assert ((chances >= 0) & (chances <= 1 - idle + 1e-12)).all()


def test_nothing_is_asked_for_where_nothing_is_expected() -> None:
    demand = one(0.0)
    assert demand.survival(np.array([1])).tolist() == [0.0]
    assert demand.expected_sales(np.array([5])).tolist() == [0.0]
    assert demand.quantile(0.999).tolist() == [0]


@given(st.floats(0.01, 2_000), st.floats(0.1, 100), idles)
def test_stock_without_end_sells_the_mean(mean: float, size: float, idle: float) -> None:
    sold = one(mean, size, idle).expected_sales(np.array([10**9]))[0]
    assert sold == pytest.approx(mean, rel=2e-3)


def test_many_quantiles_at_once_are_each_what_it_is_alone() -> None:
    demand = Demand(
        np.array([0.0, 0.02, 0.7, 3.0, 40.0, 9_000.0]),
        np.array([1.0, 0.3, 2.0, 1e6, 5.0, 0.8]),
        np.array([0.0, 0.5, 0.0, 0.2, 0.0, 0.1]),
    )
    levels = np.linspace(0, 0.999, 100)
    together = demand.quantiles(levels)
    assert (together == np.stack([demand.quantile(level) for level in levels], axis=1)).all()


@pytest.mark.parametrize("mean", [1e4, 1e5, 1e6, 1e7])
@pytest.mark.parametrize("size", [0.5, 4.0, 100.0])
def test_what_sells_by_the_thousand_is_counted_in_lots_near_enough(
    mean: float, size: float
) -> None:
    """The gamma distribution is the limit of a large negative binomial of its mean and variance."""
    demand = one(mean, size)
    assert demand.expected_sales(np.array([10**9]))[0] == pytest.approx(mean, rel=0.01)
    spread = mean / math.sqrt(size)
    middle, high = demand.quantiles([0.5, 0.841])[0]
    if size >= 4:
        assert middle == pytest.approx(mean, rel=0.12)
        assert high - middle == pytest.approx(spread, rel=0.25)
