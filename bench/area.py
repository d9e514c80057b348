"""The memory that the forecast of one area takes: one kernel's, whatever computes the stage.

    python bench/area.py

An area is one dense panel, counters × products × weeks. Each is forecast in a process of its own;
its rows, which a runner has in memory anyway, count too.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import polars as pl

from ipp.core.predictive.weeks import predict_area
from measure import show

PRODUCTS = 5_000
AREAS = ((20, 52), (20, 156), (40, 156))
"""Counters and weeks."""
LIMIT = 1_000.0
"""MB that a kernel has on serverless Spark, given."""


def forecast(counters: int, weeks: int) -> None:
    """Sell every product on one week of four and forecast it; prints the peak of memory in MB."""
    rng = np.random.default_rng(1)
    catalogue = pl.DataFrame(
        {"material": np.arange(PRODUCTS), "category": [f"C{n % 12}" for n in range(PRODUCTS)]}
    )
    empty = pl.DataFrame(schema={"mostrador": pl.Int64, "material": pl.Int64})
    parts = []
    for mostrador in range(counters):
        product, week = np.divmod(np.flatnonzero(rng.random(PRODUCTS * weeks) < 0.25), weeks)
        units = rng.geometric(0.4, len(product)).astype(np.float64)
        part = pl.DataFrame({"material": product, "week": week, "units": units})
        parts.append(part.with_columns(mostrador=pl.lit(mostrador, dtype=pl.Int64)))
    predict_area(pl.concat(parts), catalogue, empty, 21.0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # KiB on Linux


def main() -> None:
    for counters, weeks in AREAS:
        command = (sys.executable, __file__, str(counters), str(weeks))
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        panel = counters * PRODUCTS * weeks * 8 / 1e6
        what = f"memory of a forecast, {counters} counters × {PRODUCTS:,} products × {weeks} weeks"
        show(
            what,
            peak,
            "MB",
            {"of a kernel on serverless Spark, given": LIMIT, "its units": panel},
            digits=0,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        forecast(*map(int, sys.argv[1:]))
    else:
        main()
