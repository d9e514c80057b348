"""Job 2 of one mostrador of the predictive model: stock where it is expected to earn most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.decision import explain
from ipp.core.decision.budget import (
    UNLIMITED_UNITS,
    AllocationProblem,
    BudgetFit,
    Floats,
    Ints,
    fit_budget,
    investment_frontier,
)
from ipp.core.decision.demand import Demand
from ipp.core.parameters import CURVE_POINTS, VITAL_SERVICE, Parameters


@dataclass(frozen=True, slots=True)
class Allocation:
    """``rows`` by material, and the ``curve`` of what each investment would serve (see `ipp.core.tables.CURVES`)."""

    rows: pl.DataFrame
    curve: pl.DataFrame


def allocate_budget(processed: pl.DataFrame, parameters: Parameters) -> Allocation:
    """Spend one mostrador's target where it is expected to earn most and say why each quantity is what it is.

    ``processed`` has the columns of `ipp.core.workbook_columns.PROCESSED_TABLE`; the rows that come back have those of
    `ipp.core.tables.RESULTS` but for what `ipp.core.decision.publication` adds to every model's.
    """
    processed = processed.sort("material")
    left_out = processed.select(explain.exclusion_reason(parameters).alias("exclusion"))[
        "exclusion"
    ]
    demand = forecast_demand(processed)
    offer = build_allocation_problem(processed, demand, left_out.is_null().to_numpy(), parameters)
    target = round(float(processed["target_investment"][0]) * money.UNITS_PER_PESO)
    found = fit_budget(offer, target)
    decided = processed.with_columns(
        left_out,
        pl.Series("rule_optimum", offer.minimum),
        pl.Series("budget_change", found.units - offer.minimum),
        pl.Series("optimum", found.units),
        pl.Series("least", offer.minimum),
        pl.Series("most", offer.maximum),
        pl.Series("next_chance", demand.survival(found.units + 1)),
        pl.Series("silent_weeks", processed["silent_weeks"].cast(pl.Float64).fill_null(0)),
    )
    return Allocation(rows=decided, curve=_investment_curve(offer, found, demand))


def forecast_demand(processed: pl.DataFrame) -> Demand:
    """The demand that was forecast; of a product that the area never sold, the traditional model's share of it."""
    mean = processed.select(
        pl.coalesce("forecast_mean", "factor_9", pl.lit(0.0)).cast(pl.Float64)
    ).to_series()
    size = processed["forecast_size"].cast(pl.Float64).fill_null(1.0)
    idle = processed["forecast_idle"].cast(pl.Float64).fill_null(0.0)
    return Demand(mean.to_numpy(), size.to_numpy(), idle.to_numpy())


def build_allocation_problem(
    processed: pl.DataFrame,
    demand: Demand,
    eligible: np.typing.NDArray[np.bool_],
    parameters: Parameters,
) -> AllocationProblem:
    """What each product may hold and what it earns; ``open_`` says which of them may be stocked at all."""
    pack = np.maximum(_integer_column(processed, "inner_pack", 1), 1)
    daily = demand.mean / parameters.cover_days
    shelf = processed["shelf_life"].cast(pl.Float64).to_numpy()
    # What would not be sold before it expires is not bought; one unit may always be.
    sellable = np.where(
        np.isfinite(shelf), np.maximum(np.floor(np.nan_to_num(shelf) * daily), 1), UNLIMITED_UNITS
    )
    most = (
        np.minimum(
            _integer_column(processed, "maximum", UNLIMITED_UNITS), sellable.astype(np.int64)
        )
        // pack
        * pack
    )
    vital = processed["vital"].fill_null(value=False).to_numpy()
    least = np.maximum(
        _integer_column(processed, "minimum", 0), np.where(vital, demand.quantile(VITAL_SERVICE), 0)
    )
    least = np.where(eligible, np.minimum(-(-least // pack) * pack, most), 0)
    return AllocationProblem(
        demand=demand,
        start=least,
        minimum=least,
        maximum=most,
        price=money.to_units(processed["price"].cast(pl.Float64).fill_null(0.0).to_numpy()),
        pack=pack,
        eligible=eligible,
        unit_value=_unit_values(processed),
    )


def _unit_values(processed: pl.DataFrame) -> Floats:
    """What a sale is worth: its margin, by the usual one where it is not known; alike where none is."""
    known = processed["margin"].cast(pl.Float64)
    if known.null_count() == len(known) or not known.sum():
        return np.ones(len(known))
    usual = (
        (known / processed["price"]).filter(known.is_not_null() & (processed["price"] > 0)).median()
    )
    share = float(usual) if isinstance(usual, (int, float)) else 0.0
    return known.fill_null(processed["price"].fill_null(0.0) * share).to_numpy()


def _integer_column(processed: pl.DataFrame, name: str, missing: int) -> Ints:
    return processed[name].cast(pl.Int64).fill_null(missing).to_numpy()


def _investment_curve(offer: AllocationProblem, found: BudgetFit, demand: Demand) -> pl.DataFrame:
    total = float(demand.mean[offer.eligible].sum())
    spent, sold = investment_frontier(offer, CURVE_POINTS)
    chosen = float(demand.expected_sales(found.units)[offer.eligible].sum())
    rows: list[tuple[float, float, bool, float | None]]
    rows = [
        (m / money.UNITS_PER_PESO, s, False, None)
        for m, s in zip(spent.tolist(), sold.tolist(), strict=True)
    ]
    rows.append(
        (offer.total_cost(found.units) / money.UNITS_PER_PESO, chosen, True, found.optimality_gap)
    )
    schema = {"investment": pl.Float64, "sold": pl.Float64, "chosen": pl.Boolean, "gap": pl.Float64}
    curve = (
        pl.DataFrame(rows, schema=schema, orient="row")
        .unique("investment", keep="last")
        .sort("investment")
    )
    share = pl.col("sold") / total if total else pl.lit(None, dtype=pl.Float64)
    return curve.with_columns(
        share.round(6).alias("fill_rate"), pl.col("investment").round(2)
    ).drop("sold")
