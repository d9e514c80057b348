"""What the predictive model expects of each counter, area by area, for Job 1 to hand on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import narwhals as nw
import polars as pl

from ipp.core.predictive import weeks
from ipp.core.tables import SELLOUT, STOCK
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import LazyRows, Runner
from ipp.pipeline.runners.stage_run import StageRun


@dataclass(frozen=True, slots=True)
class ForecastKernel:
    """The kernel of one area: from its sell-out to what the counters ``asked`` are expected to sell.

    A row without a date tells of a product that has no stock: what was not sold since its last sale may have been
    asked for.
    """

    catalogue: pl.DataFrame
    asked: frozenset[int]
    cutoff: dt.date
    cover_days: float

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What is expected, as `ipp.core.predictive.weeks.predict_area` has it, with the days of the weeks that were not seen."""
        known = pl.col("date").is_not_null()
        sold = weeks.assign_weeks(rows.filter(known), self.cutoff)
        empty = rows.filter(~known).select("mostrador", "material").sort("mostrador", "material")
        found = weeks.predict_area(sold, self.catalogue, empty, self.cover_days).filter(
            pl.col("mostrador").is_in(self.asked)
        )
        dated = {
            numbers: weeks.dated_spans(numbers, self.cutoff)
            for numbers in found["unseen_weeks"].unique().drop_nulls()
        }
        return found.with_columns(pl.col("unseen_weeks").replace(dated)) if dated else found


def forecast_counters(
    spec: JobSpec,
    runner: Runner,
    counters: pl.DataFrame,
    catalogue: pl.DataFrame,
    predictive: Collection[int],
    work: StageRun,
) -> LazyRows:
    """What each mostrador to do that is ``predictive`` is expected to sell, learnt from all ``counters`` of its area.

    ``counters`` has mostrador and postal_code, ``catalogue`` material and category. Where an area cannot be computed,
    those of its mostradores fail that are to do.
    """
    todo = counters.filter(
        pl.col("mostrador").is_in([m for m in work.counters_to_compute if m in predictive])
    )
    known = catalogue.select("material", "category")
    kernel = ForecastKernel(
        known, frozenset(todo["mostrador"]), spec.cutoff, spec.parameters.cover_days
    )

    def lose(area: int, cause: str) -> None:
        for mostrador in todo.filter(pl.col("postal_code") == area)["mostrador"]:
            work.record_failure(mostrador, cause)

    areas = counters.filter(
        pl.col("postal_code").is_in(todo["postal_code"].drop_nulls().unique().implode())
    )
    sizes = dict(areas.group_by("postal_code").len().iter_rows())
    return runner.map_groups(
        "postal_code",
        sizes,
        lambda some: _area_histories(spec, runner, counters, some),
        kernel,
        weeks.FORECAST_SCHEMA,
        lose,
    )


def _area_histories(
    spec: JobSpec, runner: Runner, counters: pl.DataFrame, areas: Collection[int]
) -> LazyRows:
    """The sales of all counters of ``areas``, and what has no stock there.

    They go to the kernel as they are: a week has hardly fewer rows than its days, and adding them up takes as long as
    reading them.
    """
    neighbours = counters.filter(pl.col("postal_code").is_in(areas)).select(
        "mostrador", "postal_code"
    )
    there = nw.col("mostrador").is_in(neighbours["mostrador"].to_list())
    counted = (nw.col("date") >= weeks.history_start(spec.cutoff)) & (nw.col("date") <= spec.cutoff)
    sold = (
        runner.scan_table(SELLOUT)
        .filter(there, counted)
        .select("mostrador", "material", "date", "units")
    )
    stock = runner.scan_table(STOCK).filter(
        there,
        nw.col("on_hand") == 0,
        nw.col("counted_on").is_null() | (nw.col("counted_on") <= spec.cutoff),
    )
    none = [
        nw.lit(None, dtype=nw.Date()).alias("date"),
        nw.lit(None, dtype=nw.Float64()).alias("units"),
    ]
    both = nw.concat([sold, stock.select("mostrador", "material", *none)], how="vertical")
    return both.join(runner.from_polars(neighbours), on="mostrador", how="inner")
