"""Sums of money are exact to the cent, in whatever order their rows come."""

from __future__ import annotations

from fractions import Fraction

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.decision.publication import summarise_counters
from ipp.core.money import UNITS_PER_PESO, add_pesos, to_pesos
from ipp.core.tables import RESULTS

UNITS = st.one_of(
    st.integers(0, 4 * 10**18), st.integers(0, 10**9).map(lambda cents: cents * 100 + 50)
)
"""Ten-thousandths of a peso, many of them half a cent."""

AMOUNTS = st.lists(
    st.integers(0, 10**10).map(lambda units: units * 50 / UNITS_PER_PESO), max_size=8
)


def exact_pesos(units: int) -> float:
    return float(round(Fraction(units, UNITS_PER_PESO), 2))


@given(units=UNITS)
def test_half_a_cent_goes_to_the_even_one(units: int) -> None:
    assert to_pesos(units) == exact_pesos(units)


@given(amounts=AMOUNTS, data=st.data())
def test_no_order_of_rows_changes_a_published_sum(
    amounts: list[float], data: st.DataObject
) -> None:
    expected = exact_pesos(sum(round(amount * UNITS_PER_PESO) for amount in amounts))
    shuffled = data.draw(st.permutations(amounts))
    assert add_pesos(shuffled) == expected
    rows = [
        {"mostrador": 1, "material": place, "optimum": 1, "optimum_value": amount}
        for place, amount in enumerate(shuffled)
    ]
    summary = summarise_counters(pl.LazyFrame(rows, schema=RESULTS.schema)).collect()
    assert summary["investment"].to_list() == ([expected] if rows else [])
    assert summary["value_with_unknown_stock"].to_list() == ([expected] if rows else [])
