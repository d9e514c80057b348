"""The model against one real counter: every figure that the system in production wrote."""

from __future__ import annotations

import polars as pl
import pytest

from ipp.core import money
from ipp.core.parameters import Parameters
from ipp.core.traditional.factor import apply_factor_step
from ipp.core.traditional.normalise import normalise_products
from ipp.core.traditional.rounding import investment_by_factor, prepare_products
from ipp.core.workbook_columns import NORMALISED_COLUMNS, RULE_COLUMNS

INPUTS = {
    "Material": "material", "Categoría de Material": "category", "Precio Farmacia": "price",
    "Ctd.UMB": "area_demand", "Factor 9": "factor_9", "Factor D": "factor_d",
    "Factor F": "factor_f", "Ponderación Tradicional": "weighted_traditional",
    "VtasAnualDataBrick": "sales_365d", "VtasTrimDataBrick": "sales_90d",
}  # fmt: skip

SUMS = {
    0.10: 4_110_476.17, 0.11: 4_092_425.05, 0.12: 4_083_225.33, 0.14: 4_057_080.74,
    0.17: 4_027_613.85, 0.21: 3_988_024.25, 0.28: 3_898_640.39, 0.40: 3_758_855.23,
    0.59: 3_358_635.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def workbook(real: pl.DataFrame) -> pl.DataFrame:
    return real.select(pl.col(label).alias(name) for label, name in INPUTS.items())


@pytest.fixture(scope="module")
def normalised(real: pl.DataFrame) -> pl.DataFrame:
    inputs = real.select(
        area_demand="Ctd.UMB", sales_365d="Venta Neta Anual", sales_90d="Venta Neta Trim"
    )
    return normalise_products(inputs.with_columns(ratio=pl.lit(0.303912)), cover_days=21)


@pytest.mark.parametrize(
    "name",
    [
        "factor_6", "factor_7", "factor_9", "weighted_traditional", "factor_a", "factor_b",
        "factor_c", "factor_d", "factor_f", "premium_result", "calculation_type",
    ],
)  # fmt: skip
def test_the_normaliser_gives_back_every_row(
    name: str, real: pl.DataFrame, normalised: pl.DataFrame
) -> None:
    label = {c.name: c.label for c in NORMALISED_COLUMNS}[name]
    written = real[label].cast(pl.Float64).fill_null(0).to_list()
    assert normalised[name].cast(pl.Float64).fill_null(0).to_list() == written


def test_the_trim_where_there_is_demand(real: pl.DataFrame, normalised: pl.DataFrame) -> None:
    forecast = real["Recorte"].is_not_null()
    assert (
        normalised["trim"].filter(forecast).to_list() == real["Recorte"].filter(forecast).to_list()
    )


def test_the_sums_by_factor_to_the_cent(workbook: pl.DataFrame) -> None:
    investments = investment_by_factor(prepare_products(workbook, Parameters()))
    assert {f: money.to_pesos(investments[round(f * 100) - 1]) for f in SUMS} == SUMS


def test_every_quantity_with_the_workbooks_own_inner_packs(
    real: pl.DataFrame, workbook: pl.DataFrame
) -> None:
    packs = pl.when(real["sub empaque aplicado"]).then(real["sub empaque"])
    step = apply_factor_step(
        workbook.with_columns(inner_pack=packs), Parameters(forced_factor=0.11), None
    )
    for column in RULE_COLUMNS:
        if column.label in {
            "Factor Aplicado",
            "optimo venta",
            "suma optimo venta",
            "prioridad joroba",
        }:
            continue
        assert step.frame[column.name].to_list() == real[column.label].to_list(), column.label
    assert step.frame["bump_priority"].to_list() == pytest.approx(
        real["prioridad joroba"].to_list()
    )
    assert step.frame["optimum_value"].to_list() == pytest.approx(real["optimo venta"].to_list())
    assert step.frame["running_value"].to_list() == pytest.approx(
        real["suma optimo venta"].to_list()
    )
    assert step.investment == 4_096_076.85
    assert step.products_with_stock == 3_810
    assert step.products == 4_206
