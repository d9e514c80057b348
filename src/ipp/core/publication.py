"""Job 2 of one mostrador: from what the rules say and the money there is to what is published."""

from __future__ import annotations

import numpy as np
import polars as pl

from ipp.core import explain, money
from ipp.core.budget import UNLIMITED, Offer, fit
from ipp.core.demand import Demand
from ipp.core.parameters import DEMAND_SIZE, Parameters
from ipp.core.rounding import base_demand


def publish(processed: pl.DataFrame, parameters: Parameters) -> pl.DataFrame:
    """Fit one mostrador's stock to its target and say why each quantity is what it is.

    ``processed`` has the columns of `ipp.core.workbook.PROCESSED`; rows come back by material, with the columns
    of `ipp.core.tables.RESULTS`, job_id and cutoff excepted.
    """
    processed = processed.sort("material")
    mean = base_demand(*(_floats(processed, n) for n in ("factor_9", "factor_d", "factor_f", "weighted_traditional")))
    demand = Demand.around(mean, DEMAND_SIZE)
    price = money.to_units(_floats(processed, "price"))
    start = processed["stocked_units"].to_numpy().astype(np.int64)
    left_out = processed.select(explain.exclusion(parameters).alias("exclusion"))["exclusion"]
    own_sales = (_floats(processed, "sales_365d") > 0) | (_floats(processed, "sales_90d") > 0)
    offer = Offer(
        demand=demand,
        start=start,
        least=np.where(own_sales, start, 0),
        most=np.full(len(start), UNLIMITED),
        price=price,
        pack=np.maximum(_floats(processed, "inner_pack"), 1).astype(np.int64),
        open=left_out.is_null().to_numpy(),
        worth=np.ones(len(start)),
    )
    optimum = fit(offer, round(float(processed["target_investment"][0]) * money.SCALE)).units
    decided = processed.with_columns(
        left_out,
        pl.Series("rule_optimum", processed["bumped"]),
        pl.Series("budget_change", optimum - start),
        pl.Series("optimum", optimum),
        pl.Series("optimum_value", optimum * price / money.SCALE),
        pl.Series("expected_demand", mean).round(3),
        pl.Series("expected_sales", demand.expected_sales(optimum)).round(6),
    )
    return decided.with_columns(explain.reason(parameters).alias("reason"))


def summarise(published: pl.LazyFrame) -> pl.LazyFrame:
    """What was decided for each mostrador, from rows of `ipp.core.tables.RESULTS`, by mostrador.

    Gives mostrador, products, products_with_stock, units, investment and target_investment (MXN to the cent),
    rounding_factor, and expected_fill_rate: the part of the expected demand that is expected to be served, null
    where none is expected.
    """
    cents = (pl.col("optimum_value") * money.SCALE).round(0).cast(pl.Int64).sum()
    demand = pl.col("expected_demand").filter(pl.col("exclusion").is_null())
    sales = pl.col("expected_sales").filter(pl.col("exclusion").is_null())
    return (
        published.group_by("mostrador")
        .agg(
            products=pl.len().cast(pl.Int64),
            products_with_stock=(pl.col("optimum") > 0).sum().cast(pl.Int64),
            units=pl.col("optimum").sum(),
            investment=(cents / money.SCALE).round(2),
            target_investment=pl.col("target_investment").first().round(2),
            rounding_factor=pl.col("rounding_factor").first(),
            expected_fill_rate=pl.when(demand.sum() > 0).then(sales.sort().sum() / demand.sort().sum()).round(4),
        )
        .sort("mostrador")
    )


def _floats(frame: pl.DataFrame, name: str) -> np.typing.NDArray[np.float64]:
    return frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
