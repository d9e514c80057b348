"""Job 2 of one mostrador: the decision, its sentence and its summary."""

from __future__ import annotations

from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.decision.publication import publish_counters, summarise_counters
from ipp.core.parameters import Parameters
from ipp.core.tables import RESULTS
from ipp.core.traditional.factor import apply_factor_step
from ipp.core.workbook_columns import PROCESSED_TABLE
from tests.unit.core import strategies


def processed(frame: pl.DataFrame, parameters: Parameters, target: float) -> pl.DataFrame:
    for column in PROCESSED_TABLE.columns:
        if column.name not in frame.columns and column.name in {
            "exclusion_group",
            "inner_pack",
            "description",
        }:
            frame = frame.with_columns(pl.lit(None, column.dtype).alias(column.name))
    frame = frame.with_columns(
        included=pl.col("exclusion_group").is_null(), mostrador=pl.lit(7_051_602)
    )
    return PROCESSED_TABLE.conform_rows(
        apply_factor_step(frame, parameters, target).frame.lazy()
    ).collect()


def published(
    frame: pl.DataFrame, target: float, parameters: Parameters | None = None
) -> pl.DataFrame:
    parameters = parameters or Parameters()
    return RESULTS.conform_rows(
        publish_counters(processed(frame, parameters, target), parameters).rows.lazy()
    ).collect()


targets = st.integers(100, 10_000_000).map(lambda cents: cents / 100)


@given(strategies.products(), targets)
def test_units_and_money_are_conserved(frame: pl.DataFrame, target: float) -> None:
    rows = published(frame, target)
    assert len(rows) == len(frame)
    stocked = rows.filter(pl.col("exclusion").is_null())
    assert (stocked["rule_optimum"] + stocked["budget_change"] == stocked["optimum"]).all()
    value = (rows["optimum"] * rows["price"].fill_null(0)).to_list()
    assert rows["optimum_value"].to_list() == pytest.approx(value)
    summary = summarise_counters(rows.lazy()).collect().row(0, named=True)
    assert summary["units"] == rows["optimum"].sum()
    assert summary["investment"] == pytest.approx(rows["optimum_value"].sum(), abs=0.006)
    expects = rows.filter(pl.col("exclusion").is_null())["expected_demand"].sum() > 0
    assert (
        0 <= summary["expected_fill_rate"] <= 1
        if expects
        else summary["expected_fill_rate"] is None
    )


@given(strategies.products(), targets, st.data())
def test_ordered_held_and_left_out_products_are_every_product_with_an_optimum(
    frame: pl.DataFrame, target: float, data: st.DataObject
) -> None:
    units = st.lists(
        st.none() | st.integers(0, 40).map(float), min_size=len(frame), max_size=len(frame)
    )
    stock = {
        name: pl.Series(data.draw(units), dtype=pl.Float64) for name in ("on_hand", "in_transit")
    }
    rows = published(frame.with_columns(**stock), target)
    wanted = [row for row in rows.iter_rows(named=True) if row["optimum"] > 0]
    unknown = [row for row in wanted if row["on_hand"] is None]
    ordered = [row for row in wanted if (row["suggested_order"] or 0) > 0]
    held = [row for row in wanted if row["suggested_order"] == 0]
    materials = [row["material"] for part in (unknown, ordered, held) for row in part]
    assert sorted(materials) == sorted(row["material"] for row in wanted)
    cents = sum(row["optimum"] * round(row["price"] * 100) for row in unknown)
    summary = summarise_counters(rows.lazy()).collect().row(0, named=True)
    assert summary["products_with_unknown_stock"] == len(unknown)
    assert summary["value_with_unknown_stock"] == cents / 100


@given(strategies.products(), targets)
def test_what_sells_is_never_cut_below_its_rule_and_the_target_is_kept_where_it_can_be(
    frame: pl.DataFrame, target: float
) -> None:
    rows = published(frame, target)
    selling = rows.filter(pl.col("exclusion").is_null() & (pl.col("sales_365d") > 0))
    assert (selling["budget_change"] >= 0).all()
    if rows["optimum_value"].sum() > target + 0.005:
        assert (rows.filter(pl.col("sales_365d") == 0)["optimum"] == 0).all()


@given(strategies.products(), targets)
def test_every_product_has_a_sentence_and_what_is_left_out_says_why(
    frame: pl.DataFrame, target: float
) -> None:
    rows = published(frame, target)
    assert rows["reason"].null_count() == 0
    assert rows["reason"].str.contains(r"^[A-ZÓ].*\.$").all()
    dear_or_free = (rows["price"].fill_null(0) <= 0) | (rows["price"] > 3_500).fill_null(
        value=False
    )
    assert rows["exclusion"].is_not_null().to_list() == dear_or_free.to_list()
    assert (rows.filter(pl.col("exclusion").is_not_null())["optimum"] == 0).all()


@given(strategies.products(), targets, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    frame: pl.DataFrame, target: float, random: Random
) -> None:
    order = list(range(len(frame)))
    random.shuffle(order)
    assert published(frame, target).equals(published(frame[order], target))


def one(
    target: float = 20.0, parameters: Parameters | None = None, **values: object
) -> dict[str, object]:
    base: dict[str, object] = {
        "material": 1, "category": "EPEP", "price": 10.0, "area_demand": 0.0, "factor_9": 0.0,
        "factor_d": 0.0, "factor_f": 0.0, "weighted_traditional": 0.0, "sales_365d": 0.0,
        "sales_90d": 0.0, "inner_pack": None, "exclusion_group": None,
    }  # fmt: skip
    frame = pl.DataFrame(
        [base | values], schema_overrides={"inner_pack": pl.Int64, "exclusion_group": pl.String}
    )
    return published(frame, target, parameters).row(0, named=True)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"factor_9": 1.5, "weighted_traditional": 0.75, "factor_d": 1.2, "factor_f": 0.6},
         "Óptimo 2: se esperan 1.35 piezas en 21 días por el área y la venta propia; "
         "el factor 0.3 lo redondea a 2."),
        ({"factor_d": 1.3, "factor_f": 0.65, "inner_pack": 6, "sales_365d": 20.0},
         "por la venta propia; el factor 0.3 lo redondea a 2; en sub empaques de 6 son 6."),
        ({"factor_9": 1.0, "target": 35.0}, "el ajuste al presupuesto suma 2."),
        ({"factor_9": 3.0, "target": 15.0}, "el ajuste al presupuesto quita 2."),
        ({"factor_9": 0.4, "weighted_traditional": 0.2, "factor_f": 0.05, "factor_d": 0.1},
         "el factor 0.3 lo redondea a 0; el rescate toma la demanda del área (0.4) y da 1"),
        ({"factor_9": 0.1, "weighted_traditional": 0.05, "factor_f": 0.2, "factor_d": 0.4},
         "el rescate toma la venta propia (0.4) y da 1"),
        ({"sales_365d": 15.0, "sales_90d": 1.0}, "la venta del año da 1 (Óptimo P)"),
        ({"area_demand": 1.0, "sales_90d": 3.0},
         "se vendieron 3 piezas en 90 días y queda 1 (Óptimo Q)"),
        ({}, "Óptimo 0: no hay demanda en el área ni venta del mostrador en el año."),
        ({"price": None, "factor_9": 1.0}, "No se surte: no tiene precio."),
        ({"price": 1_234_567.5, "factor_9": 1.0}, "su precio, 1,234,567.50 MXN, pasa del máximo"),
        ({"exclusion_group": "refrigerados", "factor_9": 1.0}, "deja fuera el grupo refrigerados"),
    ],
)  # fmt: skip
def test_the_rule_that_set_it_is_named(values: dict[str, Any], part: str) -> None:
    assert part in str(one(parameters=Parameters(forced_factor=0.3), **values)["reason"])


def test_the_highest_price_is_the_runs() -> None:
    row = one(parameters=Parameters(max_price=9.5), factor_9=1.0)
    assert row["reason"] == "No se surte: su precio, 10.00 MXN, pasa del máximo de 9.50 MXN."
    assert row["optimum"] == 0


def test_the_bump_is_named() -> None:
    rows = pl.concat(
        pl.DataFrame(
            {
                "material": [material], "category": ["EPEP"], "price": [10.0], "area_demand": [1.0],
                "factor_9": [1.0], "factor_d": [0.0], "factor_f": [0.0],
                "weighted_traditional": [0.0], "sales_365d": [0.0], "sales_90d": [0.0],
            }
        )
        for material in range(1, 30)
    )  # fmt: skip
    reasons = published(rows, 300.0)["reason"]
    assert reasons.str.contains("la joroba lo eleva de 1 a 2", literal=True).sum() == 1
