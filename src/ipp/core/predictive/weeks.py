"""From sell-out by day to what is forecast from: weeks that end with the cutoff, of all the counters of an area."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from ipp.core.decision.demand import Demand
from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import Flags, Floats, Panel
from ipp.core.predictive.season import learn_season

WEEK_DAYS: Final = 7
"""Days of a period."""

MAX_HISTORY_WEEKS: Final = 156
"""Weeks of sell-out that are looked at, at most."""

SEASON_WEEKS: Final = 52
"""Weeks after which a season comes again."""

LAUNCH_GRACE_WEEKS: Final = 4
"""A product first sold within as many weeks of the first sell-out there is was there before."""

USUAL_PRODUCTS: Final = 5
"""Different products that a counter must sell in its median week for a week without any to be a gap in the data."""

_NEAR: Final = 4
"""Weeks on either side of a gap that tell the season what was sold in it."""

_MAX_SPANS: Final = 4
"""Spans of weeks that a notice names, at most."""

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
"""What `predict_area` gives."""

_UNIT_DECIMALS: Final = 3
"""Decimals kept of a week's units, as of every sum of them."""


def history_start(cutoff: dt.date) -> dt.date:
    """The first day that is looked at: `MAX_HISTORY_WEEKS` weeks end with ``cutoff``."""
    return cutoff - dt.timedelta(days=WEEK_DAYS * MAX_HISTORY_WEEKS - 1)


def assign_weeks(sellout: pl.DataFrame, cutoff: dt.date) -> pl.DataFrame:
    """The sales of one area with their week: 0 is the one that ends with ``cutoff``.

    Takes mostrador, material, date and units, of days from `history_start` to ``cutoff``; gives mostrador, material, week and
    units, a row a sale. A week whose first day the sell-out does not reach back to would look like a slow one, and is
    left out.
    """
    aged = sellout.with_columns(ago=(pl.lit(cutoff) - pl.col("date")).dt.total_days())
    oldest = aged["ago"].max()
    whole = max(1, (int(oldest) + 1) // WEEK_DAYS) if isinstance(oldest, int) else 1
    sold = aged.filter(pl.col("ago") < WEEK_DAYS * whole)
    return sold.select(
        "mostrador", "material", pl.col("ago").floordiv(WEEK_DAYS).alias("week"), "units"
    )


def predict_area(
    sellout: pl.DataFrame, catalogue: pl.DataFrame, empty: pl.DataFrame, cover_days: float
) -> pl.DataFrame:
    """Forecast demand over ``cover_days`` of every product that the counters of one area sold.

    ``sellout`` has mostrador, material, week (0 is the one that ends with the cutoff) and units, which are added up
    whatever their order; ``catalogue`` material and category; ``empty`` the mostrador and material of what has no
    stock: the weeks since its last sale are not zeros but unknown. So are those that `unseen_weeks` tells of a counter.
    Gives forecast_mean (units), forecast_size, forecast_idle, silent_weeks and the counter's unseen_weeks (their
    numbers, the latest first; null where none is) for each mostrador and material, each product of the area at each of
    its counters.
    """
    if sellout.is_empty():
        return pl.DataFrame(schema=FORECAST_SCHEMA)
    counters, products = sellout["mostrador"].unique().sort(), sellout["material"].unique().sort()
    weeks = int(sellout["week"].to_numpy().max()) + 1
    shape = (len(counters), len(products), weeks)
    at = (
        counters.search_sorted(sellout["mostrador"]).to_numpy(),
        products.search_sorted(sellout["material"]).to_numpy(),
        weeks - 1 - sellout["week"].to_numpy(),
    )
    sold = np.bincount(
        np.ravel_multi_index(at, shape), sellout["units"].to_numpy(), math.prod(shape)
    )
    units = sold.astype(np.float64, copy=False).round(_UNIT_DECIMALS).reshape(shape)
    seen = _first_sale_mask(units)
    blind = empty.filter(
        pl.col("mostrador").is_in(counters.implode()) & pl.col("material").is_in(products.implode())
    )
    counter, product = (
        ids.search_sorted(blind[name]).to_numpy()
        for ids, name in ((counters, "mostrador"), (products, "material"))
    )
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


def unseen_weeks(units: Floats) -> Flags:
    """Whether a week of a counter is a gap in its data, from counters × products × weeks; shape counters × weeks.

    A counter that sold in more than half of the weeks since its first sale, in its median week with sales at least
    `USUAL_PRODUCTS` different products, does not sell nothing for a week: those without any sale were not seen.
    """
    products = (units > 0).sum(axis=1)
    sold = products > 0
    since = np.logical_or.accumulate(sold, axis=1)
    in_most = 2 * sold.sum(axis=1) > since.sum(axis=1)
    many = [row.any() and np.median(row[row > 0]) >= USUAL_PRODUCTS for row in products]
    unseen: Flags = since & ~sold & (in_most & many)[:, None]
    return unseen


def dated_spans(numbers: str, cutoff: dt.date) -> str:
    """Name the weeks that `predict_area` numbers by their days, for people: «del 2026-10-05 al 2026-10-25 y …»."""
    spans = list[list[int]]()
    for week in map(int, numbers.split()):
        if spans and week == spans[-1][-1] + 1:
            spans[-1].append(week)
        else:
            spans.append([week])
    named = [
        f"del {_first_day(span[-1], cutoff)} al {_last_day(span[0], cutoff)}"
        for span in spans[:_MAX_SPANS]
    ]
    if others := spans[_MAX_SPANS:]:
        named.append(f"otras {sum(map(len, others))} más")
    *first, last = named
    return f"{', '.join(first)} y {last}" if first else last


def _first_day(week: int, cutoff: dt.date) -> dt.date:
    return cutoff - dt.timedelta(days=WEEK_DAYS * (week + 1) - 1)


def _last_day(week: int, cutoff: dt.date) -> dt.date:
    return cutoff - dt.timedelta(days=WEEK_DAYS * week)


def _forecast_cover(panel: Panel, unseen: Flags, cover_days: float) -> Demand:
    """Demand over ``cover_days``, by the whole weeks that are nearest.

    Weeks that no counter's data has are left out of the past, as if the others followed each other: what is learnt from
    replays needs weeks in a row that were seen.
    """
    horizon = max(1, round(cover_days / WEEK_DAYS))
    year = learn_season(_filled(panel, unseen), SEASON_WEEKS, horizon)
    plain = year.deseasonalise(panel)
    if (gap := unseen.all(axis=0)).any():
        plain = replace(plain, units=plain.units[:, ~gap], seen=plain.seen[:, ~gap])
    demand = forecast_demand(plain, calibrate_forecast(plain, horizon))
    return demand.scale_mean(
        year.mean_factor(panel, 0, horizon) * (cover_days / (WEEK_DAYS * horizon))
    )


def _build_panel(units: Floats, seen: Flags, products: pl.Series, catalogue: pl.DataFrame) -> Panel:
    """The panel of an area, counters × products × weeks; what was not seen is taken out of ``units`` in place."""
    counters, count, weeks = units.shape
    units *= seen
    kinds = products.to_frame().join(catalogue, on="material", how="left", maintain_order="left")[
        "category"
    ]
    kind = (kinds.fill_null("").rank("dense") - 1).to_numpy().astype(np.int64)
    return Panel(
        units=units.reshape(-1, weeks),
        seen=seen.reshape(-1, weeks),
        product=np.tile(np.arange(count), counters),
        group=np.tile(kind, counters)
        + np.repeat(np.arange(counters), count) * (int(kind.max()) + 1),
    )


def _filled(panel: Panel, unseen: Flags) -> Panel:
    """The panel with what is usual around a gap in it: the season is learnt from totals, which know no gaps."""
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
    """Whether a product had been sold anywhere in the area by a week; by the first, if that is early."""
    sold = (units > 0).any(axis=0)
    first = np.argmax(sold, axis=1)
    first = np.where(first < LAUNCH_GRACE_WEEKS, 0, first)
    return np.tile(np.arange(units.shape[2]) >= first[:, None], (len(units), 1, 1))


def _last_sale_mask(units: Floats) -> Flags:
    """Whether a week is the last one with a sale, or one before it."""
    sold = units > 0
    silent = np.where(sold.any(axis=-1), np.argmax(sold[..., ::-1], axis=-1), units.shape[-1])
    until: Flags = np.arange(units.shape[-1]) < units.shape[-1] - silent[..., None]
    return until
