"""Publish counters (Job 2): fit quantities to each budget and add what people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.counter_rows import merge_counters, slice_counters, sort_counters
from ipp.core.decision import explain
from ipp.core.decision.budget import UNLIMITED_UNITS, AllocationProblem, fit_units, useful_units
from ipp.core.decision.demand import Demand
from ipp.core.parameters import DEMAND_SIZE, Parameters
from ipp.core.predictive.allocation import Allocation, allocate_budgets, forecast_demand
from ipp.core.tables import CURVES, PREDICTIVE_MODEL
from ipp.core.traditional.rounding import base_quantity
from ipp.errors import InvalidInputError

PUBLISHED_QUANTILES: Final = ((0.5, "demand_p50"), (0.9, "demand_p90"), (0.95, "demand_p95"))
"""Quantile levels of demand, and the column that each is published as."""

MAX_DEMAND_UNITS: Final = 1e12
"""Units of a product in a cover period above which a demand must be a mistake.

Far more would overflow 64 bits.
"""

MAX_MONEY: Final = 4e14
"""Cost of all products, MXN, above which it may overflow: half of what 64 bits hold."""

_FAR: Final = 32.0
"""Standard deviations above its mean that any demand exceeds less often than `MIN_CHANCE`.

By Cantelli's inequality: 1 / (1 + 32²) = 1 / 1,025.
"""


@dataclass(frozen=True, slots=True)
class PublishedCounters:
    """Published ``rows`` of some counters, and the ``curves`` of those of the predictive model."""

    rows: pl.DataFrame
    curves: pl.DataFrame


def publish_counters(processed: pl.DataFrame, parameters: Parameters) -> PublishedCounters:
    """Fit each counter's stock to its target investment and explain each quantity.

    ``processed`` has the columns of `ipp.core.workbook_columns.PROCESSED_TABLE`. Rows come back by
    mostrador and material with the columns of `ipp.core.tables.PUBLISHED_RESULTS` except job_id and
    cutoff, the curves with those of `ipp.core.tables.CURVES` except job_id. Raises
    `InvalidInputError` for a demand that cannot be counted.
    """
    processed = sort_counters(processed)
    predictive = pl.col("inventory_model").eq_missing(PREDICTIVE_MODEL)
    rows, curves = [], pl.DataFrame(schema=CURVES.schema).drop("job_id")
    if len(of_model := processed.filter(predictive)):
        allocation = _publish_predictive(of_model, parameters)
        rows.append(allocation.rows)
        curves = allocation.curves
    if len(of_model := processed.filter(~predictive)):
        rows.append(_publish_traditional(of_model, parameters))
    return PublishedCounters(merge_counters(rows), curves)


def _publish_predictive(processed: pl.DataFrame, parameters: Parameters) -> Allocation:
    demand = forecast_demand(processed)
    _reject_uncountable(processed, demand, parameters)
    allocation = allocate_budgets(processed, demand, parameters)
    rows = _add_outcome_columns(allocation.rows, demand)
    reason = explain.predictive_reason(parameters).alias("reason")
    return Allocation(rows.with_columns(reason), allocation.curves)


def _publish_traditional(processed: pl.DataFrame, parameters: Parameters) -> pl.DataFrame:
    mean = base_quantity(
        *_float_columns(processed, "factor_9", "factor_d", "factor_f", "weighted_traditional")
    )
    demand = Demand.negative_binomial(mean, DEMAND_SIZE)
    _reject_uncountable(processed, demand, parameters)
    rows = _add_outcome_columns(_fit_traditional(processed, demand, parameters), demand)
    return rows.with_columns(explain.quantity_reason(parameters).alias("reason"))


def _reject_uncountable(processed: pl.DataFrame, demand: Demand, parameters: Parameters) -> None:
    """Reject a demand so large that 64 bits might not hold its units or its counter's cost.

    Raises `InvalidInputError` that names the product with the largest one.
    """
    price, minimum, pack = _float_columns(processed, "price", "minimum", "inner_pack")
    cost = price * (np.maximum(demand.mean + _FAR * demand.deviation, minimum) + pack)
    for rows in slice_counters(processed).values():
        # ``not … <=`` instead of ``>``, so that NaN is rejected too.
        if not demand.mean[rows].max() <= MAX_DEMAND_UNITS:
            worst, why = int(demand.mean[rows].argmax()), "más de las que se pueden contar"
        elif not cost[rows].sum() <= MAX_MONEY:
            worst, why = (
                int(cost[rows].argmax()),
                "y con lo demás valen más de lo que se puede contar",
            )
        else:
            continue
        worst += rows.start
        raise InvalidInputError(
            f"Del material {processed['material'][worst]} se esperan {demand.mean[worst]:,.0f} "
            f"piezas en {parameters.cover_days:g} días, {why}.",
            hint="Revise sus piezas en sellout, su ctd_umb en pronostico-cp, su precio y su "
            "minimo, y el monto_venta_mostrador; suele ser parte de un código de barras.",
        )


def _fit_traditional(
    processed: pl.DataFrame, demand: Demand, parameters: Parameters
) -> pl.DataFrame:
    """Fit the quantities of the traditional rules to each budget and add them as columns."""
    start = processed["stocked_units"].to_numpy().astype(np.int64)
    exclusion = processed.select(explain.exclusion_reason(parameters).alias("exclusion"))[
        "exclusion"
    ]
    year, quarter, price, pack = _float_columns(
        processed, "sales_365d", "sales_90d", "price", "inner_pack"
    )
    problem = AllocationProblem(
        demand=demand,
        useful=useful_units(demand),
        start=start,
        minimum=np.where((year > 0) | (quarter > 0), start, 0),
        maximum=np.full(len(start), UNLIMITED_UNITS),
        price=money.to_units(price),
        pack=np.maximum(pack, 1).astype(np.int64),
        eligible=exclusion.is_null().to_numpy(),
        unit_value=np.ones(len(start)),
    )
    target = processed["target_investment"]
    optimum = np.concatenate(
        [
            fit_units(problem.select(rows), round(float(target[rows.start]) * money.UNITS_PER_PESO))
            for rows in slice_counters(processed).values()
        ]
    )
    return processed.with_columns(
        exclusion,
        pl.Series("rule_optimum", processed["bumped"]),
        pl.Series("budget_change", optimum - start),
        pl.Series("optimum", optimum),
    )


def _add_outcome_columns(decided: pl.DataFrame, demand: Demand) -> pl.DataFrame:
    """Add the cost of the optimum, its expected demand and sales, and the suggested order."""
    optimum = decided["optimum"].to_numpy()
    price, pack, on_hand, in_transit = _float_columns(
        decided, "price", "inner_pack", "on_hand", "in_transit"
    )
    sales = demand.expected_sales(optimum)
    served = np.divide(sales, demand.mean, out=np.ones_like(sales), where=demand.mean > 0)
    quantiles = demand.quantiles([level for level, _ in PUBLISHED_QUANTILES])
    pack = np.maximum(pack, 1)
    missing = np.maximum(optimum - on_hand - in_transit, 0)
    return decided.with_columns(
        pl.Series("optimum_value", optimum * money.to_units(price) / money.UNITS_PER_PESO),
        pl.Series("expected_demand", demand.mean).round(3),
        pl.Series("expected_sales", sales).round(6),
        pl.Series("fill_rate", np.where(demand.mean > 0, served, np.nan)).fill_nan(None).round(4),
        *(
            pl.Series(name, quantiles[:, column])
            for column, (_, name) in enumerate(PUBLISHED_QUANTILES)
        ),
        pl.when(pl.col("on_hand").is_not_null())
        .then(pl.Series((np.ceil(missing / pack) * pack).astype(np.int64)))
        .alias("suggested_order"),
    )


def has_unknown_stock() -> pl.Expr:
    """Return whether a product has an optimum and no known stock, so that no order is suggested.

    Reads optimum and on_hand (units).
    """
    return (pl.col("optimum") > 0) & pl.col("on_hand").is_null()


def summarise_counters(published: pl.LazyFrame) -> pl.LazyFrame:
    """Summarise the decision for each counter from rows of `ipp.core.tables.RESULTS`, by mostrador.

    Returns mostrador, products, products_with_stock, units, investment and target_investment (MXN
    to the cent), rounding_factor, and expected_fill_rate: expected sales over expected demand, null
    without expected demand. products_with_unknown_stock and value_with_unknown_stock (their
    optimum_value, MXN to the cent) are about the products of `has_unknown_stock`.
    """
    demand = pl.col("expected_demand").filter(pl.col("exclusion").is_null())
    sales = pl.col("expected_sales").filter(pl.col("exclusion").is_null())
    return (
        published.group_by("mostrador")
        .agg(
            products=pl.len().cast(pl.Int64),
            products_with_stock=(pl.col("optimum") > 0).sum().cast(pl.Int64),
            units=pl.col("optimum").sum(),
            investment=_total_pesos(pl.col("optimum_value")),
            target_investment=pl.col("target_investment").first().round(2),
            rounding_factor=pl.col("rounding_factor").first(),
            expected_fill_rate=pl.when(demand.sum() > 0)
            .then(sales.sort().sum() / demand.sort().sum())
            .round(4),
            products_with_unknown_stock=has_unknown_stock().sum().cast(pl.Int64),
            value_with_unknown_stock=_total_pesos(
                pl.col("optimum_value").filter(has_unknown_stock())
            ),
        )
        .sort("mostrador")
    )


def _total_pesos(amounts: pl.Expr) -> pl.Expr:
    """Return the sum of amounts, MXN to the cent, independent of the order of rows.

    It is counted in whole units of account, because sums of floats depend on their order.
    """
    units = (amounts * money.UNITS_PER_PESO).round(0).cast(pl.Int64).sum()
    # As `money.to_pesos`: half a cent to the even one, told in integers.
    cents, half = units // money.UNITS_PER_CENT, money.UNITS_PER_CENT // 2
    rest = units - cents * money.UNITS_PER_CENT
    up = (rest > half) | ((rest == half) & (cents % 2 == 1))
    # Polars divides by a literal as it multiplies by its inverse, so the last bit needs rounding.
    return ((cents + up.cast(pl.Int64)) / 100).round(2)


def _float_columns(frame: pl.DataFrame, *names: str) -> list[np.typing.NDArray[np.float64]]:
    return [
        column.to_numpy() for column in frame.select(pl.col(names).cast(pl.Float64).fill_null(0.0))
    ]
