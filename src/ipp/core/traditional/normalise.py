"""Job 1, the normaliser: a counter's share of its area's demand, beside its own sales.

Source of every formula: docs/explanation/model.md, "Job 1". Rounding is a spreadsheet's: half up,
on the decimal number that a person reads and not on the binary number that stores it.
"""

from __future__ import annotations

import polars as pl

from ipp.core.parameters import (
    DAYS_PER_MONTH,
    REFERENCE_FACTOR,
    SHARE_PREMIUM,
    SHARE_TRADITIONAL,
    TRIM_BRACKETS,
)
from ipp.core.traditional.history import QUARTER_DAYS, YEAR_DAYS

_FLOAT_NOISE = 1e-6
"""Far above the error of a product of four float64, far below half of the last decimal kept."""


def area_share(counter_sales_value: float, area_forecast_value: float) -> float:
    """Return the counter's share of its area (Ratio Factor), 6 decimals; 0 without a forecast.

    Both values are in MXN.
    """
    return round(counter_sales_value / area_forecast_value, 6) if area_forecast_value > 0 else 0.0


def normalise_products(products: pl.DataFrame, *, cover_days: float) -> pl.DataFrame:
    """Add Factor 6 … Tipo de Cálculo to the products of some mostradores.

    ``products`` has area_demand (units/30 days), sales_365d and sales_90d (units), where null is 0,
    and the ratio of its mostrador, by `area_share`. ``cover_days`` is dias_inventario. Adds
    factor_6, factor_7, trim, factor_9, weighted_traditional, factor_a, factor_b, factor_c,
    factor_d, factor_f, premium_result, combined_result (units) and calculation_type.
    """
    area, ratio = pl.col("area_demand").fill_null(0), pl.col("ratio")
    year = pl.col("sales_365d").fill_null(0)
    quarter = pl.col("sales_90d").fill_null(0)
    return (
        products.with_columns(
            factor_6=_round_half_up(area * ratio, 0),
            factor_a=_round_half_up(year / YEAR_DAYS, 3),
            factor_b=_round_half_up(2 * quarter / QUARTER_DAYS, 3),
        )
        .with_columns(
            factor_7=pl.col("factor_6"),
            trim=trim_factor(pl.col("factor_6")),
            factor_c=_truncate((pl.col("factor_a") + pl.col("factor_b")) / 3, 3),
        )
        .with_columns(
            factor_9=_round_half_up(
                _truncate(area * ratio, 3) * pl.col("trim") * (cover_days / DAYS_PER_MONTH), 3
            ),
            factor_d=_round_half_up(pl.col("factor_c") * cover_days, 3),
        )
        .with_columns(
            weighted_traditional=_round_half_up(pl.col("factor_9") * SHARE_TRADITIONAL, 3),
            factor_f=_round_half_up(pl.col("factor_d") * SHARE_PREMIUM, 3),
        )
        .with_columns(
            premium_result=_round_at_reference(pl.col("factor_d")),
            combined_result=_round_at_reference(
                pl.col("weighted_traditional") + pl.col("factor_f")
            ),
        )
        .with_columns(calculation_type=_calculation_type())
    )


def trim_factor(factor_6: pl.Expr) -> pl.Expr:
    """Return the Recorte by bracket of Factor 6: the damping of fast movers, at most 1."""
    damping = pl.lit(TRIM_BRACKETS[-1][1])
    for upper, value in reversed(TRIM_BRACKETS[:-1]):
        damping = pl.when(factor_6 <= upper).then(value).otherwise(damping)
    return damping


def _round_half_up(quantity: pl.Expr, decimals: int) -> pl.Expr:
    """Round half up to ``decimals``, as a spreadsheet does."""
    return _truncate(quantity + 0.5 / 10.0**decimals, decimals)


def _truncate(quantity: pl.Expr, decimals: int) -> pl.Expr:
    """Truncate to ``decimals``, ignoring binary noise."""
    scale = 10.0**decimals
    # 0.29 × 100 is 28.999999999999996, whose floor would be 28: the noise is added first.
    # Polars divides by a constant through its reciprocal, at times one bit off: round() fixes that.
    return ((quantity * scale + _FLOAT_NOISE).floor() / scale).round(decimals)


def _round_at_reference(quantity: pl.Expr) -> pl.Expr:
    """Round as the workbook's two reference columns: up only where decimals exceed the factor."""
    floor = quantity.floor()
    return floor + (quantity - floor > REFERENCE_FACTOR + _FLOAT_NOISE).cast(pl.Float64)


def _calculation_type() -> pl.Expr:
    """Return 3 where F and PT are both nonzero, 1 for PT alone, 2 for F alone, else null.

    A 3 that rounds to 0 is 11 where Factor 9 rescues it, 22 where Factor D does.
    """
    traditional, premium = pl.col("weighted_traditional") != 0, pl.col("factor_f") != 0
    both = traditional & premium
    lost = pl.col("weighted_traditional") + pl.col("factor_f") < REFERENCE_FACTOR - _FLOAT_NOISE
    return (
        pl.when(both & lost & (pl.col("factor_9") >= REFERENCE_FACTOR))
        .then(11)
        .when(both & lost & (pl.col("factor_d") >= REFERENCE_FACTOR))
        .then(22)
        .when(both)
        .then(3)
        .when(traditional)
        .then(1)
        .when(premium)
        .then(2)
        .cast(pl.Int64)
    )
