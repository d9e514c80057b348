"""All 99 factors from the few where anything changes: the same as evaluating each of them."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core import money
from ipp.core.parameters import Parameters
from ipp.core.traditional.rounding import (
    FACTOR_PERCENTS,
    RoundingProducts,
    apply_rules,
    investment_by_factor,
    prepare_products,
)
from tests.unit.core import plain

CATEGORIES = ("EPEP", "EPEP", "GG", "OO", "", None, " r1 ", "2G", "11")
PRICES = (
    9.5, 9.51, 19.0, 38.0, 60.0, 120.0, 999.99, 1_000.0, 0.01, 0.0, None, 1_000.01, 3_500.0,
    3_500.01,
)  # fmt: skip
SCHEMA = {
    "category": pl.String, "price": pl.Float64, "area_demand": pl.Float64, "factor_9": pl.Float64,
    "factor_d": pl.Float64, "factor_f": pl.Float64, "weighted_traditional": pl.Float64,
    "sales_365d": pl.Float64, "sales_90d": pl.Float64, "inner_pack": pl.Int64,
    "included": pl.Boolean,
}  # fmt: skip


def quantities() -> st.SearchStrategy[float | None]:
    """Whole hundredths, exact and a hair beside, thousandths, and nothing; mostly below two."""
    hundredths = st.integers(0, 220).map(lambda k: k / 100)
    beside = st.tuples(hundredths, st.sampled_from((5e-11, -5e-11, 2e-10, -2e-10))).map(
        lambda pair: abs(sum(pair))
    )
    thousandths = st.integers(0, 12_000).map(lambda k: k / 1000)
    return hundredths | beside | thousandths | st.sampled_from((0.0, None))


@st.composite
def counters(draw: st.DrawFn) -> pl.DataFrame:
    """Products with independent columns, as no normaliser would relate them; nulls anywhere."""
    product = st.fixed_dictionaries(
        {
            "category": st.sampled_from(CATEGORIES),
            "price": st.sampled_from(PRICES),
            "area_demand": st.sampled_from((None, 0.0, 0.0, 1.0, 2.0, 40.0)),
            **dict.fromkeys(
                ("factor_9", "factor_d", "factor_f", "weighted_traditional"), quantities()
            ),
            "sales_365d": st.none() | st.integers(0, 120).map(float),
            "sales_90d": st.none() | st.integers(0, 6).map(lambda k: k / 2),
            "inner_pack": st.none() | st.integers(1, 8),
            "included": st.sampled_from((None, True, True, False)),
        }
    )
    n = draw(st.integers(1, 30))
    rows = draw(st.lists(product, min_size=n, max_size=n))
    frame = pl.DataFrame(rows, schema=SCHEMA)
    return frame.with_columns(
        material=pl.Series(draw(st.permutations(range(1, len(frame) + 1))), dtype=pl.Int64)
    )


def large(seed: int, n: int) -> RoundingProducts:
    """A mostrador of n products, on a grid so coarse that many of them turn at one factor."""
    random = np.random.default_rng(seed)
    grid = float(random.choice([4, 20, 100, 1000]))
    factors = {
        name: np.floor(random.exponential(mean, n) * grid) / grid * (random.random(n) < 0.8)
        for name, mean in (
            ("factor_9", 0.9),
            ("factor_d", 0.6),
            ("factor_f", 0.3),
            ("weighted_traditional", 0.4),
        )
    }
    frame = pl.DataFrame(
        {
            "material": random.permutation(n) + 1,
            "category": random.choice(["EPEP", "GG", "R1", "11"], n, p=[0.6, 0.2, 0.1, 0.1]),
            "price": random.choice([9.5, 35.0, 120.0, 990.0, 1_000.01, 3_600.0], n),
            "area_demand": random.integers(0, 12, n) * 1.0,
            **factors,
            "sales_365d": random.integers(0, 30, n) * 1.0,
            "sales_90d": random.integers(0, 4, n) * 1.0,
            "inner_pack": random.choice([1, 1, 1, 6, 10], n),
            "included": random.random(n) < 0.9,
        }
    )
    share = float(random.choice([0.0, 0.035, 0.3, 1.0]))
    return prepare_products(
        frame, Parameters(bump_share=share, max_price=float(random.choice([100.0, 3_500.0])))
    )


@given(
    counters(),
    st.sampled_from((0.0, 0.035, 0.125, 0.25, 1.0)),
    st.sampled_from((100.0, 1_000.0, 3_500.0)),
)
@settings(max_examples=50)
def test_the_curve_is_every_factor_with_a_pencil(
    frame: pl.DataFrame, share: float, highest: float
) -> None:
    parameters = Parameters(bump_share=share, max_price=highest)
    investments = investment_by_factor(prepare_products(frame, parameters))
    for percent in FACTOR_PERCENTS.tolist():
        values = plain.factor_step(frame, percent / 100, parameters)
        assert investments[percent - 1] == round(
            plain.investment(frame, values, parameters) * money.UNITS_PER_PESO
        ), percent


@given(st.integers(0, 2**32 - 1), st.integers(1, 4_200))
@settings(max_examples=40)
def test_the_curve_is_every_factor_evaluated_for_itself(seed: int, n: int) -> None:
    prepared = large(seed, n)
    price = np.where(prepared.stocked, prepared.price, 0)
    done = [apply_rules(prepared, FACTOR_PERCENTS[k : k + 1]) for k in range(len(FACTOR_PERCENTS))]
    assert investment_by_factor(prepared).tolist() == [int(s.bumped[0] @ price) for s in done]
    assert investment_by_factor(prepared, bump=False).tolist() == [
        int(s.packed[0] @ price) for s in done
    ]


def test_a_mostrador_without_products_costs_nothing_at_any_factor() -> None:
    frame = pl.DataFrame(schema=SCHEMA | {"material": pl.Int64})
    assert investment_by_factor(prepare_products(frame, Parameters())).tolist() == [0] * 99
