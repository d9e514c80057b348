"""The cost of reading ten counters from a large sell-out, as laid out, beside other layouts.

    python bench/layout.py [COUNTERS] [DAYS]

Three tables with the same rows, a file a day: in no order; by counter in one group of rows, as they
were before; by counter in small groups, as compaction leaves them. Read from memory, with what the
computation asks for: a filter by the counters' numbers. Beside the time, the bytes of the groups
whose statistics do not exclude every counter asked.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from deltalake import WriterProperties, write_deltalake

from ipp.core.tables import SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from measure import show, timed

ROWS_A_COUNTER, MATERIALS = 220, 4_200
FIRST_COUNTER, FIRST_DAY = 7_050_000, dt.date(2024, 1, 1)
NONE, BEFORE, NOW = "in no order", "by counter, a group a day", "by counter, small groups"


def day_of(counters: int, number: int) -> pl.DataFrame:
    """What every counter sold on a day, by counter and material."""
    rng = np.random.default_rng(number)
    materials = np.sort(rng.integers(0, MATERIALS, (counters, ROWS_A_COUNTER)), axis=1)
    return pl.DataFrame(
        {
            "mostrador": np.repeat(np.arange(counters) + FIRST_COUNTER, ROWS_A_COUNTER),
            "material": materials.ravel() + 100_000,
            "date": FIRST_DAY + dt.timedelta(days=number),
            "units": rng.geometric(0.4, materials.size).astype(float),
        }
    )


def add(lakehouse: DeltaLakehouse, rows: pl.DataFrame) -> None:
    """A day's file as it was written before: one group of rows, in the order they come."""
    write_deltalake(
        Path(lakehouse.address(SELLOUT)).as_uri(),
        rows.rename(dict(SELLOUT.labels)),
        mode="append",
        partition_by=["fecha"],
        writer_properties=WriterProperties(compression="ZSTD"),
    )


def read(lakehouse: DeltaLakehouse, counters: Collection[int] | None) -> pl.DataFrame:
    rows = lakehouse.scan_table(SELLOUT)
    asked = rows if counters is None else rows.filter(pl.col("mostrador").is_in(counters))
    return asked.select(
        pl.len(), pl.col("units").sum(), pl.col("material").max(), pl.col("date").max()
    ).collect()


def files(lakehouse: DeltaLakehouse) -> list[Path]:
    return sorted(Path(lakehouse.address(SELLOUT)).glob("fecha=*/*.parquet"))


def share(lakehouse: DeltaLakehouse, counters: Collection[int]) -> float:
    """Of the bytes of rows, those of the groups that may hold one of ``counters``."""
    touched = total = 0
    for file in files(lakehouse):
        footer = pq.ParquetFile(file).metadata
        for group in map(footer.row_group, range(footer.num_row_groups)):
            span = group.column(0).statistics
            total += group.total_byte_size
            touched += group.total_byte_size * any(
                span.min <= counter <= span.max for counter in counters
            )
    return touched / total


def compare(lakes: dict[str, DeltaLakehouse], what: str, counters: Collection[int] | None) -> None:
    """Time the same question to each table; all have to answer the same."""
    answers = [read(lakehouse, counters).rows() for lakehouse in lakes.values()]
    assert answers.count(answers[0]) == len(answers)
    spent = {
        name: timed(partial(read, lakehouse, counters), 15) for name, lakehouse in lakes.items()
    }
    for name in (BEFORE, NOW):
        against = {NONE: spent[NONE] * 1e3}
        if counters is not None:
            against["all of it"] = timed(partial(read, lakes[name], None), 5) * 1e3
        show(f"{what}, {name}", spent[name] * 1e3, "ms", against, digits=0)
        if counters is not None:
            show(
                f"{what}, {name}: bytes",
                100 * share(lakes[name], counters),
                "%",
                {"all of it": 100.0},
                digits=0,
            )


def import_a_day(lakehouse: DeltaLakehouse, rows: pl.DataFrame, scratch: Path) -> None:
    """Write one new day, as an import hands it over."""
    before = {file: file.stat().st_mtime_ns for file in files(lakehouse)}
    rows.write_parquet(scratch, row_group_size=rows.height)
    start = time.perf_counter()
    lakehouse.replace_partitions(SELLOUT, pl.scan_parquet(scratch), [rows.item(0, "date")])
    seconds = time.perf_counter() - start
    after = {file: file.stat().st_mtime_ns for file in files(lakehouse)}
    kept = sum(after.get(file) == stamp for file, stamp in before.items())
    alone = timed(lambda: rows.write_parquet(scratch, compression="zstd"), 5)
    untouched = f"{kept} of the {len(before)} files before untouched"
    show(
        "one new day written",
        seconds * 1e3,
        "ms",
        {"Polars writing its Parquet": alone * 1e3},
        untouched,
        digits=0,
    )


def compact(lakehouse: DeltaLakehouse, rows: int, file: Path) -> None:
    """Put the days in order, and again, which finds them so."""
    start = time.perf_counter()
    lakehouse.scan_table(SELLOUT).sort("date", "mostrador", "material").collect().write_parquet(
        file, compression="zstd"
    )
    spent = [time.perf_counter() - start]
    for _ in range(2):
        start = time.perf_counter()
        lakehouse.compact_table(SELLOUT)
        spent.append(time.perf_counter() - start)
    floor, first, again = spent
    show(
        f"compaction of {rows:,} rows in no order",
        first,
        "s",
        {"Polars sorting them into one Parquet": floor},
    )
    show("compaction of the same in order", again, "s", {"in no order": first})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counters", type=int, nargs="?", default=1_000)
    parser.add_argument("days", type=int, nargs="?", default=60)
    given = parser.parse_args()
    rows = given.counters * given.days * ROWS_A_COUNTER
    with tempfile.TemporaryDirectory() as folder:
        lakes = {name: DeltaLakehouse(Path(folder) / name) for name in (NONE, BEFORE, NOW)}
        for number in range(given.days):
            sold = day_of(given.counters, number)
            mixed = sold.sample(fraction=1, shuffle=True, seed=number)
            add(lakes[NONE], mixed)
            add(lakes[BEFORE], sold)
            add(lakes[NOW], mixed)
        print(f"{given.counters:,} counters, {given.days} days, {rows:,} rows")
        compact(lakes[NOW], rows, Path(folder) / "sorted.parquet")
        lakes[NOW].vacuum_table(SELLOUT, dt.timedelta(0))
        sizes = {
            name: sum(file.stat().st_size for file in files(lake)) / 1e6
            for name, lake in lakes.items()
        }
        for name in (BEFORE, NOW):
            show(f"size, {name}", sizes[name], "MB", {NONE: sizes[NONE]})
        middle = FIRST_COUNTER + given.counters // 2
        compare(lakes, "all", None)
        compare(lakes, "ten neighbours", range(middle, middle + 10))
        compare(
            lakes,
            "ten far apart",
            range(FIRST_COUNTER, FIRST_COUNTER + given.counters, given.counters // 10),
        )
        import_a_day(lakes[NOW], day_of(given.counters, given.days), Path(folder) / "day.parquet")


if __name__ == "__main__":
    main()
