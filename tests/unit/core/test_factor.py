"""The money of a counter is the sum of its products, at the largest numbers of a workbook."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.contract import Kind
from ipp.core.parameters import PARAMETER_FIELDS, Parameters
from ipp.core.traditional.factor import MAX_INVESTMENT_MXN, apply_factor_step
from ipp.core.workbook_columns import SOURCE_TABLE
from ipp.errors import InvalidInputError

NUMBERS = [column for column in SOURCE_TABLE.columns if column.kind in {Kind.NUMBER, Kind.COUNT}]
READ = [column for column in NUMBERS if not column.name.startswith(("recent", "counter"))]


def test_every_number_of_the_workbook_has_a_largest() -> None:
    assert [column.name for column in NUMBERS if column.maximum is None] == []


@st.composite
def largest(draw: st.DrawFn) -> pl.DataFrame:
    """Products whose numbers are the largest that their columns take, or small, or nothing."""
    columns: dict[str, list[float]] = {}
    size = draw(st.integers(1, 6))
    for column in READ:
        values = st.sampled_from([0.0, 1.0, 7.0, float(column.maximum or 0)])
        columns[column.name] = draw(st.lists(values, min_size=size, max_size=size))
    category = draw(st.sampled_from(["EPEP", "DMDM"]))
    frame = pl.DataFrame({"material": range(1, size + 1), "category": [category] * size, **columns})
    return pl.concat([frame] * draw(st.sampled_from([1, 40]))).with_columns(
        material=pl.int_range(1, pl.len() + 1)
    )


@given(
    largest(),
    st.sampled_from([3_500.0, PARAMETER_FIELDS["max_price"].maximum]),
    st.sampled_from([1.0, 21.0, PARAMETER_FIELDS["cover_days"].maximum]),
    st.sampled_from([0.01, 60_000.0, PARAMETER_FIELDS["target_investment"].maximum]),
    st.sampled_from([None, 0.01, 0.99]),
)
def test_sums_of_money_hold_every_number_that_is_accepted(
    frame: pl.DataFrame, max_price: float, cover_days: float, target: float, forced: float | None
) -> None:
    parameters = Parameters(max_price=max_price, cover_days=cover_days, forced_factor=forced)
    try:
        step = apply_factor_step(frame, parameters, target)
    except InvalidInputError as error:
        refusal = error.message
    else:
        refusal = ""
    if refusal:
        assert "pasaría de 900,000,000,000,000 MXN" in refusal
        assert frame["price"].max() == 1e7
        return
    units = [int(count) for count in step.frame["stocked_units"]]
    exact = sum(count * int(price) for count, price in zip(units, frame["price"], strict=True))
    assert min(units) >= 0
    assert step.investment == exact <= MAX_INVESTMENT_MXN
    assert all(0 <= investment <= MAX_INVESTMENT_MXN for _, investment in step.curve)
    if step.curve:
        assert dict(step.curve)[step.factor] == exact


def test_more_money_than_there_can_be_is_refused_by_its_product() -> None:
    columns = {
        "area_demand": 1.0,
        "factor_d": 1.0,
        "factor_f": 0.0,
        "sales_365d": 0.0,
        "sales_90d": 0.0,
    }
    frame = pl.DataFrame(
        {"material": [11, 12], "price": [1.0, 1e7], "factor_9": [1.0, 1e7]}
    ).with_columns(
        pl.lit("EPEP").alias("category"),
        pl.lit(1.0).alias("weighted_traditional"),
        *(pl.lit(value).alias(name) for name, value in columns.items()),
    )
    assert (
        apply_factor_step(frame, Parameters(max_price=1e7), 1.0).investment
        == 100_000_000_000_002 - 1
    )
    with pytest.raises(InvalidInputError, match=r"la del material 12, 100,000,040,000,000\.00 MXN"):
        apply_factor_step(pl.concat([frame] * 10), Parameters(max_price=1e7), 1.0)
