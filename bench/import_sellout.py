"""Time and memory to import a large sell-out, beside merely reading the file.

    python bench/import_sellout.py [ROWS] [--order date|counter]

Seconds and the peak of resident memory of: Polars counting the file's cells (the floor), a first
import, and the same import again, which changes nothing. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.tables import COUNTERS, MATERIALS, SELLOUT
from ipp.formats.intake.table_import import TableImporter
from ipp.jobs.change_author import change_author
from ipp.jobs.local_caller import local_caller
from ipp.storage.change_record import Door
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from measure import Spent, print_figure

DAYS, COUNTER_COUNT, MATERIAL_COUNT = 400, 1_000, 4_000
FIRST_DAY = dt.date(2024, 1, 1)
FIRST_COUNTER, FIRST_MATERIAL = 7_051_000, 100_000


def generate(file: Path, rows: int, order: str) -> None:
    """Write distinct sales, by day or by counter, in random order within."""
    rng = np.random.default_rng(20240101)
    outer, inner = (DAYS, COUNTER_COUNT) if order == "date" else (COUNTER_COUNT, DAYS)
    with file.open("wb") as stream:
        stream.write(b"mostrador,material,fecha,piezas\n")
        for position in range(outer):
            count = rows * (position + 1) // outer - rows * position // outer
            pairs = rng.integers(0, inner * MATERIAL_COUNT, count + count // 8 + 64)
            pairs = pl.Series(pairs).unique(maintain_order=True).head(count).to_numpy()
            other, material = np.divmod(pairs, MATERIAL_COUNT)
            fixed = np.full(len(pairs), position)
            day, counter = (fixed, other) if order == "date" else (other, fixed)
            pl.DataFrame(
                {
                    "mostrador": counter + FIRST_COUNTER,
                    "material": material + FIRST_MATERIAL,
                    "fecha": np.datetime64(FIRST_DAY) + day.astype("timedelta64[D]"),
                    "piezas": rng.geometric(0.4, len(pairs)),
                }
            ).write_csv(stream, include_header=False)


def found(root: Path) -> None:
    """Write the counters and materials that the sales refer to."""
    lakehouse = DeltaLakehouse(root)
    counters = range(FIRST_COUNTER, FIRST_COUNTER + COUNTER_COUNT)
    materials = range(FIRST_MATERIAL, FIRST_MATERIAL + MATERIAL_COUNT)
    lakehouse.replace_table(
        COUNTERS, pl.LazyFrame({"mostrador": counters, "postal_code": [6000] * COUNTER_COUNT})
    )
    lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": materials}))


def scan(file: Path) -> None:
    print(
        pl.scan_csv(file, infer_schema=False)
        .select(pl.all().count())
        .collect(engine="streaming")
        .row(0)
    )


def load(file: Path, root: Path) -> None:
    today = FIRST_DAY + dt.timedelta(days=DAYS)
    print(
        TableImporter(DeltaLakehouse(root), Scratch(root / "scratch")).import_file(
            SELLOUT,
            file,
            rejections=root / "rechazos",
            today=today,
            author=change_author(local_caller(), Door.COMMAND),
        )
    )


def measure(what: str, file: Path, root: Path) -> Spent:
    """What ``what`` takes in a process of its own."""
    command = [sys.executable, __file__, "--child", what, "--file", str(file), "--root", str(root)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    said, figures = result.stdout.strip().splitlines()
    seconds, peak = json.loads(figures)
    print(f"{what}: {said}")
    return Spent(seconds, peak / 1024)


def child(what: str, file: Path, root: Path) -> None:
    start = time.perf_counter()
    if what == "scan":
        scan(file)
    else:
        load(file, root)
    # ru_maxrss is in KiB on Linux
    print(
        json.dumps(
            [time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=int, nargs="?", default=50_000_000)
    parser.add_argument("--order", choices=("date", "counter"), default="date")
    parser.add_argument("--child", choices=("scan", "first", "again"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.file, arguments.root)
        return
    with tempfile.TemporaryDirectory(prefix="ipp-bench-") as name:
        file, root = Path(name) / "sellout.csv", Path(name) / "lakehouse"
        generate(file, arguments.rows, arguments.order)
        found(root)
        print(
            f"{arguments.rows:,} rows by {arguments.order}, {file.stat().st_size / 2**20:,.0f} MiB"
        )
        scanned, first, again = (measure(what, file, root) for what in ("scan", "first", "again"))
    what = f"import of {arguments.rows:,} sales by {arguments.order}"
    print_figure(what, first.seconds, "s", {"Polars scanning the csv": scanned.seconds})
    print_figure(
        f"{what}: memory",
        first.megabytes / 1024,
        "GiB",
        {"target": 4.0, "scanning": scanned.megabytes / 1024},
    )
    print_figure(
        f"{what}, again: nothing changes", again.seconds, "s", {"the first time": first.seconds}
    )


if __name__ == "__main__":
    main()
