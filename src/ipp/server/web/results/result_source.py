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
from ipp.core.decision.budget import UNLIMITED
from ipp.core.parameters import Parameters
from ipp.core.predictive import weeks
from ipp.core.predictive.allocation import expected, offered
from ipp.core.tables import PREDICTIVE, RESULTS, SELLOUT
from ipp.core.traditional import rounding
from ipp.core.workbook_columns import PROCESSED
from ipp.errors import NotFoundError
from ipp.server.api.dependencies import Services
from ipp.server.api.row_routes import check_published
from ipp.storage.files.file_store import Files
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.warehouse import Row

MOST: Final = 0.8
"""The part of the investment that Pareto's rule is told of."""


@dataclass(frozen=True, slots=True)
class Spent:
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
        """How many products hold `MOST` of it."""
        return int(np.searchsorted(self.shares, MOST)) + 1 if self.total else 0


def published(lakehouse: Lakehouse, job_id: str, mostrador: int) -> pl.LazyFrame:
    """What a job published of a mostrador."""
    return lakehouse.scan(RESULTS, [job_id]).filter(pl.col("mostrador") == mostrador)


def spent(lakehouse: Lakehouse, job_id: str, mostrador: int) -> Spent:
    """Where a mostrador's investment went; categories without any are among them."""
    value = pl.col("optimum_value").fill_null(0.0)
    rows = published(lakehouse, job_id, mostrador).select(pl.col("category").fill_null(""), value).collect()
    by_category = rows.group_by("category").agg(pl.len().alias("products"), value.sum().round(2).alias("investment"))
    categories = by_category.sort("investment", "category", descending=[True, False])
    values = rows.filter(value > 0)["optimum_value"].sort(descending=True)
    return Spent(categories.to_dicts(), values.to_list())


def processed(files: Files, job_id: str, mostrador: int) -> pl.LazyFrame | None:
    """The rows that the factor step left of a mostrador; None where they are no longer there."""
    try:
        path = files.local(f"ipp-processed/{job_id}/{mostrador}.parquet")
    except NotFoundError:
        return None
    return PROCESSED.conform(pl.scan_parquet(path))


def by_factor(frame: pl.LazyFrame, parameters: Parameters) -> Sequence[Mapping[str, float]]:
    """The investment at each rounding factor, before the budget is fitted; none for the predictive model."""
    rows = frame.collect()
    if rows.is_empty() or rows["inventory_model"][0] == PREDICTIVE:
        return []
    included = rows.with_columns(included=pl.col("exclusion_group").is_null())
    investments = rounding.curve(rounding.products(included, parameters))
    pairs = zip(rounding.PERCENTS.tolist(), investments.tolist(), strict=True)
    return [{"factor": percent / 100, "investment": money.to_pesos(units)} for percent, units in pairs]


def served(curve: Sequence[Row]) -> Sequence[Row]:
    """The points of a mostrador's curve at which something is known to be served."""
    return [point for point in curve if point["fill_rate"] is not None]


def material_of(text: str) -> int:
    """The material that an address names. Raises `NotFoundError` for what is no number of one."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise NotFoundError(f"«{text[:40]}» no es un número de producto.", hint="Búsquelo en la tabla del mostrador.")
    return int(text)


def product(asked: Services, lakehouse: Lakehouse, job_id: str, mostrador: int, material: int) -> Mapping[str, Any]:
    """What a job published of a product.

    Raises `NotFoundError` where it published nothing of it, `CounterFailedError` where the mostrador failed.
    """
    rows = published(lakehouse, job_id, mostrador).filter(pl.col("material") == material).collect()
    if rows.is_empty():
        check_published(asked, job_id, mostrador)
        raise NotFoundError(
            f"El producto {material} no está en el mostrador {mostrador} de {job_id}.",
            hint="Búsquelo en la tabla del mostrador.",
        )
    return rows.row(0, named=True)


def history_of_rules(files: Files, job_id: str, row: Mapping[str, Any], parameters: Parameters) -> Mapping[str, Any]:
    """``row``, of a product, with what its stages left of it: each rule's quantity, or the limits that were kept to."""
    frame = processed(files, job_id, row["mostrador"])
    left = None if frame is None else frame.filter(pl.col("material") == row["material"]).collect()
    if left is None or left.is_empty():
        return row
    told = left.row(0, named=True) | {name: cell for name, cell in row.items() if cell is not None}
    return told if row["inventory_model"] != PREDICTIVE else {**told, **_limits(left, row["optimum"], parameters)}


def by_week(lakehouse: Lakehouse, mostrador: int, material: int, cutoff: dt.date) -> pl.DataFrame:
    """What a product sold in each whole week up to ``cutoff``, rising: the week's last day, and units.

    From its first sale on every week is there; no rows where it sold nothing.
    """
    there = (pl.col("mostrador") == mostrador) & (pl.col("material") == material)
    counted = pl.col("date").is_between(weeks.begin(cutoff), cutoff)
    sold = lakehouse.scan(SELLOUT).filter(there, counted).select("date", "units").collect()
    if sold.is_empty():
        return pl.DataFrame(schema={"end": pl.Date, "units": pl.Float64})
    week = (pl.lit(cutoff) - pl.col("date")).dt.total_days() // weeks.WEEK
    sums = sold.group_by(week.alias("week")).agg(pl.col("units").sum())
    count = int(sums["week"].to_numpy().max()) + 1
    every = pl.DataFrame({"week": pl.int_range(count, dtype=pl.Int64, eager=True)})
    ends = pl.lit(cutoff) - pl.duration(days=weeks.WEEK * pl.col("week"))
    filled = every.join(sums, on="week", how="left").select(ends.alias("end"), pl.col("units").fill_null(0.0))
    return filled.sort("end")


def _limits(left: pl.DataFrame, optimum: int, parameters: Parameters) -> Mapping[str, Any]:
    """The least and most that the predictive model might give a product, and what one more would have done."""
    demand = expected(left)
    may = left.select(explain.exclusion(parameters).is_null()).to_series().to_numpy()
    offer = offered(left, demand, may, parameters)
    most = int(offer.most[0])
    return {
        "forecast_mean": float(demand.mean[0]),
        "least": int(offer.least[0]),
        "most": None if most >= UNLIMITED // 2 else most,
        "next_chance": float(demand.reaches(np.array([optimum + 1]))[0]),
    }
