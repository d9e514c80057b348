"""Weekly demand forecast of an area, from the daily sell-out of its counters."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from ipp.core.decision.demand import Demand
from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import Flags, Floats, Ints, Panel
from ipp.core.predictive.season import learn_season

WEEK_DAYS: Final = 7
"""Days in a period of the panel."""

MAX_HISTORY_WEEKS: Final = 156
"""Maximum number of weeks of sell-out that the forecast reads."""

MAX_SERIES_BYTES: Final = 48 * MAX_HISTORY_WEEKS
"""Most memory that `predict_area` takes for each product of each counter.

Measured: 20 counters × 5,000 products × 156 weeks took 0.72 GB, 46 bytes a week of a series.
"""

SEASON_WEEKS: Final = 52
"""Weeks in a seasonal cycle."""

LAUNCH_GRACE_WEEKS: Final = 4
"""A product first sold within this many weeks of the first sell-out counts as sold before it."""

USUAL_PRODUCTS: Final = 5
"""Distinct products in the median week from which a week without sales is a gap in the data."""

_NEAR: Final = 4
"""Known weeks on either side of a gap whose mean fills it for the seasonal factors."""

_MAX_SPANS: Final = 4
"""Maximum number of spans of weeks that a notice names."""

FORECAST_SCHEMA: Final = pl.Schema(
    {
        "mostrador": pl.Int64(),
        "material": pl.Int64(),
        "forecast_mean": pl.Float64(),
        "forecast_size": pl.Float64(),
        "forecast_idle": pl.Float64(),
        "silent_weeks": pl.Float64(),
        "unseen_weeks": pl.String(),
    }
)
"""Schema of the result of `predict_area`."""

_UNIT_DECIMALS: Final = 3
"""Decimals to which the units of a week are rounded, as every sum of units is."""


def history_start(cutoff: dt.date) -> dt.date:
    """Return the first day of the `MAX_HISTORY_WEEKS` weeks that end with ``cutoff``."""
    return cutoff - dt.timedelta(days=WEEK_DAYS * MAX_HISTORY_WEEKS - 1)


def assign_weeks(sellout: pl.DataFrame, cutoff: dt.date) -> pl.DataFrame:
    """Number the week of each sale of one area: 0 is the week that ends with ``cutoff``.

    ``sellout`` has mostrador, material, date and units, for days from `history_start` to
    ``cutoff``. Returns mostrador, material, week and units, one row per sale. The oldest week is
    left out where the sell-out does not cover all of it: it would look like a week of low demand.
    """
    aged = sellout.with_columns(ago=(pl.lit(cutoff) - pl.col("date")).dt.total_days())
    oldest = aged["ago"].max()
    full_weeks = max(1, (int(oldest) + 1) // WEEK_DAYS) if isinstance(oldest, int) else 1
    complete = aged.filter(pl.col("ago") < WEEK_DAYS * full_weeks)
    return complete.select(
        "mostrador", "material", pl.col("ago").floordiv(WEEK_DAYS).alias("week"), "units"
    )


def predict_area(
    sellout: pl.DataFrame, catalogue: pl.DataFrame, empty: pl.DataFrame, cover_days: float
) -> pl.DataFrame:
    """Forecast demand over ``cover_days`` for each product of one area at each of its counters.

    ``sellout`` has mostrador, material, week (0 ends with the cutoff) and units, in any order;
    ``catalogue`` has material and category; ``empty`` has the mostrador and material of the
    products without stock, whose weeks since the last sale are unknown, not zero. The weeks of
    `unseen_weeks` are unknown too.

    Returns one row for each mostrador and material, with the columns of `FORECAST_SCHEMA`:
    forecast_mean (units), forecast_size, forecast_idle, silent_weeks, and the unseen_weeks of the
    counter (their numbers, latest first; null if there are none).
    """
    if sellout.is_empty():
        return pl.DataFrame(schema=FORECAST_SCHEMA)
    counters, products = sellout["mostrador"].unique().sort(), sellout["material"].unique().sort()
    units = _sum_weeks(sellout, counters, products)
    seen = _first_sale_mask(units)
    counter, product = _find_pairs(empty, counters, products)
    seen[counter, product] &= _last_sale_mask(units[counter, product])
    unseen = unseen_weeks(units)
    seen &= ~unseen[:, None, :]
    panel = _build_panel(units, seen, products, catalogue)
    demand = _forecast_cover(panel, unseen, cover_days)
    numbers = [" ".join(map(str, np.flatnonzero(gaps[::-1]))) or None for gaps in unseen]
    return pl.DataFrame(
        {
            "mostrador": np.repeat(counters.to_numpy(), len(products)),
            "material": np.tile(products.to_numpy(), len(counters)),
            "forecast_mean": demand.mean,
            "forecast_size": demand.dispersion,
            "forecast_idle": demand.zero_inflation,
            "silent_weeks": (panel.seen & ~_last_sale_mask(panel.units)).sum(axis=1),
            "unseen_weeks": pl.Series(numbers, dtype=pl.String).gather(
                np.repeat(np.arange(len(counters)), len(products))
            ),
        },
        schema=FORECAST_SCHEMA,
    )


def _find_pairs(pairs: pl.DataFrame, counters: pl.Series, products: pl.Series) -> tuple[Ints, Ints]:
    """Return the positions of the mostrador and the material of those pairs that have both."""
    known = pairs.filter(
        pl.col("mostrador").is_in(counters.implode()) & pl.col("material").is_in(products.implode())
    )
    counter, product = (
        _find_positions(ids, known[name])
        for ids, name in ((counters, "mostrador"), (products, "material"))
    )
    return counter, product


def _sum_weeks(sellout: pl.DataFrame, counters: pl.Series, products: pl.Series) -> Floats:
    """Return the units sold, shape counters × products × weeks, ending with the latest week.

    Of 10 weeks, week 0 is at index 9.
    """
    weeks = int(sellout["week"].to_numpy().max()) + 1
    shape = (len(counters), len(products), weeks)
    at = (
        _find_positions(counters, sellout["mostrador"]),
        _find_positions(products, sellout["material"]),
        weeks - 1 - sellout["week"].to_numpy(),
    )
    sold = np.bincount(
        np.ravel_multi_index(at, shape), sellout["units"].to_numpy(), math.prod(shape)
    )
    return sold.astype(np.float64, copy=False).round(_UNIT_DECIMALS).reshape(shape)


def _find_positions(ids: pl.Series, values: pl.Series) -> Ints:
    """Return the position of each of ``values`` among the distinct ``ids``, which have them all."""
    # A hash table finds a sale's product in a fifth of the time of a binary search.
    return values.replace_strict(ids, range(len(ids)), return_dtype=pl.Int64).to_numpy()


def unseen_weeks(units: Floats) -> Flags:
    """Return the weeks that are gaps in the data of a counter, shape counters × weeks.

    ``units`` is counters × products × weeks. A week without any sale is a gap, not a week of zero
    demand, if the counter sold in more than half of the weeks since its first sale, and at least
    `USUAL_PRODUCTS` distinct products in its median week with sales.
    """
    products = (units > 0).sum(axis=1)
    sold = products > 0
    since = np.logical_or.accumulate(sold, axis=1)
    in_most = 2 * sold.sum(axis=1) > since.sum(axis=1)
    many = [row.any() and np.median(row[row > 0]) >= USUAL_PRODUCTS for row in products]
    unseen: Flags = since & ~sold & (in_most & many)[:, None]
    return unseen


def dated_spans(numbers: str, cutoff: dt.date) -> str:
    """Return the weeks that `predict_area` numbers as dates in Spanish.

    With the cutoff 2026-10-25, "0 1 2" is «del 2026-10-05 al 2026-10-25».
    """
    spans = list[list[int]]()
    for week in map(int, numbers.split()):
        if spans and week == spans[-1][-1] + 1:
            spans[-1].append(week)
        else:
            spans.append([week])
    phrases = [
        f"del {_first_day(span[-1], cutoff)} al {_last_day(span[0], cutoff)}"
        for span in spans[:_MAX_SPANS]
    ]
    if others := spans[_MAX_SPANS:]:
        weeks = sum(map(len, others))
        phrases.append("otra semana" if weeks == 1 else f"otras {weeks} semanas")
    *first, last = phrases
    return f"{', '.join(first)} y {last}" if first else last


def _first_day(week: int, cutoff: dt.date) -> dt.date:
    return cutoff - dt.timedelta(days=WEEK_DAYS * (week + 1) - 1)


def _last_day(week: int, cutoff: dt.date) -> dt.date:
    return cutoff - dt.timedelta(days=WEEK_DAYS * week)


def _forecast_cover(panel: Panel, unseen: Flags, cover_days: float) -> Demand:
    """Forecast demand over ``cover_days``, scaled from the nearest number of whole weeks.

    Weeks that are gaps at every counter are removed from the past, because a replay needs
    consecutive weeks that were seen.
    """
    horizon = max(1, round(cover_days / WEEK_DAYS))
    season = learn_season(_filled(panel, unseen), SEASON_WEEKS, horizon)
    plain = season.deseasonalise(panel)
    if (gap := unseen.all(axis=0)).any():
        plain = replace(plain, units=plain.units[:, ~gap], seen=plain.seen[:, ~gap])
    demand = forecast_demand(plain, calibrate_forecast(plain, horizon))
    return demand.scale_mean(
        season.mean_factor(panel, 0, horizon) * (cover_days / (WEEK_DAYS * horizon))
    )


def _build_panel(units: Floats, seen: Flags, products: pl.Series, catalogue: pl.DataFrame) -> Panel:
    """Return the panel of an area from arrays of counters × products × weeks.

    Sets ``units`` to 0 in place where they were not seen.
    """
    counters, count, weeks = units.shape
    units *= seen
    kinds = products.to_frame().join(catalogue, on="material", how="left", maintain_order="left")[
        "category"
    ]
    kind = (kinds.fill_null("").rank("dense") - 1).to_numpy().astype(np.int64)
    # Each category of each counter is a group of its own: with 3 categories, category 1 of
    # counter 2 is group 1 + 2 × 3 = 7.
    return Panel(
        units=units.reshape(-1, weeks),
        seen=seen.reshape(-1, weeks),
        product=np.tile(np.arange(count), counters),
        group=np.tile(kind, counters)
        + np.repeat(np.arange(counters), count) * (int(kind.max()) + 1),
    )


def _filled(panel: Panel, unseen: Flags) -> Panel:
    """Return the panel with each gap filled by the mean of the weeks around it.

    The seasonal factors are fitted on totals, which cannot mark a week as unknown.
    """
    if not unseen.any():
        return panel
    units = panel.units.reshape(len(unseen), -1, panel.periods).copy()
    for counter, gaps in zip(units, unseen, strict=True):
        known = np.flatnonzero(~gaps)
        for week in np.flatnonzero(gaps):
            place = int(np.searchsorted(known, week))
            counter[:, week] = counter[:, known[max(place - _NEAR, 0) : place + _NEAR]].mean(axis=1)
    return replace(panel, units=units.reshape(panel.units.shape))


def _first_sale_mask(units: Floats) -> Flags:
    """Return the weeks from the first sale of a product anywhere in the area.

    A first sale in the first `LAUNCH_GRACE_WEEKS` counts as one in the first week.
    """
    sold = (units > 0).any(axis=0)
    first = np.argmax(sold, axis=1)
    first = np.where(first < LAUNCH_GRACE_WEEKS, 0, first)
    return np.tile(np.arange(units.shape[2]) >= first[:, None], (len(units), 1, 1))


def _last_sale_mask(units: Floats) -> Flags:
    """Return the weeks up to and including the last one with a sale."""
    sold = units > 0
    silent = np.where(sold.any(axis=-1), np.argmax(sold[..., ::-1], axis=-1), units.shape[-1])
    # ``silent`` counts the weeks after the last sale: sales of 0, 2, 0, 0 give 2, so the first
    # 4 - 2 weeks are in the mask.
    until: Flags = np.arange(units.shape[-1]) < units.shape[-1] - silent[..., None]
    return until
