"""Allocate the budget of each counter of the predictive model (Job 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.counter_rows import slice_counters
from ipp.core.decision import explain
from ipp.core.decision.budget import (
    UNLIMITED_UNITS,
    AllocationProblem,
    BudgetFit,
    Flags,
    Floats,
    Ints,
    fit_budget,
    fit_units,
    investment_frontier,
    useful_units,
)
from ipp.core.decision.demand import Demand
from ipp.core.decision.stock_decision import describe_decision
from ipp.core.parameters import CURVE_POINTS, VITAL_SERVICE, Parameters


@dataclass(frozen=True, slots=True)
class Allocation:
    """Decided ``rows``, by mostrador and material, and the ``curves`` of fill rate by investment.

    The curves have the columns of `ipp.core.tables.CURVES` but job_id.
    """

    rows: pl.DataFrame
    curves: pl.DataFrame


def allocate_budgets(processed: pl.DataFrame, demand: Demand, parameters: Parameters) -> Allocation:
    """Spend each counter's target investment where it is expected to earn most.

    ``processed`` has the columns of `ipp.core.workbook_columns.PROCESSED_TABLE`, sorted by
    mostrador and material, and ``demand`` their `forecast_demand`. The rows add the decision and
    the columns that explain it; `ipp.core.decision.publication` adds the others of
    `ipp.core.tables.RESULTS`, as it does for every model.
    """
    exclusion = processed.select(explain.exclusion_reason(parameters).alias("exclusion"))[
        "exclusion"
    ]
    problem = build_allocation_problem(
        processed, demand, exclusion.is_null().to_numpy(), parameters
    )
    service = _service_units(problem, parameters)
    units, curves = [], []
    for mostrador, rows in slice_counters(processed).items():
        target = round(float(processed["target_investment"][rows.start]) * money.UNITS_PER_PESO)
        own = problem.select(rows)
        fit = _fit_service_first(own, service[rows], target)
        units.append(fit.units)
        curve = _investment_curve(own, service[rows], fit)
        curves.append(curve.with_columns(mostrador=pl.lit(mostrador, dtype=pl.Int64)))
    decision = describe_decision(
        problem, np.concatenate(units), _flag_column(processed, "vital"), service
    )
    decided = processed.with_columns(
        exclusion,
        *decision.to_columns(),
        pl.Series("silent_weeks", processed["silent_weeks"].cast(pl.Float64).fill_null(0)),
    )
    return Allocation(rows=decided, curves=pl.concat(curves))


def forecast_demand(processed: pl.DataFrame) -> Demand:
    """Return the forecast demand; Factor 9 is the mean of a product that the area never sold."""
    mean = processed.select(
        pl.coalesce("forecast_mean", "factor_9", pl.lit(0.0)).cast(pl.Float64)
    ).to_series()
    size = processed["forecast_size"].cast(pl.Float64).fill_null(1.0)
    idle = processed["forecast_idle"].cast(pl.Float64).fill_null(0.0)
    return Demand(mean.to_numpy(), size.to_numpy(), idle.to_numpy())


def build_allocation_problem(
    processed: pl.DataFrame,
    demand: Demand,
    eligible: Flags,
    parameters: Parameters,
) -> AllocationProblem:
    """Build the budget problem: the limits, price, pack and value of a sale of each product.

    ``eligible`` says which products may be stocked at all, shape n.
    """
    pack = np.maximum(_integer_column(processed, "inner_pack", 1), 1)
    least, maximum = _stock_limits(processed, demand, pack, parameters.cover_days)
    minimum = np.where(eligible, least, 0)
    return AllocationProblem(
        demand=demand,
        useful=useful_units(demand),
        start=minimum,
        minimum=minimum,
        maximum=maximum,
        price=money.to_units(processed["price"].cast(pl.Float64).fill_null(0.0).to_numpy()),
        pack=pack,
        eligible=eligible,
        unit_value=_unit_values(processed),
    )


def _stock_limits(
    processed: pl.DataFrame, demand: Demand, pack: Ints, cover_days: float
) -> tuple[Ints, Ints]:
    """Return the minimum and the maximum of each product in whole packs, units.

    The minimum is rounded up and the maximum down, and the maximum prevails: in packs of 6, a
    minimum of 7 is 12 and a maximum of 20 is 18.
    """
    daily = demand.mean / cover_days
    shelf = processed["shelf_life"].cast(pl.Float64).to_numpy()
    # Stock that would expire before it is sold is not bought, but one unit is always allowed: at
    # 0.2 units a day and a shelf life of 60 days, at most 12.
    sellable = np.where(
        np.isfinite(shelf), np.maximum(np.floor(np.nan_to_num(shelf) * daily), 1), UNLIMITED_UNITS
    ).astype(np.int64)
    maximum: Ints = np.minimum(_integer_column(processed, "maximum", UNLIMITED_UNITS), sellable)
    maximum = maximum // pack * pack
    vital = _flag_column(processed, "vital")
    minimum = np.maximum(
        _integer_column(processed, "minimum", 0), np.where(vital, demand.quantile(VITAL_SERVICE), 0)
    )
    return np.minimum(-(-minimum // pack) * pack, maximum), maximum


def _service_units(problem: AllocationProblem, parameters: Parameters) -> Ints:
    """Return the units of each product that the minimum fill rate needs, in whole packs.

    They are at least its minimum and at most its maximum; without a minimum fill rate, its minimum.
    """
    if parameters.minimum_service is None:
        return problem.minimum
    units = problem.demand.units_for_fill_rate(parameters.minimum_service)
    packed = np.minimum(-(-units // problem.pack) * problem.pack, problem.maximum)
    return np.where(problem.eligible, np.maximum(packed, problem.minimum), 0)


def _service_cost(problem: AllocationProblem, service: Ints) -> float:
    """Return the cost of ``service``, as a float: 64 bits may not hold it where it is refused."""
    return float((service.astype(np.float64) * problem.price).sum())


def _fit_service_first(problem: AllocationProblem, service: Ints, target: int) -> BudgetFit:
    """Spend ``target`` on ``service`` first, and the rest where it earns most.

    If it does not reach, it goes to the units of ``service`` that earn most, above the minimum of
    ``problem``.
    """
    start = service
    if _service_cost(problem, service) > target:
        start = fit_units(replace(problem, maximum=service), target)
    return fit_budget(replace(problem, start=start, minimum=start), target)


def _service_frontier(problem: AllocationProblem, service: Ints) -> tuple[Ints, Floats]:
    """Return investments and expected sales, as they grow up to ``service`` and then beyond it."""
    if (service == problem.minimum).all():
        return investment_frontier(problem, CURVE_POINTS)
    spent, sold = investment_frontier(replace(problem, maximum=service), CURVE_POINTS // 2)
    if _service_cost(problem, service) > UNLIMITED_UNITS:
        return spent, sold
    beyond = investment_frontier(replace(problem, minimum=service), CURVE_POINTS // 2)
    return np.concatenate([spent, beyond[0]]), np.concatenate([sold, beyond[1]])


def _unit_values(processed: pl.DataFrame) -> Floats:
    """Return the value of selling one unit of each product: its margin, MXN.

    A missing margin is the price times the counter's median ratio of margin to price. Every product
    of a counter has the value 1 if no margin is known there, or if all are 0.
    """
    known = processed.select("price", pl.col("margin").cast(pl.Float64))
    return np.concatenate(
        [_counter_values(known[rows]) for rows in slice_counters(processed).values()]
    )


def _counter_values(products: pl.DataFrame) -> Floats:
    """Return the `_unit_values` of one counter from its price and margin (MXN)."""
    known = products["margin"]
    if known.null_count() == len(known) or not known.sum():
        return np.ones(len(known))
    median_share = (
        (known / products["price"]).filter(known.is_not_null() & (products["price"] > 0)).median()
    )
    share = float(median_share) if isinstance(median_share, (int, float)) else 0.0
    return known.fill_null(products["price"].fill_null(0.0) * share).to_numpy()


def _integer_column(processed: pl.DataFrame, name: str, missing: int) -> Ints:
    return processed[name].cast(pl.Int64).fill_null(missing).to_numpy()


def _flag_column(processed: pl.DataFrame, name: str) -> Flags:
    return processed[name].fill_null(value=False).to_numpy()


def _investment_curve(offer: AllocationProblem, service: Ints, found: BudgetFit) -> pl.DataFrame:
    demand = offer.demand
    total = float(demand.mean[offer.eligible].sum())
    spent, sold = _service_frontier(offer, service)
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
        # Where the money is short of a minimum fill rate, what is left of it may serve more than
        # the whole minimum does at a higher price: a point below a cheaper one is left out.
        .filter(pl.col("chosen") | (pl.col("sold") >= pl.col("sold").cum_max()))
    )
    share = pl.col("sold") / total if total else pl.lit(None, dtype=pl.Float64)
    return curve.with_columns(
        share.round(6).alias("fill_rate"), pl.col("investment").round(2)
    ).drop("sold")
