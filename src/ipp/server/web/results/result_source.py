"""Data of the results pages, from the published tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from ipp.core.money import add_pesos
from ipp.core.predictive import weeks
from ipp.errors import NotFoundError
from ipp.server.api.dependencies import Services
from ipp.server.api.row_routes import check_published
from ipp.storage.warehouse.warehouse import TableRow, Warehouse

PARETO_SHARE: Final = 0.8
"""Share of the investment in the Pareto rule."""


@dataclass(frozen=True, slots=True)
class InvestmentBreakdown:
    """A mostrador's investment by category and by product, both descending, in MXN.

    Products without a category are those of the category "".
    """

    categories: Sequence[Mapping[str, Any]]
    values: Sequence[float]

    @property
    def total(self) -> float:
        """The whole investment, MXN."""
        return add_pesos(self.values)

    @property
    def shares(self) -> Sequence[float]:
        """The cumulative share of the first 1, 2, 3 … products."""
        return [] if not self.total else (np.cumsum(self.values) / self.total).tolist()

    @property
    def few(self) -> int:
        """The number of products that hold `PARETO_SHARE` of the investment."""
        # Shares of 0.5, 0.75 and 0.9 first reach 0.8 at index 2, that is with 3 products.
        return int(np.searchsorted(self.shares, PARETO_SHARE)) + 1 if self.total else 0


def break_down_investment(warehouse: Warehouse, job_id: str, mostrador: int) -> InvestmentBreakdown:
    """Return a mostrador's investment breakdown, including categories with none."""
    return InvestmentBreakdown(
        warehouse.investment_by_category(job_id, mostrador),
        warehouse.investment_by_product(job_id, mostrador),
    )


def served_points(curve: Sequence[TableRow]) -> Sequence[TableRow]:
    """Return the points of a mostrador's curve whose fill rate is known."""
    return [point for point in curve if point["fill_rate"] is not None]


def parse_material(text: str) -> int:
    """Parse the material in an address. Raises `NotFoundError` if it is not a product number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise NotFoundError(
            f"«{text[:40]}» no es un número de producto.",
            hint="Búsquelo en la tabla del mostrador.",
        )
    return int(text)


def find_product(services: Services, job_id: str, mostrador: int, material: int) -> TableRow:
    """Return what a job published of a product.

    Raises `NotFoundError` if it published nothing, `CounterFailedError` if the mostrador failed.
    """
    row = services.warehouse.get_row(job_id, mostrador, material)
    if row is None:
        check_published(services, job_id, mostrador)
        raise NotFoundError(
            f"El producto {material} no está en el mostrador {mostrador} de {job_id}.",
            hint="Búsquelo en la tabla del mostrador.",
        )
    return row


def weekly_sales(
    warehouse: Warehouse, mostrador: int, material: int, cutoff: dt.date
) -> pl.DataFrame:
    """Return a product's sales by whole week up to ``cutoff``, ascending.

    Columns: ``end``, the last day of the week, and ``units``. Weeks without sales after the first
    sale are included as zero; there are no rows if it never sold.
    """
    days = warehouse.daily_sales(mostrador, material, weeks.history_start(cutoff), cutoff)
    sold = pl.DataFrame(days, schema={"date": pl.Date, "units": pl.Float64})
    if sold.is_empty():
        return pl.DataFrame(schema={"end": pl.Date, "units": pl.Float64})
    # Weeks count back from the cutoff: for one of 25 November, sales of the 19th to the 25th are
    # week 0, which ends on the 25th, and one of the 18th, 7 days before, is 7 // 7 = week 1.
    week = (pl.lit(cutoff) - pl.col("date")).dt.total_days() // weeks.WEEK_DAYS
    sums = sold.group_by(week.alias("week")).agg(pl.col("units").sum())
    count = int(sums["week"].to_numpy().max()) + 1
    all_weeks = pl.DataFrame({"week": pl.int_range(count, dtype=pl.Int64, eager=True)})
    ends = pl.lit(cutoff) - pl.duration(days=weeks.WEEK_DAYS * pl.col("week"))
    filled = all_weeks.join(sums, on="week", how="left").select(
        ends.alias("end"), pl.col("units").fill_null(0.0)
    )
    return filled.sort("end")
