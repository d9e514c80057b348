"""Write the chain into a lakehouse, spilling the sell-out to disk to bound memory."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.sample.pharmacy_chain import PharmacyChain
from ipp.storage.change_record import Author, Operation, record_bulk_change
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.change_log import ChangeLog, change_metadata
from ipp.storage.lakehouse.lakehouse import Lakehouse

ROWS_IN_MEMORY = 3_000_000
"""Rows held in memory at a time, about 90 MB."""


def write_chain(
    chain: PharmacyChain,
    lakehouse: Lakehouse,
    scratch: Scratch,
    progress: Callable[[int, int], None],
    author: Author,
) -> None:
    """Replace the bronze tables of ``lakehouse`` by the chain; each table is one commit.

    The configurations come last: if the process is killed half-way there are none, and no job can
    run on a partial chain. The area forecast is emptied, because it would be of other areas. The
    sell-out is written in the order (date, mostrador, material). ``progress`` is called with (steps
    done, total steps): a counter drawn, a day sorted, or at last the table written. The change of
    each table is recorded as ``author``'s.
    """
    for table in (CONFIGURATIONS, AREA_FORECAST):
        _replace_table(lakehouse, table, pl.LazyFrame(schema=table.schema), author)
    _replace_table(lakehouse, COUNTERS, chain.counters.lazy(), author)
    _replace_table(lakehouse, MATERIALS, chain.materials.lazy(), author)
    _replace_table(lakehouse, STOCK, chain.stock.lazy(), author)
    total = chain.counters.height + chain.days + 1
    with scratch.temporary_folder() as folder:
        steps = itertools.chain(_spill_counters(chain, folder), _sort_days(chain, folder))
        for done, _ in enumerate(steps, start=1):
            progress(done, total)
        files = sorted(folder.glob("*.day"))
        rows = pl.scan_parquet(files) if files else pl.LazyFrame(schema=SELLOUT.schema)
        _replace_table(lakehouse, SELLOUT, rows, author)
    _replace_table(lakehouse, CONFIGURATIONS, chain.configurations.lazy(), author)
    ChangeLog(lakehouse).try_copy_records()
    progress(total, total)


def _replace_table(lakehouse: Lakehouse, table: Table, rows: pl.LazyFrame, author: Author) -> None:
    record = record_bulk_change(table, author, Operation.SAMPLE, {})
    lakehouse.replace_table(table, rows, change_metadata(record))


def _spill_counters(chain: PharmacyChain, folder: Path) -> Iterator[None]:
    """Write the sell-out to ``folder``, by date in each batch; yield after each counter."""
    held: list[pl.DataFrame] = []
    for done, piece in enumerate(chain.sellout(), start=1):
        held.append(piece)
        if done == chain.counters.height or sum(p.height for p in held) >= ROWS_IN_MEMORY:
            batch = pl.concat(held).sort("date", maintain_order=True)
            # Many groups, whose statistics let some days be read without the others.
            file = folder / f"{done:05d}.batch"
            batch.write_parquet(file, compression="lz4", row_group_size=100_000)
            held = []
        yield


def _sort_days(chain: PharmacyChain, folder: Path) -> Iterator[None]:
    """Write each day with sales to ``folder``, by (mostrador, material); yield after each day.

    A file is one row group, so a day reaches the lakehouse in one batch. delta-rs keeps the order
    of rows within a batch but distributes batches over threads: if a day had two, the second could
    be stored first.
    """
    batches = pl.scan_parquet(sorted(folder.glob("*.batch")))
    rows_a_day = batches.select(pl.len()).collect().item() / chain.days
    stretch = max(1, int(ROWS_IN_MEMORY / max(1, rows_a_day)))
    days = [chain.end - dt.timedelta(days=ago) for ago in reversed(range(chain.days))]
    for first in range(0, len(days), stretch):
        part = days[first : first + stretch]
        # Batches and counters ascend, and a counter is sorted by (date, material): a partition by
        # date that keeps the order is sorted.
        rows = batches.filter(pl.col("date").is_between(part[0], part[-1])).collect()
        sales = rows.partition_by("date", as_dict=True, maintain_order=True)
        for day in part:
            if (day,) in sales:
                file = folder / f"{day}.day"
                sales[day,].write_parquet(file, compression="lz4", row_group_size=len(sales[day,]))
            yield
