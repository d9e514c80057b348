"""Service for stock and money: predictive beside traditional model, by replaying history.

    python bench/frontier.py [M5_TWO_STORES.parquet]

Weekly review, orders that arrive the week after they were decided for, lost sales lost, the value
of a sale one unit. Two weeks before what is counted both models start with the same stock. Without
a file, the sample chain alone.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import polars as pl

from forecast import read_stores
from ipp.core.predictive.panel import Floats, Panel
from ipp.core.replay.frontier import (
    FrontierPoint,
    interpolate_fill_rate,
    interpolate_stock,
    trace_frontier,
)
from ipp.core.replay.policy import PolicyKind
from ipp.core.replay.simulate import OrderTerms
from ipp.pipeline.backtest import estimate_initial_stock
from ipp.sample import invent_chain
from measure import print_figure

WEEKS = 16
TERMS = OrderTerms(review=1, lead=1)
COVER = 21.0


def compare(name: str, panel: Panel, price: Floats | None = None) -> None:
    what = "units" if price is None else "MXN"
    counted = panel.periods - WEEKS
    start = counted - 2 * TERMS.horizon
    begin = estimate_initial_stock(panel, start, TERMS.lead, TERMS.review)
    points = trace_frontier(panel, TERMS, begin, start, counted, days=7.0, price=price)
    ours = [point for point in points if point.kind is PolicyKind.IPP]
    theirs = [point for point in points if point.kind is PolicyKind.SPP]
    usual: FrontierPoint = next(point for point in theirs if point.setting == COVER)
    saved = 1 - interpolate_stock(ours, usual.fill_rate) / usual.held
    high = 1 - interpolate_stock(ours, 0.95) / interpolate_stock(theirs, 0.95)
    served, more = (
        100 * usual.fill_rate,
        100 * (interpolate_fill_rate(ours, usual.held) - usual.fill_rate),
    )
    print(
        f"{name}: {len(points)} replays of {len(panel):,} series;"
        f" {usual.held:,.0f} {what} held for 21 days of cover"
    )
    against = {"traditional, 21 days of cover": served}
    print_figure(
        f"{name}: service with the {what} of 21 days of cover", served + more, "%", against
    )
    print_figure(f"{name}: more service with them", more, "points", {"target": 3.0})
    against = {"target": 25.0, "a plain base stock in two shops, given": 21.0}
    print_figure(
        f"{name}: {what} saved at the service of 21 days of cover", 100 * saved, "%", against
    )
    print_figure(
        f"{name}: {what} saved at a service of 95%",
        100 * high,
        "%",
        {"a plain base stock in two shops, given": 29.0},
    )


def m5(path: Path) -> Panel:
    units, seen, product, group = read_stores(path)
    weeks = units.shape[1] // 7
    shape = (len(units), weeks, 7)
    whole = seen[:, -weeks * 7 :].reshape(shape).min(axis=2)
    return Panel.build(units[:, -weeks * 7 :].reshape(shape).sum(axis=2), whole, product, group)


def sample(counters: int = 6, materials: int = 1_500, weeks: int = 70) -> tuple[Panel, Floats]:
    """Return sell-out and prices of a made-up chain; a stock-out shows as no demand."""
    end = dt.date(2026, 10, 31)
    made = invent_chain(counters=counters, materials=materials, days=7 * weeks, seed=1, end=end)
    sold = pl.concat(list(made.sellout()))
    age = (pl.lit(end) - pl.col("date")).dt.total_days() // 7
    rows = sold.group_by("mostrador", "material", age=age).agg(pl.col("units").sum())
    keys = rows.select("mostrador", "material").unique().sort("mostrador", "material")
    at = rows.join(keys.with_row_index("row"), on=["mostrador", "material"])
    units = np.zeros((len(keys), weeks))
    units[at["row"].to_numpy(), weeks - 1 - at["age"].to_numpy()] = at["units"].to_numpy()

    def numbers(name: str) -> np.ndarray:
        return (keys[name].rank("dense") - 1).cast(pl.Int64).to_numpy()

    prices = keys.join(
        made.materials.select("material", "price"), on="material", maintain_order="left"
    )["price"]
    panel = Panel.build(units, product=numbers("material"), group=numbers("mostrador"))
    return panel, prices.fill_null(strategy="mean").to_numpy()


def main(path: str = "") -> None:
    if path:
        compare("m5", m5(Path(path)))
    panel, price = sample()
    compare("sample, by units", panel)
    compare("sample, by money", panel, price)


if __name__ == "__main__":
    main(*sys.argv[1:])
