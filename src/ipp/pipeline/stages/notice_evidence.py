"""Gather from the tables what notices need besides the rows of the factor step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import narwhals as nw
import polars as pl

from ipp.core.decision.notice import OLD_DATA_DAYS, Evidence
from ipp.core.parameters import LARGE_DAY_MIN_UNITS
from ipp.core.tables import SELLOUT, STOCK
from ipp.core.traditional.history import YEAR_DAYS
from ipp.pipeline.runners.runner import LazyRows, Runner


def gather_evidence(runner: Runner, mostradores: Sequence[int], cutoff: dt.date) -> Evidence:
    """Return the evidence about ``mostradores`` up to ``cutoff``.

    Only the last days of the sell-out are read for the date of the last sale, all of it only for
    counters without one there.
    """
    own = nw.col("mostrador").is_in(list(mostradores))
    sold = runner.scan_table(SELLOUT).filter(own, nw.col("date") <= cutoff)
    recent = nw.col("date") >= cutoff - dt.timedelta(days=int(OLD_DATA_DAYS))
    selling = _last_dates(sold.filter(recent), "date")
    silent = [mostrador for mostrador in mostradores if mostrador not in selling]
    large = sold.filter(
        nw.col("date") > cutoff - dt.timedelta(days=YEAR_DAYS),
        nw.col("units") >= LARGE_DAY_MIN_UNITS,
    )
    counted = runner.scan_table(STOCK).filter(own, nw.col("counted_on") <= cutoff)
    return Evidence(
        cutoff,
        last_sale=_last_dates(sold.filter(nw.col("mostrador").is_in(silent)), "date")
        if silent
        else {},
        last_count=_last_dates(counted, "counted_on"),
        days=_largest_days(large),
    )


def _largest_days(large: LazyRows) -> pl.DataFrame:
    """Return the first of the largest days of each product: one row at most, however many sold."""
    product = ["mostrador", "material"]
    most = large.group_by(product).agg(nw.col("units").max())
    days = large.join(most, on=[*product, "units"], how="inner")
    first = days.group_by([*product, "units"]).agg(nw.col("date").min())
    largest: pl.DataFrame = first.select(*product, "date", "units").collect("polars").to_native()
    return largest


def _last_dates(rows: LazyRows, name: str) -> dict[int, dt.date]:
    """Return the last date of each counter."""
    last = rows.group_by("mostrador").agg(nw.col(name).max()).collect("polars").to_native()
    return dict(last.iter_rows())
