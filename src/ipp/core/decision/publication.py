"""Job 2 of one mostrador: from what the rules say and the money there is to what is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.decision import explain
from ipp.core.decision.budget import UNLIMITED_UNITS, AllocationProblem, fit_budget
from ipp.core.decision.demand import Demand
from ipp.core.parameters import DEMAND_SIZE, Parameters
from ipp.core.predictive.allocation import allocate_budget, forecast_demand
from ipp.core.tables import PREDICTIVE_MODEL
from ipp.core.traditional.rounding import base_quantity
from ipp.errors import InvalidInputError

PUBLISHED_QUANTILES: Final = ((0.5, "demand_p50"), (0.9, "demand_p90"), (0.95, "demand_p95"))
"""How sure, and the column that says how many units are then enough."""

MAX_DEMAND_UNITS: Final = 1e12
"""Units of a product in a cover period above which a demand is a mistake, and near what 64 bits can count."""

MAX_MONEY: Final = 4e14
"""The same of the money in question for all products, MXN: half of what 64 bits hold in units of account."""

_FAR: Final = 32.0
"""Standard deviations above its mean that a demand passes less often than `MIN_CHANCE`, whatever it is (Cantelli)."""


@dataclass(frozen=True, slots=True)
class PublishedCounter:
    """One mostrador's ``rows``, and for the predictive model its ``curve`` (`ipp.core.tables.CURVES`)."""

    rows: pl.DataFrame
    curve: pl.DataFrame | None


def publish_counter(processed: pl.DataFrame, parameters: Parameters) -> PublishedCounter:
    """Fit one mostrador's stock to its target and say why each quantity is what it is.

    ``processed`` has the columns of `ipp.core.workbook_columns.PROCESSED_TABLE`; rows come back by material, with the columns
    of `ipp.core.tables.RESULTS`, job_id and cutoff excepted, and the curve with those of its own but these.
    """
    processed = processed.sort("material")
    if processed["inventory_model"][0] == PREDICTIVE_MODEL:
        demand = forecast_demand(processed)
        _reject_uncountable(processed, demand, parameters)
        found = allocate_budget(processed, parameters)
        rows = _add_outcome_columns(found.rows, demand)
        mostrador = pl.lit(processed["mostrador"][0])
        reasoned = rows.with_columns(explain.predictive_reason(parameters).alias("reason"))
        return PublishedCounter(reasoned, found.curve.with_columns(mostrador=mostrador))
    mean = base_quantity(
        *_float_columns(processed, "factor_9", "factor_d", "factor_f", "weighted_traditional")
    )
    demand = Demand.negative_binomial(mean, DEMAND_SIZE)
    _reject_uncountable(processed, demand, parameters)
    rows = _add_outcome_columns(_fit_traditional(processed, demand, parameters), demand)
    return PublishedCounter(
        rows.with_columns(explain.quantity_reason(parameters).alias("reason")), None
    )


def _reject_uncountable(processed: pl.DataFrame, demand: Demand, parameters: Parameters) -> None:
    """Refuse a demand that no counter has, and of which 64 bits could not count the units or the money.

    Raises `InvalidInputError` that names the product that asks for most.
    """
    price, minimum, pack = _float_columns(processed, "price", "minimum", "inner_pack")
    money_of_each = price * (np.maximum(demand.mean + _FAR * demand.deviation, minimum) + pack)
    if not demand.mean.max() <= MAX_DEMAND_UNITS:  # nor one that is no number
        worst, why = int(demand.mean.argmax()), "más de las que se pueden contar"
    elif not money_of_each.sum() <= MAX_MONEY:
        worst, why = (
            int(money_of_each.argmax()),
            "y con lo demás valen más de lo que se puede contar",
        )
    else:
        return
    raise InvalidInputError(
        f"Del material {processed['material'][worst]} se esperan {demand.mean[worst]:,.0f} piezas "
        f"en {parameters.cover_days:g} días, {why}.",
        hint="Revise sus piezas en sellout, su ctd_umb en pronostico-cp, su precio y su minimo, "
        "y el monto_venta_mostrador; suele ser parte de un código de barras.",
    )


def _fit_traditional(
    processed: pl.DataFrame, demand: Demand, parameters: Parameters
) -> pl.DataFrame:
    """The rows of the traditional model with what the budget made of the rules' quantities."""
    start = processed["stocked_units"].to_numpy().astype(np.int64)
    left_out = processed.select(explain.exclusion_reason(parameters).alias("exclusion"))[
        "exclusion"
    ]
    year, quarter, price, pack = _float_columns(
        processed, "sales_365d", "sales_90d", "price", "inner_pack"
    )
    offer = AllocationProblem(
        demand=demand,
        start=start,
        minimum=np.where((year > 0) | (quarter > 0), start, 0),
        maximum=np.full(len(start), UNLIMITED_UNITS),
        price=money.to_units(price),
        pack=np.maximum(pack, 1).astype(np.int64),
        eligible=left_out.is_null().to_numpy(),
        unit_value=np.ones(len(start)),
    )
    optimum = fit_budget(
        offer, round(float(processed["target_investment"][0]) * money.UNITS_PER_PESO)
    ).units
    return processed.with_columns(
        left_out,
        pl.Series("rule_optimum", processed["bumped"]),
        pl.Series("budget_change", optimum - start),
        pl.Series("optimum", optimum),
    )


def _add_outcome_columns(decided: pl.DataFrame, demand: Demand) -> pl.DataFrame:
    """The rows with what the optimum costs, what is expected of it, and what to order for it."""
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
        *(pl.Series(name, quantiles[:, column]) for column, (_, name) in enumerate(PUBLISHED_QUANTILES)),
        pl.when(pl.col("on_hand").is_not_null()).then(pl.Series((np.ceil(missing / pack) * pack).astype(np.int64)))
        .alias("suggested_order"),
    )  # fmt: skip


def has_unknown_stock() -> pl.Expr:
    """Return which products have an optimum and no known stock: the suggested order leaves them out.

    Reads optimum and on_hand (units).
    """
    return (pl.col("optimum") > 0) & pl.col("on_hand").is_null()


def notices(processed: pl.DataFrame) -> list[str]:
    """Say what is odd about the data of one mostrador, from rows of `ipp.core.workbook_columns.PROCESSED_TABLE`."""
    unseen = processed["unseen_weeks"].drop_nulls()
    if unseen.is_empty():
        return []
    return [
        f"El mostrador {processed['mostrador'][0]} no tiene venta en las semanas {unseen[0]}: se toman como no vistas. "
        "Si falta un archivo de sell-out, impórtelo y repita el proceso."
    ]


def summarise_counters(published: pl.LazyFrame) -> pl.LazyFrame:
    """What was decided for each mostrador, from rows of `ipp.core.tables.RESULTS`, by mostrador.

    Gives mostrador, products, products_with_stock, units, investment and target_investment (MXN to the cent),
    rounding_factor, and expected_fill_rate: the part of the expected demand that is expected to be served, null
    where none is expected. products_with_unknown_stock and value_with_unknown_stock (MXN to the cent) are of the
    products of `has_unknown_stock`, by their optimum_value.
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
    """Return the sum of amounts, MXN to the cent, counted in whole units so that no order of rows changes it."""
    units = (amounts * money.UNITS_PER_PESO).round(0).cast(pl.Int64).sum()
    return (units / money.UNITS_PER_PESO).round(2)


def _float_columns(frame: pl.DataFrame, *names: str) -> list[np.typing.NDArray[np.float64]]:
    return [
        column.to_numpy() for column in frame.select(pl.col(names).cast(pl.Float64).fill_null(0.0))
    ]
