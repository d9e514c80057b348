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

from ipp.jobs.change_author import change_author
from ipp.jobs.local_caller import local_caller
from ipp.sample import PharmacyChain, invent_chain, write_chain
from ipp.storage.change_record import Door
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from measure import print_figure, time_function

KEPT = 5_000_000
"""Rows that are kept together for the floor, at most; more would measure memory."""


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(counters: int = 20, materials: int = 4_000, days: int = 365) -> None:
    imported = peak_mb()
    start = time.perf_counter()
    made = invent_chain(
        counters=counters, materials=materials, days=days, seed=1, end=dt.date(2026, 6, 30)
    )
    assert made.stock.height  # all four tables are drawn when one of them is asked for
    drawn = time.perf_counter() - start
    start = time.perf_counter()
    rows = sum(piece.height for piece in made.sellout())
    sold = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_chain(
            made,
            DeltaLakehouse(Path(folder)),
            Scratch(Path(folder)),
            lambda _done, _total: None,
            change_author(local_caller(), Door.COMMAND),
        )
        written, peak = time.perf_counter() - start, peak_mb()
        floor = {
            "Polars writing them as one Parquet": rows
            / rate_of_parquet(made, Path(folder) / "floor.parquet")
        }
    what = f"{counters} × {materials:,} × {days} days made up, {rows:,} sales"
    print_figure(f"{what}: its four tables", drawn, "s", {"its sell-out": sold}, digits=2)
    print_figure(f"{what}: its sell-out", sold, "s", floor, digits=2)
    print_figure(f"{what}: all of it written into Delta", written, "s", floor, digits=2)
    print_figure(f"{what}: memory", peak, "MB", {"imports alone": imported}, digits=0)


def rate_of_parquet(made: PharmacyChain, file: Path) -> float:
    """Rows a second of Polars, writing some of the sell-out that lie in memory."""
    kept: list[pl.DataFrame] = []
    for piece in made.sellout():
        kept.append(piece)
        if sum(one.height for one in kept) >= KEPT:
            break
    everything = pl.concat(kept, rechunk=True)
    return everything.height / time_function(lambda: everything.write_parquet(file), 3)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
