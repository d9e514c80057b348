"""What a sale is worth and where a quantity starts, on two or three products by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from ipp.core.decision.publication import publish_counters
from ipp.core.parameters import Parameters
from ipp.core.predictive.allocation import _counter_values, build_allocation_problem
from ipp.core.predictive.allocation import forecast_demand as read_demand
from ipp.core.workbook_columns import PROCESSED_TABLE
from tests.unit.core.predictive.test_allocation import product, published, result, rows, runs


def value(*products: tuple[float | None, float | None]) -> list[float]:
    """Value a unit of each product from its price and margin, MXN."""
    schema = {"price": pl.Float64, "margin": pl.Float64}
    frame = pl.DataFrame(list(products), schema=schema, orient="row")
    return [float(one) for one in _counter_values(frame)]


def process(*products: dict[str, object]) -> pl.DataFrame:
    frame = pl.DataFrame(list(products), infer_schema_length=None, strict=False)
    return PROCESSED_TABLE.conform_rows(frame.lazy()).collect()


@pytest.mark.parametrize(
    ("products", "values"),
    [
        pytest.param([(10, None), (20, None)], [1, 1], id="no margin is known"),
        pytest.param([(10, 0), (20, None)], [1, 1], id="all margins are 0"),
        pytest.param([(10, 3), (20, 4)], [3, 4], id="all margins are known"),
        pytest.param([(10, 3), (10, 3), (40, None)], [3, 3, 12], id="0.3 of the price"),
        pytest.param(
            [(10, 1), (10, 3), (20, 10), (100, None)], [1, 3, 10, 30], id="the median ratio"
        ),
        pytest.param([(10, 3), (None, None)], [3, 0], id="without price nothing is earned"),
        pytest.param(
            [(0, 5), (0, 2), (10, 3), (20, None)], [5, 2, 3, 6], id="price 0 has no ratio"
        ),
        pytest.param([(0, 5), (None, 2), (20, None)], [5, 2, 0], id="no ratio is known"),
    ],
)
def test_a_missing_margin_is_the_usual_part_of_the_price(
    products: list[tuple[float | None, float | None]], values: list[float]
) -> None:
    assert value(*products) == pytest.approx(values)


def test_equal_products_of_which_one_has_no_margin_hold_the_same() -> None:
    found = published(product(margin=3.0), product(material=2, margin=3.0), product(material=3))
    units: list[int] = found["optimum"].to_list()
    assert max(units) - min(units) <= 1


def test_the_value_of_a_counter_is_not_that_of_its_neighbour() -> None:
    frame = process(product(margin=3.0), product(mostrador=2), product(mostrador=2, material=2))
    problem = build_allocation_problem(
        frame, read_demand(frame), np.ones(3, dtype=np.bool_), Parameters()
    )
    assert problem.unit_value.tolist() == [3.0, 1.0, 1.0]


@settings(max_examples=60)
@given(rows(), runs)
def test_the_change_by_the_budget_is_what_the_optimum_has_beyond_the_rules(
    frame: pl.DataFrame, run: Parameters
) -> None:
    found = result(publish_counters(frame, run))
    assert (found["rule_optimum"] + found["budget_change"] == found["optimum"]).all()


def test_the_change_by_the_budget_counts_from_a_minimum_and_from_a_vital_service() -> None:
    found = published(product(minimum=2), product(material=2, vital=True), product(material=3))
    least, change = found["rule_optimum"].to_list(), found["budget_change"].to_list()
    assert least[0] == 2
    assert least[1] == found["demand_p95"][1] > 0
    assert least[2] == 0
    assert [a + b for a, b in zip(least, change, strict=True)] == found["optimum"].to_list()


def test_the_budget_adds_to_a_minimum_as_far_as_it_reaches() -> None:
    found = published(product(minimum=2, target_investment=60.0))
    assert found["optimum"][0] == 6
    assert found["budget_change"][0] == 4


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param({}, (0, None), id="none"),
        pytest.param({"minimum": 3, "maximum": 9}, (3, 9), id="given"),
        pytest.param({"minimum": 7, "maximum": 20, "inner_pack": 6}, (12, 18), id="packs"),
        pytest.param({"minimum": 9, "maximum": 4}, (4, 4), id="the maximum prevails"),
        pytest.param({"shelf_life": 60.0}, (0, 11), id="4 in 21 days, for 60 days"),
        pytest.param({"shelf_life": 21.0}, (0, 4), id="4 in 21 days, for 21"),
        pytest.param({"shelf_life": 1.0}, (0, 1), id="one is always allowed"),
        pytest.param({"shelf_life": 60.0, "maximum": 5}, (0, 5), id="the tighter one"),
        pytest.param({"minimum": 30, "vital": True}, (30, None), id="vital and more"),
    ],
)
def test_the_limits_of_a_product(
    limits: dict[str, object], expected: tuple[int, int | None]
) -> None:
    frame = process(product(**limits))
    problem = build_allocation_problem(
        frame, read_demand(frame), np.ones(1, dtype=np.bool_), Parameters()
    )
    least, most = expected
    assert problem.minimum.tolist() == [least]
    assert problem.maximum[0] == most if most is not None else problem.maximum[0] > 10**9


def test_what_is_excluded_has_no_minimum() -> None:
    frame = process(product(minimum=3))
    problem = build_allocation_problem(
        frame, read_demand(frame), np.zeros(1, dtype=np.bool_), Parameters()
    )
    assert problem.minimum.tolist() == problem.start.tolist() == [0]


def test_a_product_without_pack_price_or_forecast_has_those_that_change_nothing() -> None:
    frame = process(
        product(inner_pack=None, price=None, forecast_size=None, forecast_idle=None),
        product(material=2, inner_pack=0, forecast_mean=None),
    )
    demand = read_demand(frame)
    assert demand.mean.tolist() == [4.0, 0.0]
    assert demand.dispersion.tolist() == [1.0, 5.0]
    assert demand.zero_inflation.tolist() == [0.0, 0.0]
    problem = build_allocation_problem(frame, demand, np.ones(2, dtype=np.bool_), Parameters())
    assert problem.pack.tolist() == [1, 1]
    assert problem.price[0] == 0
