"""The forecast beside what it is measured against, on public demand data.

    python bench/forecast.py FOLDER

FOLDER has carparts.csv, raf.csv and m5_two_stores.parquet. Every choice in the forecast is learnt before the periods
it is measured on; the figures beside ours are of the same periods (statsforecast 2.1.1 for the models by name).
RMSSE = sqrt(mean e² / mean dy²) with the scale in-sample; pinball = mean[u(y-q)+ + (1-u)(q-y)+] / mean|dy|.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.forecast import calibrate, forecast
from ipp.core.panel import Floats, Panel
from measure import show

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def monthly(name: str, units: Floats, ahead: int, rmsse: str, pinball: str) -> None:
    past, came = Panel.of(units[:, :-ahead]), units[:, -ahead:]
    step = np.diff(past.units, axis=1)
    moved = (step != 0).any(axis=1)
    whole = forecast(past, calibrate(past, ahead))
    month = replace(forecast(past, calibrate(past, 1)), mean=whole.mean / ahead)
    scale = np.sqrt((step[moved] ** 2).mean(axis=1))
    error = np.sqrt(((came - month.mean[:, None]) ** 2)[moved].mean(axis=1)) / scale
    show(f"{name}: RMSSE, last {ahead} months, {moved.sum():,} series", f"{error.mean():.4f}", rmsse)
    zero = np.sqrt((came[moved] ** 2).mean(axis=1)) / scale
    show(f"{name}: the same of a forecast of 0", f"{zero.mean():.4f}", "for what the measure rewards")
    losses: list[float] = []
    nothing: list[float] = []
    for level, quantile in zip(LEVELS, month.quantiles(LEVELS).T, strict=True):
        for found, kept in ((quantile, losses), (np.zeros_like(quantile), nothing)):
            miss = came[moved] - found[moved, None]
            loss = np.where(miss >= 0, level * miss, (level - 1) * miss).mean(axis=1)
            kept.append(float((loss / np.abs(step[moved]).mean(axis=1)).mean()))
    show(f"{name}: mean scaled pinball", f"{np.mean(losses):.4f}", pinball)
    show(f"{name}: the same of quantiles of 0", f"{np.mean(nothing):.4f}", "for what the measure rewards")
    show(f"{name}: forecast to what came, in all", f"{month.mean.mean() / came.mean():.3f}", "1 is unbiased")


def daily(path: Path, ahead: int = 28) -> None:
    units, seen, product, group = stores(path)
    past = Panel.of(units[:, :-ahead], seen[:, :-ahead], product, group)
    start = time.perf_counter()
    demand = forecast(past, calibrate(past, ahead))
    median, high = demand.quantiles([0.5, 0.95]).T
    seconds = time.perf_counter() - start
    came, usual = units[:, -ahead:].sum(axis=1), past.units[:, -ahead:].sum(axis=1)

    def wape(found: Floats) -> float:
        return float(np.abs(found - came).sum() / came.sum())

    base = wape(usual)
    show("m5: 28-day sums, WAPE of a moving average", f"{base:.4f}", f"{len(units):,} series")
    show("m5: the median", f"{wape(median):.4f}", f"{wape(median) / base - 1:+.2%}; target -8%")
    show("m5: the mean", f"{wape(demand.mean):.4f}", f"{wape(demand.mean) / base - 1:+.2%}")
    show("m5: came within q.95", f"{(came <= high).mean():.2%}", "target 94% to 96%")
    show("m5: learning and forecasting", f"{seconds:.2f} s", f"{len(units) / seconds:,.0f} series/s of 419 days")


def stores(path: Path) -> tuple[Floats, Floats, np.ndarray, np.ndarray]:
    """Units and what was seen, series by day; numbers of the products and of the categories of a shop."""
    rows = pl.read_parquet(path)
    wide = rows.pivot(on="fecha", index=["tienda", "producto"], values="piezas").sort("tienda", "producto")
    days = sorted(c for c in wide.columns if c not in {"tienda", "producto"})
    units = wide.select(days).to_numpy().astype(np.float64)
    kind = pl.concat_str("tienda", pl.col("producto").str.replace(r"_[^_]*$", ""), separator=" ")
    group = wide.select((kind.rank("dense") - 1).cast(pl.Int64)).to_series().to_numpy()
    product = wide.select((pl.col("producto").rank("dense") - 1).cast(pl.Int64)).to_series().to_numpy()
    return np.nan_to_num(units), (~np.isnan(units)).astype(np.float64), product, group


def speed(series: int = 100_000, weeks: int = 104) -> None:
    rng = np.random.default_rng(1)
    level = rng.gamma(0.6, 3.0, series)
    panel = Panel.of(rng.poisson(level[:, None] * rng.gamma(2.0, 0.5, (series, weeks))).astype(np.float64))
    learnt = calibrate(panel, 3)
    start = time.perf_counter()
    forecast(panel, learnt).quantiles([*LEVELS, 0.95])
    seconds = time.perf_counter() - start
    per_second = series / seconds
    show("level and 6 quantiles, 104 weeks", f"{per_second:,.0f} series/s", "target 100,000 a core; one process")
    start = time.perf_counter()
    calibrate(panel, 3)
    show("learning, once for a panel", f"{time.perf_counter() - start:.2f} s", "")
    show("50 million series, on paper", f"{5e7 / per_second / 60:.1f} min", "of one core, without reading them")


def main(folder: str = "") -> None:
    if folder:
        cars = pl.read_csv(Path(folder) / "carparts.csv").drop("Part").to_numpy().astype(np.float64)
        monthly(
            "carparts",
            cars[~np.isnan(cars).any(axis=1)],
            6,
            "SES .5895; target below",
            "best static .3472; target .330",
        )
        planes = pl.read_csv(Path(folder) / "raf.csv").to_numpy().astype(np.float64)
        monthly("raf", planes, 12, "ADIDA .6112; target below .611", "best static .2704; target .268")
        daily(Path(folder) / "m5_two_stores.parquet")
    speed()


if __name__ == "__main__":
    main(*sys.argv[1:])
