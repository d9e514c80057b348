"""What the pages of results show, from what a job published and what its stages left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.decision import explain
from ipp.core.decision.budget import UNLIMITED_UNITS
from ipp.core.parameters import Parameters
from ipp.core.predictive import weeks
from ipp.core.predictive.allocation import build_allocation_problem, forecast_demand
from ipp.core.tables import PREDICTIVE_MODEL, RESULTS, SELLOUT
from ipp.core.traditional import rounding
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.errors import NotFoundError
from ipp.server.api.dependencies import Services
from ipp.server.api.row_routes import check_published
from ipp.storage.files.file_store import FileStore
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.warehouse import TableRow

PARETO_SHARE: Final = 0.8
"""The part of the investment that Pareto's rule is told of."""


@dataclass(frozen=True, slots=True)
class InvestmentBreakdown:
    """Where a mostrador's investment went: ``categories`` by money, falling, and the products' ``values``, falling.

    The category of the products without one is empty.
    """

    categories: Sequence[Mapping[str, Any]]
    values: Sequence[float]

    @property
    def total(self) -> float:
        """All of it, MXN."""
        return float(sum(self.values))

    @property
    def shares(self) -> Sequence[float]:
        """The part of it that the first 1, 2, 3 … products hold."""
        return [] if not self.total else (np.cumsum(self.values) / self.total).tolist()

    @property
    def few(self) -> int:
        """How many products hold `PARETO_SHARE` of it."""
        return int(np.searchsorted(self.shares, PARETO_SHARE)) + 1 if self.total else 0


def published_rows(lakehouse: Lakehouse, job_id: str, mostrador: int) -> pl.LazyFrame:
    """What a job published of a mostrador."""
    return lakehouse.scan_table(RESULTS, [job_id]).filter(pl.col("mostrador") == mostrador)


def break_down_investment(lakehouse: Lakehouse, job_id: str, mostrador: int) -> InvestmentBreakdown:
    """Where a mostrador's investment went; categories without any are among them."""
    value = pl.col("optimum_value").fill_null(0.0)
    rows = (
        published_rows(lakehouse, job_id, mostrador)
        .select(pl.col("category").fill_null(""), value)
        .collect()
    )
    by_category = rows.group_by("category").agg(
        pl.len().alias("products"), value.sum().round(2).alias("investment")
    )
    categories = by_category.sort("investment", "category", descending=[True, False])
    values = rows.filter(value > 0)["optimum_value"].sort(descending=True)
    return InvestmentBreakdown(categories.to_dicts(), values.to_list())


def factor_rows(files: FileStore, job_id: str, mostrador: int) -> pl.LazyFrame | None:
    """The rows that the factor step left of a mostrador; None where they are no longer there."""
    try:
        path = files.local_path(f"ipp-processed/{job_id}/{mostrador}.parquet")
    except NotFoundError:
        return None
    return PROCESSED_TABLE.conform_rows(pl.scan_parquet(path))


def investment_by_factor(
    frame: pl.LazyFrame, parameters: Parameters
) -> Sequence[Mapping[str, float]]:
    """The investment at each rounding factor, before the budget is fitted; none for the predictive model."""
    rows = frame.collect()
    if rows.is_empty() or rows["inventory_model"][0] == PREDICTIVE_MODEL:
        return []
    included = rows.with_columns(included=pl.col("exclusion_group").is_null())
    investments = rounding.investment_by_factor(rounding.prepare_products(included, parameters))
    pairs = zip(rounding.FACTOR_PERCENTS.tolist(), investments.tolist(), strict=True)
    return [
        {"factor": percent / 100, "investment": money.to_pesos(units)} for percent, units in pairs
    ]


def served_points(curve: Sequence[TableRow]) -> Sequence[TableRow]:
    """The points of a mostrador's curve at which something is known to be served."""
    return [point for point in curve if point["fill_rate"] is not None]


def parse_material(text: str) -> int:
    """The material that an address names. Raises `NotFoundError` for what is no number of one."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise NotFoundError(
            f"«{text[:40]}» no es un número de producto.",
            hint="Búsquelo en la tabla del mostrador.",
        )
    return int(text)


def find_product(
    asked: Services, lakehouse: Lakehouse, job_id: str, mostrador: int, material: int
) -> Mapping[str, Any]:
    """What a job published of a product.

    Raises `NotFoundError` where it published nothing of it, `CounterFailedError` where the mostrador failed.
    """
    rows = (
        published_rows(lakehouse, job_id, mostrador)
        .filter(pl.col("material") == material)
        .collect()
    )
    if rows.is_empty():
        check_published(asked, job_id, mostrador)
        raise NotFoundError(
            f"El producto {material} no está en el mostrador {mostrador} de {job_id}.",
            hint="Búsquelo en la tabla del mostrador.",
        )
    return rows.row(0, named=True)


def product_rule_history(
    files: FileStore, job_id: str, row: Mapping[str, Any], parameters: Parameters
) -> Mapping[str, Any]:
    """``row``, of a product, with what its stages left of it: each rule's quantity, or the limits that were kept to."""
    frame = factor_rows(files, job_id, row["mostrador"])
    left = None if frame is None else frame.filter(pl.col("material") == row["material"]).collect()
    if left is None or left.is_empty():
        return row
    told = left.row(0, named=True) | {name: cell for name, cell in row.items() if cell is not None}
    return (
        told
        if row["inventory_model"] != PREDICTIVE_MODEL
        else {**told, **_predictive_limits(left, row["optimum"], parameters)}
    )


def weekly_sales(
    lakehouse: Lakehouse, mostrador: int, material: int, cutoff: dt.date
) -> pl.DataFrame:
    """What a product sold in each whole week up to ``cutoff``, rising: the week's last day, and units.

    From its first sale on every week is there; no rows where it sold nothing.
    """
    there = (pl.col("mostrador") == mostrador) & (pl.col("material") == material)
    counted = pl.col("date").is_between(weeks.history_start(cutoff), cutoff)
    sold = lakehouse.scan_table(SELLOUT).filter(there, counted).select("date", "units").collect()
    if sold.is_empty():
        return pl.DataFrame(schema={"end": pl.Date, "units": pl.Float64})
    week = (pl.lit(cutoff) - pl.col("date")).dt.total_days() // weeks.WEEK_DAYS
    sums = sold.group_by(week.alias("week")).agg(pl.col("units").sum())
    count = int(sums["week"].to_numpy().max()) + 1
    every = pl.DataFrame({"week": pl.int_range(count, dtype=pl.Int64, eager=True)})
    ends = pl.lit(cutoff) - pl.duration(days=weeks.WEEK_DAYS * pl.col("week"))
    filled = every.join(sums, on="week", how="left").select(
        ends.alias("end"), pl.col("units").fill_null(0.0)
    )
    return filled.sort("end")


def _predictive_limits(
    left: pl.DataFrame, optimum: int, parameters: Parameters
) -> Mapping[str, Any]:
    """The least and most that the predictive model might give a product, and what one more would have done."""
    demand = forecast_demand(left)
    may = left.select(explain.exclusion_reason(parameters).is_null()).to_series().to_numpy()
    offer = build_allocation_problem(left, demand, may, parameters)
    most = int(offer.maximum[0])
    return {
        "forecast_mean": float(demand.mean[0]),
        "least": int(offer.minimum[0]),
        "most": None if most >= UNLIMITED_UNITS // 2 else most,
        "next_chance": float(demand.survival(np.array([optimum + 1]))[0]),
    }
