"""The normaliser by hand, and its laws."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.parameters import TRIM_BRACKETS
from ipp.core.traditional.normalise import area_share, normalise_products
from tests.unit.core import strategies


def one(
    area_demand: float | None, year: float | None, quarter: float | None, **how: float
) -> dict[str, object]:
    frame = pl.DataFrame(
        {"area_demand": [area_demand], "sales_365d": [year], "sales_90d": [quarter]},
        schema=dict.fromkeys(("area_demand", "sales_365d", "sales_90d"), pl.Float64),
    )
    frame = frame.with_columns(ratio=pl.lit(how.pop("ratio", 0.3)))
    return normalise_products(frame, **({"cover_days": 21} | how)).row(0, named=True)


def test_a_product_by_hand() -> None:
    """100 units in the area, a third of them here; 73 sold in a year, 27 in the last 90 days."""
    row = one(100, 73, 27, ratio=0.333333)
    assert row["factor_6"] == row["factor_7"] == 33
    assert row["trim"] == 0.9
    assert row["factor_9"] == 21.0  # trunc3(33.3333) x 0.9 x 0.7 = 20.99979
    assert row["weighted_traditional"] == 10.5
    assert (row["factor_a"], row["factor_b"]) == (0.2, 0.6)
    assert row["factor_c"] == 0.266  # 0.26666…, truncated
    assert row["factor_d"] == 5.586
    assert row["factor_f"] == 2.793
    assert row["calculation_type"] == 3


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param((40, 30, 9), 3, id="area and own sales"),
        pytest.param((40, 0, 0), 1, id="only the area"),
        pytest.param((0, 30, 9), 2, id="only own sales"),
        pytest.param((0, 0, 0), None, id="neither"),
        pytest.param((2, 1, 0), 11, id="0.21 + 0.01 is lost, Factor 9 = 0.42 rescues"),
        pytest.param((1, 9, 0), 3, id="0.105 + 0.084 is lost, 0.21 and 0.168 do not rescue"),
        pytest.param((0.5, 15, 0), 22, id="0.0525 + 0.1365 is lost, Factor D = 0.273 rescues"),
    ],
)
def test_the_kind_of_calculation(values: tuple[float, float, float], kind: int | None) -> None:
    assert one(*values)["calculation_type"] == kind


def test_a_null_is_a_zero() -> None:
    assert one(None, None, None) == one(0, 0, 0) | dict.fromkeys(
        ("area_demand", "sales_365d", "sales_90d")
    )


@pytest.mark.parametrize("upper", [upper for upper, _ in TRIM_BRACKETS[:-1]])
def test_a_trim_bracket_ends_at_its_number(upper: float) -> None:
    here, beyond = (one(units, 0, 0, ratio=1)["trim"] for units in (upper, upper + 1))
    values = dict(TRIM_BRACKETS)
    assert here == values[upper]
    assert beyond == TRIM_BRACKETS[[u for u, _ in TRIM_BRACKETS].index(upper) + 1][1]


@given(st.integers(0, 10**9), st.integers(1, 10**10))
def test_the_ratio_has_six_decimals(sales: int, forecast: int) -> None:
    share = area_share(sales / 100, forecast / 100)
    assert share == round(share, 6)
    assert share == pytest.approx(sales / forecast, abs=5.1e-7)


def test_an_area_without_a_forecast_gives_no_share() -> None:
    assert area_share(1_000.0, 0.0) == 0.0


@given(strategies.raw_products(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(frame: pl.DataFrame, random: Random) -> None:
    order = list(range(len(frame)))
    random.shuffle(order)
    frame = frame.with_columns(ratio=pl.lit(0.25))
    one_way = normalise_products(frame, cover_days=21)
    assert normalise_products(frame[order], cover_days=21).sort("material").equals(one_way)


@given(st.integers(0, 900), st.integers(0, 400), st.integers(0, 100))
def test_every_factor_is_written_with_three_decimals(area: int, year: int, quarter: int) -> None:
    for name, value in one(area, year, quarter).items():
        if isinstance(value, float):
            assert value == round(value, 3), name
