"""How the page shows what set a quantity of the predictive model: from the published row alone."""

from __future__ import annotations

from typing import Any

import polars as pl

from ipp.core.contract import Table
from ipp.core.decision.publication import publish_counters
from ipp.core.parameters import Parameters
from ipp.core.tables import PUBLISHED_RESULTS, RESULTS
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.server.web.results.calculation_steps import calculation_steps

PRODUCT = {
    "mostrador": 1, "material": 1, "inventory_model": "IPP", "price": 10.0, "minimum": 3,
    "maximum": 20, "forecast_mean": 2.0, "forecast_size": 5.0, "forecast_idle": 0.0,
    "target_investment": 30.0,
}  # fmt: skip


def published(table: Table) -> dict[str, Any]:
    """Return the product as ``table`` holds it, then as the page reads it."""
    frame = PROCESSED_TABLE.conform_rows(pl.LazyFrame([PRODUCT])).collect()
    stored = table.conform_rows(publish_counters(frame, Parameters()).rows.lazy())
    return PUBLISHED_RESULTS.conform_rows(stored).collect().row(0, named=True)


def shown(row: dict[str, Any], part: str) -> dict[str, str]:
    return {step.name: step.value for step in calculation_steps(row).get(part, ())}


def test_the_limits_are_those_that_were_published() -> None:
    row = published(PUBLISHED_RESULTS)
    assert shown(row, "limits") == {"minimum_units": "3", "maximum_units": "20"}
    assert shown(row, "budget")["rule"] == "mínimo"
    assert "next_chance" in shown(row, "budget")


def test_a_row_of_an_earlier_release_has_none() -> None:
    row = published(RESULTS)
    assert shown(row, "limits") == {}
    assert shown(row, "budget").keys() == {"budget_change", "optimum", "fill_rate"}
