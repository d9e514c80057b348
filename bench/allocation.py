"""One counter of the predictive model, from sell-out to optimum, and its share of the budget.

    python bench/allocation.py

One counter of 6,000 products with two years of weeks, and its three neighbours, whose sell-out it
learns from too.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.decision.budget import (
    UNLIMITED_UNITS,
    AllocationProblem,
    fit_budget,
    useful_units,
)
from ipp.core.decision.demand import Demand
from ipp.core.decision.publication import publish_counters
from ipp.core.parameters import Parameters
from ipp.core.predictive.weeks import predict_area
from ipp.core.workbook_columns import PROCESSED_TABLE
from measure import print_figure, time_function

PRODUCTS, COUNTERS, WEEKS = 6_000, 4, 104


def sold(counters: int) -> pl.DataFrame:
    """A row for each week with a sale."""
    rng = np.random.default_rng(1)
    level = rng.gamma(0.6, 1.2, PRODUCTS)
    parts = []
    for mostrador in range(1, counters + 1):
        units = rng.poisson(level[:, None] * rng.gamma(2.0, 0.5, (PRODUCTS, WEEKS)))
        product, week = np.nonzero(units)
        columns = {
            "material": product,
            "week": week,
            "units": units[product, week].astype(np.float64),
        }
        parts.append(
            pl.DataFrame(columns).with_columns(mostrador=pl.lit(mostrador, dtype=pl.Int64))
        )
    return pl.concat(parts)


def main() -> None:
    catalogue = pl.DataFrame(
        {"material": np.arange(PRODUCTS), "category": [f"C{n % 12}" for n in range(PRODUCTS)]}
    )
    empty = pl.DataFrame(schema={"mostrador": pl.Int64, "material": pl.Int64})
    price = np.random.default_rng(2).lognormal(5.3, 1.0, PRODUCTS).round(2)
    target = 21 / 7 * 0.72 * PRODUCTS * 250.0

    def whole(rows: pl.DataFrame) -> pl.DataFrame:
        expected = predict_area(rows, catalogue, empty, 21.0).filter(mostrador=1)
        frame = expected.with_columns(
            price=pl.Series(price[expected["material"].to_numpy()]),
            inventory_model=pl.lit("IPP"),
            target_investment=pl.lit(target),
        )
        return publish_counters(
            PROCESSED_TABLE.conform_rows(frame.lazy()).collect(), Parameters()
        ).rows

    alone, among = (time_function(partial(whole, sold(counters)), 5) for counters in (1, COUNTERS))
    what = f"sell-out to optimum, {PRODUCTS:,} products"
    print_figure(f"{what}, alone in its area", alone, "s", {"target": 1.0}, digits=2)
    print_figure(
        f"{what}, {COUNTERS} counters in its area",
        among,
        "s",
        {"target": 1.0, "alone in it": alone},
        digits=2,
    )
    demand = Demand.negative_binomial(np.random.default_rng(3).gamma(0.6, 4.0, PRODUCTS), 2.0)
    nothing = np.zeros(PRODUCTS, dtype=np.int64)
    offer = AllocationProblem(
        demand=demand,
        useful=useful_units(demand),
        start=nothing,
        minimum=nothing,
        maximum=np.full(PRODUCTS, UNLIMITED_UNITS),
        price=money.to_units(price),
        pack=np.ones(PRODUCTS, dtype=np.int64),
        eligible=np.ones(PRODUCTS, dtype=np.bool_),
        unit_value=np.ones(PRODUCTS),
    )
    units = round(target * money.UNITS_PER_PESO)
    seconds = time_function(lambda: fit_budget(offer, units), 10)
    print_figure(
        f"allocation of {PRODUCTS:,} products", seconds * 1e3, "ms", {"target": 200.0}, digits=0
    )
    gap = 100 * fit_budget(offer, units).optimality_gap
    print_figure("gap to the bound of the linear relaxation", gap, "%", {"target": 0.01}, digits=6)


if __name__ == "__main__":
    main()
