"""The factor step: against the pencil, and its laws."""

from __future__ import annotations

from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core import money
from ipp.core.parameters import Parameters
from ipp.core.product_groups import BUMP_EXCLUDED
from ipp.core.traditional.factor import apply_factor_step, target_investment
from ipp.core.traditional.rounding import (
    apply_rules,
    choose_factor,
    investment_by_factor,
    prepare_products,
    round_to_packs,
)
from tests.unit.core import plain, strategies

MODEL = Parameters()


@given(strategies.products(), st.integers(1, 99))
def test_one_factor_is_what_a_pencil_gives(frame: pl.DataFrame, percent: int) -> None:
    prepared = prepare_products(frame, MODEL)
    assert apply_rules(prepared, np.array([percent])).bumped[0].tolist() == plain.factor_step(
        frame, percent / 100
    )


@given(strategies.products(most=200))
def test_a_higher_factor_never_costs_more_before_the_bump(frame: pl.DataFrame) -> None:
    assert (np.diff(investment_by_factor(prepare_products(frame, MODEL), bump=False)) <= 0).all()


@given(strategies.products(), st.randoms(use_true_random=False), st.integers(1, 99))
def test_the_order_of_the_rows_changes_nothing(
    frame: pl.DataFrame, random: Random, percent: int
) -> None:
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame[order]
    parameters = Parameters(forced_factor=percent / 100)
    one = apply_factor_step(frame, parameters, None)
    other = apply_factor_step(shuffled, parameters, None)
    columns = ["material", "bumped", "bump_applied", "stocked_units", "optimum_value"]
    assert one.frame.select(columns).equals(other.frame.sort("material").select(columns))
    assert one.investment == other.investment


@given(strategies.products(), st.integers(1, 10**10))
def test_no_other_factor_is_nearer_to_the_target(frame: pl.DataFrame, cents: int) -> None:
    investments = investment_by_factor(prepare_products(frame, MODEL))
    chosen = choose_factor(investments, cents / 100)
    gaps = np.abs(investments - cents * (money.UNITS_PER_PESO // 100))
    assert gaps[chosen - 1] == gaps.min()
    assert chosen == 1 or (gaps[: chosen - 1] > gaps.min()).all()


@given(strategies.products())
def test_the_step_adds_up(frame: pl.DataFrame) -> None:
    step = apply_factor_step(frame, MODEL, 50_000.0)
    assert step.units == step.frame["stocked_units"].sum()
    assert step.products_with_stock == (step.frame["stocked_units"] > 0).sum()
    assert step.investment == pytest.approx(step.frame["optimum_value"].sum(), abs=0.005)
    assert step.frame["running_value"][-1] == pytest.approx(step.investment, abs=0.005)
    assert dict(step.curve)[step.factor] == step.investment


@pytest.mark.parametrize(
    ("units", "pack", "packed"),
    [(9, 100, 100), (2, 25, 25), (5, 24, 24), (7, 6, 6), (8, 6, 12), (12, 6, 12), (13, 10, 20)],
)
def test_packs_by_hand(units: int, pack: int, packed: int) -> None:
    assert round_to_packs(np.array([units]), np.array([pack])).tolist() == [packed]


def test_the_joroba_spares_what_is_delicate() -> None:
    assert frozenset(plain.BARRED) == BUMP_EXCLUDED


def row(**values: object) -> pl.DataFrame:
    base = {
        "material": 1, "category": "EPEP", "price": 10.0, "area_demand": 0.0, "factor_9": 0.0,
        "factor_d": 0.0, "factor_f": 0.0, "weighted_traditional": 0.0, "sales_365d": 0.0,
        "sales_90d": 0.0, "inner_pack": None,
    }  # fmt: skip
    return pl.DataFrame([base | values], schema_overrides={"inner_pack": pl.Int64})


@pytest.mark.parametrize(
    ("values", "column", "units"),
    [
        ({"factor_9": 2.29}, "rounded", 3), ({"factor_9": 2.289}, "rounded", 2),
        ({"factor_d": 1.3, "factor_f": 0.65}, "rounded", 2),
        ({"factor_9": 3.0, "weighted_traditional": 1.5, "factor_d": 2.0, "factor_f": 1.0},
         "rounded", 3),
        ({"factor_9": 0.4, "weighted_traditional": 0.2, "factor_d": 2.1, "factor_f": 0.05},
         "rescued", 1),
        ({"factor_9": 0.1, "weighted_traditional": 0.05, "factor_d": 0.4, "factor_f": 0.2},
         "rescued", 1),
        ({"sales_365d": 10.0, "sales_90d": 1.0}, "rule_p", 1), ({"sales_365d": 6.0}, "rule_p", 0),
        ({"area_demand": 3.0, "sales_365d": 10.0, "sales_90d": 1.0}, "rule_p", 0),
        ({"area_demand": 3.0, "sales_90d": 2.0}, "rule_q", 1),
        ({"area_demand": 3.0, "sales_90d": 1.0}, "rule_q", 0),
        ({"factor_9": 9.0, "inner_pack": 100}, "packed", 100),
    ],
)  # fmt: skip
def test_each_rule_by_hand_at_factor_029(
    values: dict[str, object], column: str, units: int
) -> None:
    step = apply_factor_step(row(**values), Parameters(forced_factor=0.29), None)
    assert step.frame[column].to_list() == [units]


def test_rule_p_is_exact_decimal_arithmetic() -> None:
    """0.1 × 40 days is 4, not the 3.9999999… that binary fractions make of it."""
    frame = row(sales_365d=365 * 0.3)
    step = apply_factor_step(frame, Parameters(forced_factor=0.99, cover_days=40), None)
    assert step.frame["rule_p"].to_list() == [4]


def test_what_costs_less_than_money_can_say_has_no_price() -> None:
    step = apply_factor_step(row(price=0.00001, factor_9=4.0), Parameters(forced_factor=0.5), None)
    assert step.frame["stocked_units"].to_list() == [0]


@pytest.mark.parametrize(
    ("prices", "area_values", "materials"),
    [
        pytest.param([10.0 + n for n in range(100)], None, [97, 98, 99, 100],
                     id="3.5% of 100 is 3.5, so 4, and the dearest"),
        pytest.param([50.0] * 29, None, [1], id="of equal ones the lower material"),
        pytest.param([25.0] * 28 + [50.0], 50.0, [29], id="of those worth the same the dearer"),
        pytest.param([1_000.0] * 29, None, [1], id="up to 1,000 MXN"),
        pytest.param([1_000.01] * 29, None, [], id="and no dearer"),
    ],
)  # fmt: skip
def test_the_joroba_raises_the_first_of_those_with_one_unit(
    prices: list[float], area_values: float | None, materials: list[int]
) -> None:
    rows = [
        row(material=n, price=price, factor_9=1.0, area_demand=(area_values or price) / price)
        for n, price in enumerate(prices, 1)
    ]
    raised = apply_factor_step(pl.concat(rows), MODEL, 1.0).frame.filter("bump_applied")
    assert raised["material"].to_list() == materials
    assert set(raised["bumped"]) <= {2}


def test_what_is_too_dear_or_has_no_price_keeps_its_rules_and_gets_no_stock() -> None:
    frame = pl.concat(
        [row(material=1, price=3_500.01, factor_9=4.0), row(material=2, price=None, factor_9=4.0)],
        how="vertical_relaxed",
    )
    step = apply_factor_step(frame, Parameters(forced_factor=0.5), None)
    assert step.frame["bumped"].to_list() == [4, 4]
    assert step.frame["stocked_units"].to_list() == [0, 0]
    assert (step.investment, step.units, step.products_with_stock) == (0, 0, 0)


def test_the_target_is_the_runs_else_the_configurations_else_the_sales() -> None:
    assert (
        target_investment(
            Parameters(target_investment=5.0), configured=4.0, counter_sales_value=3.0
        )
        == 5.0
    )
    assert target_investment(MODEL, configured=4.0, counter_sales_value=3.0) == 4.0
    assert target_investment(MODEL, configured=None, counter_sales_value=30.0) == pytest.approx(
        27.25
    )
    assert target_investment(MODEL, configured=None, counter_sales_value=None) is None
