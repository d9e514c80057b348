"""The forecast beside what it is measured against, on public demand data.

    python bench/forecast.py FOLDER

FOLDER has carparts.csv, raf.csv and m5_two_stores.parquet. Every choice in the forecast is learnt
before the periods it is measured on; the figures beside ours are of the same periods (statsforecast
2.1.1 for the models by name).

RMSSE = sqrt(mean e² / mean dy²) with the scale in-sample.
Pinball = mean[u(y-q)+ + (1-u)(q-y)+] / mean|dy|.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import Floats, Panel
from measure import print_figure

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SPEED = 100_000.0
"""The target: series a second and core."""

Against = Mapping[str, float]


def monthly(name: str, units: Floats, ahead: int, rmsse: Against, pinball: Against) -> None:
    past, came = Panel.build(units[:, :-ahead]), units[:, -ahead:]
    step = np.diff(past.units, axis=1)
    moved = (step != 0).any(axis=1)
    whole = forecast_demand(past, calibrate_forecast(past, ahead))
    month = replace(forecast_demand(past, calibrate_forecast(past, 1)), mean=whole.mean / ahead)
    scale = np.sqrt((step[moved] ** 2).mean(axis=1))
    error = np.sqrt(((came - month.mean[:, None]) ** 2)[moved].mean(axis=1)) / scale
    zero = np.sqrt((came[moved] ** 2).mean(axis=1)) / scale
    what = f"{name}, last {ahead} months, {moved.sum():,} series"
    print_figure(
        f"{what}: RMSSE", error.mean(), "", {**rmsse, "a forecast of 0": zero.mean()}, digits=4
    )
    losses: list[float] = []
    nothing: list[float] = []
    for level, quantile in zip(LEVELS, month.quantiles(LEVELS).T, strict=True):
        for found, kept in ((quantile, losses), (np.zeros_like(quantile), nothing)):
            miss = came[moved] - found[moved, None]
            loss = np.where(miss >= 0, level * miss, (level - 1) * miss).mean(axis=1)
            kept.append(float((loss / np.abs(step[moved]).mean(axis=1)).mean()))
    against = {**pinball, "quantiles of 0": float(np.mean(nothing))}
    print_figure(f"{what}: mean scaled pinball", float(np.mean(losses)), "", against, digits=4)
    print_figure(
        f"{what}: units foretold",
        month.mean.mean(),
        "a month",
        {"what came": came.mean()},
        digits=3,
    )


def daily(path: Path, ahead: int = 28) -> None:
    units, seen, product, group = read_stores(path)
    past = Panel.build(units[:, :-ahead], seen[:, :-ahead], product, group)
    start = time.perf_counter()
    learnt = calibrate_forecast(past, ahead)
    learning = time.perf_counter() - start
    demand = forecast_demand(past, learnt)
    median, high = demand.quantiles([0.5, 0.95]).T
    seconds = time.perf_counter() - start
    came, usual = units[:, -ahead:].sum(axis=1), past.units[:, -ahead:].sum(axis=1)

    def wape(found: Floats) -> float:
        return float(np.abs(found - came).sum() / came.sum())

    base = wape(usual)
    what = f"m5, {ahead}-day sums, {len(units):,} series"
    average = {"a moving average": base}
    print_figure(
        f"{what}: WAPE of the median", wape(median), "", {"target": 0.92 * base} | average, digits=4
    )
    print_figure(f"{what}: WAPE of the mean", wape(demand.mean), "", average, digits=4)
    within, aim = 100 * (came <= high).mean(), "target 94% to 96%"
    print_figure(
        f"{what}: came within q.95", within, "%", {"what it should be": 95.0}, aim, digits=2
    )
    what = f"{what} of {past.periods} days: learning and forecasting"
    print_figure(what, seconds, "s", {"forecasting alone": seconds - learning}, digits=2)


def read_stores(path: Path) -> tuple[Floats, Floats, np.ndarray, np.ndarray]:
    """Return units and what was observed, series by day; numbers of products and of categories."""
    rows = pl.read_parquet(path)
    wide = rows.pivot(on="fecha", index=["tienda", "producto"], values="piezas").sort(
        "tienda", "producto"
    )
    days = sorted(c for c in wide.columns if c not in {"tienda", "producto"})
    units = wide.select(days).to_numpy().astype(np.float64)
    kind = pl.concat_str("tienda", pl.col("producto").str.replace(r"_[^_]*$", ""), separator=" ")
    group = wide.select((kind.rank("dense") - 1).cast(pl.Int64)).to_series().to_numpy()
    product = (
        wide.select((pl.col("producto").rank("dense") - 1).cast(pl.Int64)).to_series().to_numpy()
    )
    return np.nan_to_num(units), (~np.isnan(units)).astype(np.float64), product, group


def speed(series: int = 100_000, weeks: int = 104) -> None:
    rng = np.random.default_rng(1)
    level = rng.gamma(0.6, 3.0, series)
    panel = Panel.build(
        rng.poisson(level[:, None] * rng.gamma(2.0, 0.5, (series, weeks))).astype(np.float64)
    )
    learnt = calibrate_forecast(panel, 3)
    start = time.perf_counter()
    forecast_demand(panel, learnt).quantiles([*LEVELS, 0.95])
    seconds = time.perf_counter() - start
    per_second = series / seconds
    what = f"level and 6 quantiles, {weeks} weeks"
    print_figure(what, per_second, "series/s", {"target": SPEED}, "a core; one process", digits=0)
    start = time.perf_counter()
    calibrate_forecast(panel, 3)
    learning = time.perf_counter() - start
    print_figure(
        f"learning, once for a panel of {series:,}",
        learning,
        "s",
        {"forecasting it": seconds},
        digits=2,
    )
    print_figure(
        "50 million series, on paper",
        5e7 / per_second / 60,
        "min",
        {"target": 5e7 / SPEED / 60},
        "without reading",
    )


def main(folder: str = "") -> None:
    if folder:
        cars = pl.read_csv(Path(folder) / "carparts.csv").drop("Part").to_numpy().astype(np.float64)
        monthly(
            "carparts",
            cars[~np.isnan(cars).any(axis=1)],
            6,
            {"the best of six models, SES, given": 0.5895},
            {"target": 0.330, "the best static distribution, given": 0.3472},
        )
        planes = pl.read_csv(Path(folder) / "raf.csv").to_numpy().astype(np.float64)
        beside = {"target": 0.611, "the best of six models, ADIDA, given": 0.6112}
        monthly(
            "raf",
            planes,
            12,
            beside,
            {"target": 0.268, "the best static distribution, given": 0.2704},
        )
        daily(Path(folder) / "m5_two_stores.parquet")
    speed()


if __name__ == "__main__":
    main(*sys.argv[1:])
