"""What the predictive model expects of each counter, area by area, for Job 1 to hand on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import narwhals as nw
import polars as pl

from ipp.core import weeks
from ipp.core.tables import SELLOUT, STOCK
from ipp.request import JobSpec
from ipp.runners.base import Rows, Runner
from ipp.runners.work import Work


@dataclass(frozen=True, slots=True)
class Forecaster:
    """The kernel of one area: from its sell-out by week to what the counters ``asked`` are expected to sell.

    A row without a week tells of a product that has no stock: what was not sold since its last sale may have been
    asked for.
    """

    catalogue: pl.DataFrame
    asked: frozenset[int]
    cover_days: float

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What is expected, as `ipp.core.weeks.predict` has it."""
        known = pl.col("week").is_not_null()
        sold = weeks.whole_weeks(rows.filter(known))
        empty = rows.filter(~known).select("mostrador", "material").sort("mostrador", "material")
        return weeks.predict(sold, self.catalogue, empty, self.cover_days).filter(pl.col("mostrador").is_in(self.asked))


def expected(
    spec: JobSpec,
    runner: Runner,
    counters: pl.DataFrame,
    catalogue: pl.DataFrame,
    predictive: Collection[int],
    work: Work,
) -> Rows:
    """What each mostrador to do that is ``predictive`` is expected to sell, learnt from all ``counters`` of its area.

    ``counters`` has mostrador and postal_code, ``catalogue`` material and category. Where an area cannot be computed,
    those of its mostradores fail that are to do.
    """
    todo = counters.filter(pl.col("mostrador").is_in([m for m in work.todo if m in predictive]))
    kernel = Forecaster(
        catalogue.select("material", "category"), frozenset(todo["mostrador"]), spec.parameters.cover_days
    )

    def lose(area: int, cause: str) -> None:
        for mostrador in todo.filter(pl.col("postal_code") == area)["mostrador"]:
            work.fail(mostrador, cause)

    areas = todo["postal_code"].drop_nulls().unique().to_list()
    return runner.each(
        "postal_code", areas, lambda some: _histories(spec, runner, counters, some), kernel, weeks.EXPECTED, lose
    )


def _histories(spec: JobSpec, runner: Runner, counters: pl.DataFrame, areas: Collection[int]) -> Rows:
    """The weeks of all counters of ``areas``, and what has no stock there."""
    neighbours = counters.filter(pl.col("postal_code").is_in(areas)).select("mostrador", "postal_code")
    there = nw.col("mostrador").is_in(neighbours["mostrador"].to_list())
    sold = weeks.weekly(runner.scan(SELLOUT).filter(there), spec.cutoff)
    stock = runner.scan(STOCK).filter(
        there, nw.col("on_hand") == 0, nw.col("counted_on").is_null() | (nw.col("counted_on") <= spec.cutoff)
    )
    unknown = [nw.lit(None, dtype=dtype).alias(name) for name, dtype in _WEEKLY.items()]
    columns = ["mostrador", "material", *_WEEKLY]
    both = nw.concat([sold.select(columns), stock.with_columns(*unknown).select(columns)], how="vertical")
    return both.join(runner.frame(neighbours), on="mostrador", how="inner")


_WEEKLY = {"week": nw.Int64(), "units": nw.Float64(), "oldest": nw.Int64()}
"""What `ipp.core.weeks.weekly` counts."""
