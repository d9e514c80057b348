"""Forecast each predictive-model counter, area by area, as an input of Job 1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import narwhals as nw
import polars as pl

from ipp.core.predictive import weeks
from ipp.core.tables import SELLOUT, STOCK
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import GroupedRows, LazyRows, Runner
from ipp.pipeline.runners.stage_execution import StageExecution


@dataclass(frozen=True, slots=True)
class ForecastKernel:
    """Kernel of one area: from its sell-out to the forecast of the counters in ``asked``.

    A row without a date marks a product out of stock: since its last sale, demand may have been
    lost (censored) rather than zero.
    """

    catalogue: pl.DataFrame
    asked: frozenset[int]
    cutoff: dt.date
    cover_days: float

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the forecast of `ipp.core.predictive.weeks.predict_area`.

        Its unseen weeks are given as dates instead of numbers.
        """
        dated_row = pl.col("date").is_not_null()
        sold = weeks.assign_weeks(rows.filter(dated_row), self.cutoff)
        empty = (
            rows.filter(~dated_row).select("mostrador", "material").sort("mostrador", "material")
        )
        forecast = weeks.predict_area(sold, self.catalogue, empty, self.cover_days).filter(
            pl.col("mostrador").is_in(self.asked)
        )
        dated = {
            numbers: weeks.dated_spans(numbers, self.cutoff)
            for numbers in forecast["unseen_weeks"].unique().drop_nulls()
        }
        return forecast.with_columns(pl.col("unseen_weeks").replace(dated)) if dated else forecast


def forecast_counters(
    spec: JobSpec,
    runner: Runner,
    counters: pl.DataFrame,
    catalogue: pl.DataFrame,
    predictive: Collection[int],
    work: StageExecution,
) -> LazyRows:
    """Return the forecast of each ``predictive`` counter to compute, estimated by area.

    All ``counters`` of an area (mostrador, postal_code) contribute; ``catalogue`` has material and
    category. If an area cannot be computed, its counters to compute fail.
    """
    todo = counters.filter(
        pl.col("mostrador").is_in([m for m in work.counters_to_compute if m in predictive])
    )
    categories = catalogue.select("material", "category")
    kernel = ForecastKernel(
        categories, frozenset(todo["mostrador"]), spec.cutoff, spec.parameters.cover_days
    )

    def lose(area: int, cause: str) -> None:
        for mostrador in todo.filter(pl.col("postal_code") == area)["mostrador"]:
            work.record_failure(mostrador, cause)

    areas = counters.filter(
        pl.col("postal_code").is_in(todo["postal_code"].drop_nulls().unique().implode())
    )
    sizes = dict(areas.group_by("postal_code").len().iter_rows())
    groups = GroupedRows(
        key="postal_code",
        sizes=sizes,
        rows_of=lambda batch: _area_histories(spec, runner, counters, batch),
        counter_bytes=len(catalogue) * weeks.MAX_SERIES_BYTES,
        prefix=spec.raw_key("pronostico/"),
    )
    return runner.map_groups(groups, kernel, weeks.FORECAST_SCHEMA, lose)


def _area_histories(
    spec: JobSpec, runner: Runner, counters: pl.DataFrame, areas: Collection[int]
) -> LazyRows:
    """Return the daily sales of all counters of ``areas``, and their products out of stock.

    Days are not summed to weeks here: a week has hardly fewer rows than its days, and summing
    takes as long as reading.
    """
    neighbours = counters.filter(pl.col("postal_code").is_in(areas)).select(
        "mostrador", "postal_code"
    )
    in_areas = nw.col("mostrador").is_in(neighbours["mostrador"].to_list())
    in_history = (nw.col("date") >= weeks.history_start(spec.cutoff)) & (
        nw.col("date") <= spec.cutoff
    )
    sold = (
        runner.scan_table(SELLOUT)
        .filter(in_areas, in_history)
        .select("mostrador", "material", "date", "units")
    )
    stock = runner.scan_table(STOCK).filter(
        in_areas,
        nw.col("on_hand") == 0,
        nw.col("counted_on").is_null() | (nw.col("counted_on") <= spec.cutoff),
    )
    null_sales = [
        nw.lit(None, dtype=nw.Date()).alias("date"),
        nw.lit(None, dtype=nw.Float64()).alias("units"),
    ]
    both = nw.concat([sold, stock.select("mostrador", "material", *null_sales)], how="vertical")
    return both.join(runner.from_polars(neighbours), on="mostrador", how="inner")
