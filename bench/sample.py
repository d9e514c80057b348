"""How fast the made-up chain sells, beside the floor: Polars writing the same rows as Parquet.

python bench/sample.py [counters] [materials] [days]
"""

from __future__ import annotations

import datetime as dt
import resource
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from ipp.files.scratch import Scratch
from ipp.lakehouse.delta import DeltaLakehouse
from ipp.sample import chain, write

KEEP_UP_TO = 200
"""Counters whose rows are kept together for the floor; more would measure memory."""


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(step: str, seconds: float, rows: int) -> None:
    print(f"{step:<34}{seconds:8.2f} s {rows / seconds / 1e6:8.2f} M rows/s   peak {peak_mb():7.0f} MB")


def main(counters: int = 20, materials: int = 4_000, days: int = 365) -> None:
    print(f"{counters} counters x {materials} materials x {days} days, peak {peak_mb():.0f} MB after imports")
    start = time.perf_counter()
    made = chain(counters=counters, materials=materials, days=days, seed=1, end=dt.date(2026, 6, 30))
    drawn = time.perf_counter() - start
    start = time.perf_counter()
    rows = sum(piece.height for piece in made.sellout())
    sold = time.perf_counter() - start
    report("the four tables", drawn, rows)
    report("sell-out, piece by piece", sold, rows)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write(made, DeltaLakehouse(Path(folder)), Scratch(Path(folder)), lambda _done, _total: None)
        report("write into Delta, drawing included", time.perf_counter() - start, rows)
        if counters <= KEEP_UP_TO:
            everything = pl.concat(list(made.sellout()), rechunk=True)
            start = time.perf_counter()
            everything.write_parquet(Path(folder) / "floor.parquet")
            report("floor: Polars writes one Parquet", time.perf_counter() - start, rows)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
