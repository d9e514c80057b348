"""The distribution around the traditional model's mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.demand import Demand

means = st.floats(0, 400, allow_nan=False)


def probability(k: int, mean: float, size: int) -> float:
    """P(demand = k) of a negative binomial, from its textbook formula."""
    if mean == 0:
        return float(k == 0)
    success = size / (size + mean)
    return math.comb(k + size - 1, k) * success**size * (1 - success) ** k


@given(means, st.integers(0, 60))
def test_the_tail_is_one_minus_the_sum_of_the_textbooks_terms(mean: float, units: int) -> None:
    below = sum(probability(k, mean, 3) for k in range(units))
    assert Demand(np.array([mean])).reaches(np.array([units]))[0] == pytest.approx(1 - below, abs=1e-9)


@given(means, st.integers(0, 200))
def test_expected_sales_are_the_sum_of_the_chances_of_each_unit(mean: float, units: int) -> None:
    demand = Demand(np.full(units + 1, mean))
    chances = demand.reaches(np.arange(units + 1))[1:].sum()
    assert demand.expected_sales(np.full(units + 1, units))[0] == pytest.approx(chances, abs=1e-7)


@given(means)
def test_a_further_unit_is_never_likelier(mean: float) -> None:
    units = np.arange(300)
    assert (np.diff(Demand(np.full(300, mean)).reaches(units)) <= 1e-12).all()


def test_nothing_is_asked_for_where_nothing_is_expected() -> None:
    demand = Demand(np.array([0.0]))
    assert demand.reaches(np.array([1])).tolist() == [0.0]
    assert demand.expected_sales(np.array([5])).tolist() == [0.0]


def test_stock_without_end_sells_the_mean() -> None:
    assert Demand(np.array([12.5])).expected_sales(np.array([5_000]))[0] == pytest.approx(12.5)
