"""Write the chain into a lakehouse, spilling the sell-out to disk to bound memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.sample.pharmacy_chain import PharmacyChain
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

ROWS_IN_MEMORY = 3_000_000
"""Rows held in memory at a time, about 90 MB; a stretch of days is sized to have as many."""

SALE_DENSITY = 0.06
"""Part of mostrador x material x day with a sale: a high estimate, only to size stretches."""


def write_chain(
    chain: PharmacyChain,
    lakehouse: Lakehouse,
    scratch: Scratch,
    progress: Callable[[int, int], None],
) -> None:
    """Replace the bronze tables of ``lakehouse`` by the chain; each table is one commit.

    The configurations come last: if the process is killed half-way there are none, and no job can
    run on a partial chain. The area forecast is emptied, because it would be of other areas. The
    sell-out is written in the order (date, mostrador, material). ``progress`` is called with (steps
    done, total steps): a counter drawn, a stretch of days sorted, or at last the table written.
    """
    for table in (CONFIGURATIONS, AREA_FORECAST):
        lakehouse.replace_table(table, pl.LazyFrame(schema=table.schema))
    lakehouse.replace_table(COUNTERS, chain.counters.lazy())
    lakehouse.replace_table(MATERIALS, chain.materials.lazy())
    lakehouse.replace_table(STOCK, chain.stock.lazy())
    rows_a_day = chain.counters.height * chain.materials.height * SALE_DENSITY
    stretch = dt.timedelta(days=max(1, int(ROWS_IN_MEMORY / rows_a_day)))
    stretches = -(-chain.days // stretch.days)
    total = chain.counters.height + stretches + 1
    start = chain.end - dt.timedelta(days=chain.days - 1)
    files: list[Path] = []
    with scratch.temporary_folder() as folder:
        for done in _spill_sellout(chain, folder):
            progress(done, total)
        for part in range(stretches):
            files += _sort_days(folder, start + part * stretch, start + (part + 1) * stretch)
            progress(chain.counters.height + part + 1, total)
        rows = pl.scan_parquet(files) if files else pl.LazyFrame(schema=SELLOUT.schema)
        lakehouse.replace_table(SELLOUT, rows)
    lakehouse.replace_table(CONFIGURATIONS, chain.configurations.lazy())
    progress(total, total)


def _spill_sellout(chain: PharmacyChain, folder: Path) -> Iterator[int]:
    """Write the sell-out to ``folder``, by date in each batch; yield the counters done."""
    held: list[pl.DataFrame] = []
    for done, piece in enumerate(chain.sellout(), start=1):
        held.append(piece)
        if done == chain.counters.height or sum(p.height for p in held) >= ROWS_IN_MEMORY:
            batch = pl.concat(held).sort("date", maintain_order=True)
            # Many groups, whose statistics let a stretch of days be read without the others.
            file = folder / f"{done:05d}.batch"
            batch.write_parquet(file, compression="lz4", row_group_size=100_000)
            held = []
        yield done


def _sort_days(folder: Path, start: dt.date, stop: dt.date) -> list[Path]:
    """Write a file for each day from ``start`` to before ``stop``, by (mostrador, material).

    A file is one row group, so a day reaches the lakehouse in one batch. delta-rs keeps the order
    of rows within a batch but distributes batches over threads: if a day had two, the second could
    be stored first.
    """
    rows = pl.scan_parquet(sorted(folder.glob("*.batch")))
    rows = rows.filter(pl.col("date").is_between(start, stop, closed="left"))
    # Batches and counters ascend, and a counter is sorted by (date, material): a partition by date
    # that keeps the order is sorted.
    days = rows.collect().partition_by("date", as_dict=True, maintain_order=True)
    files = []
    for (day,), sales in sorted(days.items()):
        files.append(folder / f"{day}.parquet")
        sales.write_parquet(files[-1], compression="lz4", row_group_size=sales.height)
    return files
