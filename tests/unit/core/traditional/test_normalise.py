"""The normaliser by hand, and its laws."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from random import Random
from typing import Any

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


def cut(value: Fraction, decimals: int = 3) -> Fraction:
    return Fraction(floor(value * 10**decimals), 10**decimals)


def half_up(value: Fraction, decimals: int = 3) -> Fraction:
    return cut(value + Fraction(1, 2 * 10**decimals), decimals)


def at_reference(value: Fraction) -> int:
    return floor(value) + (value - floor(value) > Fraction(26, 100))


def exact_factors(area: int, year: int, quarter: int, ratio: Fraction, days: int) -> dict[str, Any]:
    """The normaliser's formulas in exact fractions."""
    six = half_up(area * ratio, 0)
    trim = Fraction(str(next(value for upper, value in TRIM_BRACKETS if six <= upper)))
    a, b = half_up(Fraction(year, 365)), half_up(Fraction(2 * quarter, 90))
    c, nine = cut((a + b) / 3), half_up(cut(area * ratio) * trim * days / 30)
    d = half_up(c * days)
    traditional, f = half_up(nine / 2), half_up(d / 2)
    lost = traditional + f < Fraction(26, 100)
    kind = None
    if traditional and f:
        kind = 3
        if lost and d >= Fraction(26, 100):
            kind = 22
        if lost and nine >= Fraction(26, 100):
            kind = 11
    elif traditional or f:
        kind = 1 if traditional else 2
    return {
        "factor_6": six, "factor_7": six, "trim": trim, "factor_9": nine, "factor_a": a,
        "factor_b": b, "factor_c": c, "factor_d": d, "factor_f": f,
        "weighted_traditional": traditional, "premium_result": at_reference(d),
        "combined_result": at_reference(traditional + f), "calculation_type": kind,
    }  # fmt: skip


@given(
    st.integers(0, 5) | st.integers(0, 900),
    st.integers(0, 20) | st.integers(0, 900),
    st.integers(0, 3) | st.integers(0, 300),
    st.integers(0, 10**6),
    st.integers(1, 60),
)
def test_every_factor_is_that_of_exact_fractions(
    area: int, year: int, quarter: int, millionths: int, days: int
) -> None:
    ratio = Fraction(millionths, 10**6)
    found = one(area, year, quarter, ratio=float(ratio), cover_days=days)
    exact = exact_factors(area, year, quarter, ratio, days)
    for name, value in exact.items():
        assert found[name] == (None if value is None else float(value)), name


@pytest.mark.parametrize(
    ("values", "how", "kind"),
    [
        pytest.param((0.371, 1, 0), {"ratio": 1.0}, 11, id="Factor 9 is the reference, 0.26"),
        pytest.param((0.37, 1, 0), {"ratio": 1.0}, 3, id="Factor 9 is 0.259"),
        pytest.param((0.711, 1, 0), {"ratio": 1.0}, 3, id="0.249 + 0.011 is the reference"),
        pytest.param((0.708, 1, 0), {"ratio": 1.0}, 11, id="0.248 + 0.011 is lost"),
        pytest.param((0.1, 11, 0), {"ratio": 1.0, "cover_days": 26}, 22, id="Factor D is 0.26"),
        pytest.param((0.1, 10, 0), {"ratio": 1.0, "cover_days": 26}, 3, id="Factor D is 0.234"),
    ],
)
def test_the_kind_of_calculation_at_the_reference_factor(
    values: tuple[float, float, float], how: dict[str, float], kind: int
) -> None:
    assert one(*values, **how)["calculation_type"] == kind


@pytest.mark.parametrize(("cover", "factor_d", "rounded"), [(18, 1.26, 1.0), (18.5, 1.295, 2.0)])
def test_only_decimals_beyond_the_reference_factor_round_up(
    cover: float, factor_d: float, rounded: float
) -> None:
    row = one(0, 4, 9, cover_days=cover)
    assert (row["factor_d"], row["premium_result"]) == (factor_d, rounded)
