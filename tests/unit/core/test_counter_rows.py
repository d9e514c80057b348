"""Rows of several counters in one frame, money in integers, and groups of categories."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.counter_rows import merge_counters, partition_counters, slice_counters, sort_counters
from ipp.core.money import to_pesos, to_units
from ipp.core.parameters import Parameters
from ipp.core.product_category import find_excluded_group
from ipp.core.product_groups import PRODUCT_GROUPS, ProductGroup
from ipp.core.traditional.factor import target_investment

pairs = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), max_size=12)


def frame_of(rows: list[tuple[int, int]]) -> pl.DataFrame:
    schema = {"mostrador": pl.Int64, "material": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@given(pairs)
def test_rows_are_sorted_by_counter_and_then_by_product(rows: list[tuple[int, int]]) -> None:
    assert sort_counters(frame_of(rows)).rows() == sorted(rows)


@given(pairs)
def test_each_counter_has_the_rows_between_its_first_and_last(rows: list[tuple[int, int]]) -> None:
    frame = frame_of(sorted(rows))
    slices = slice_counters(frame)
    assert list(slices) == sorted({mostrador for mostrador, _ in rows})
    for mostrador, own in slices.items():
        assert frame[own].rows() == [row for row in sorted(rows) if row[0] == mostrador]
    assert {m: own.rows() for m, own in partition_counters(frame).items()} == {
        m: frame[own].rows() for m, own in slices.items()
    }


def test_merged_counters_are_in_order_and_a_missing_column_is_null() -> None:
    odd = frame_of([(1, 1), (3, 1), (3, 2)]).with_columns(extra=7)
    merged = merge_counters([odd, frame_of([]), frame_of([(2, 5)])])
    assert merged.rows() == [(1, 1, 7), (2, 5, None), (3, 1, 7), (3, 2, 7)]


def test_money_is_counted_in_ten_thousandths_and_told_to_the_cent() -> None:
    assert to_units(np.array([1.0, 0.00004, 0.00006, np.nan])).tolist() == [10_000, 0, 1, 0]
    assert to_pesos(1_234_567) == 123.46


@pytest.mark.parametrize(
    ("forced", "configured", "sales", "expected"),
    [
        (5.0, 7.0, 300.0, 5.0),
        (None, 7.0, 300.0, 7.0),
        (None, None, 300.0, 100.0),
        (None, None, None, None),
    ],
)
def test_the_target_is_the_runs_else_the_counters_else_that_of_its_sales(
    forced: float | None, configured: float | None, sales: float | None, expected: float | None
) -> None:
    parameters = Parameters(target_investment=forced, investment_days=10.0)
    assert (
        target_investment(parameters, configured=configured, counter_sales_value=sales) == expected
    )


def find_group(category: str | None, *off: str) -> str | None:
    switches = {
        group.switch_name: [False if group.name in off else None] for group in PRODUCT_GROUPS
    }
    frame = pl.DataFrame({"category": [category], **switches}).with_columns(
        pl.col([group.switch_name for group in PRODUCT_GROUPS]).cast(pl.Boolean)
    )
    found: str | None = frame.select(find_excluded_group("category")).item()
    return found


@pytest.mark.parametrize("group", PRODUCT_GROUPS, ids=lambda group: group.name)
def test_a_group_that_is_off_excludes_its_codes_and_no_others(group: ProductGroup) -> None:
    for code in sorted({code for other in PRODUCT_GROUPS for code in other.codes}):
        inside = code in group.codes or (group.suffix == "G" and code.endswith("G"))
        found = find_group(f" {code.lower()} ", group.name)
        assert found == (group.title if inside else None), code


def test_a_category_of_two_groups_is_excluded_by_either_and_names_the_first() -> None:
    assert find_group("2G") is None
    assert find_group("2G", "generic") == "genéricos"
    assert find_group("2G", "generic", "psychotropic") == "psicotrópicos"
    assert find_group("XG", "generic") == "genéricos"
    assert find_group(None, "generic", "branded") is None
