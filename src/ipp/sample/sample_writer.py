"""Write the chain into a lakehouse, spilling the sell-out to disk to bound memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.sample.pharmacy_chain import PharmacyChain
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

ROWS_IN_MEMORY = 3_000_000
"""Rows held in memory at a time, about 90 MB; a stretch of days is sized to have as many."""

SALE_DENSITY = 0.06
"""Part of mostrador x material x day with a sale: a high estimate, only to size stretches."""

ReportSample = Callable[[int, int], None]


def write_chain(
    chain: PharmacyChain, lakehouse: Lakehouse, scratch: Scratch, progress: ReportSample
) -> None:
    """Replace the bronze tables of ``lakehouse`` by the chain; each table is one commit.

    The configurations come last: if the process is killed half-way there are none, and no job can
    run on a partial chain. The area forecast is emptied, because it would be of other areas.

    The sell-out is written in the order (date, mostrador, material). ``progress`` is called with
    (steps done, total steps): a step is a counter drawn or a stretch of days sorted; the last is
    the table written.
    """
    for table in (CONFIGURATIONS, AREA_FORECAST):
        lakehouse.replace_table(table, pl.LazyFrame(schema=table.schema))
    for table, frame in (
        (COUNTERS, chain.counters),
        (MATERIALS, chain.materials),
        (STOCK, chain.stock),
    ):
        lakehouse.replace_table(table, frame.lazy())
    starts = _day_stretches(chain)
    total = chain.counters.height + len(starts) + 1
    with scratch.temporary_folder() as folder:
        done = 0
        for done in _spill_sellout(chain, starts, folder):
            progress(done, total)
        ordered: list[Path] = []
        for part in range(len(starts)):
            ordered += _sort_stretch(folder, part)
            progress(done + part + 1, total)
        lakehouse.replace_table(
            SELLOUT, pl.scan_parquet(ordered) if ordered else pl.LazyFrame(schema=SELLOUT.schema)
        )
    lakehouse.replace_table(CONFIGURATIONS, chain.configurations.lazy())
    progress(total, total)


def _day_stretches(chain: PharmacyChain) -> list[dt.date]:
    """Return the first day of each stretch; a stretch is likely to fit `ROWS_IN_MEMORY`."""
    rows_a_day = chain.counters.height * chain.materials.height * SALE_DENSITY
    days = max(1, int(ROWS_IN_MEMORY / rows_a_day))
    first = chain.end - dt.timedelta(days=chain.days - 1)
    return [first + dt.timedelta(days=at) for at in range(0, chain.days, days)]


def _spill_sellout(chain: PharmacyChain, starts: list[dt.date], folder: Path) -> Iterator[int]:
    """Write the sell-out to ``folder``, a file a stretch and batch; yield the counters done."""
    for part in range(len(starts)):
        (folder / f"{part:05d}").mkdir()
    held: list[pl.DataFrame] = []
    batch = 0
    for done, piece in enumerate(chain.sellout(), start=1):
        held.append(piece)
        if done == chain.counters.height or sum(p.height for p in held) >= ROWS_IN_MEMORY:
            _spill_batch(held, starts, folder, batch)
            held, batch = [], batch + 1
        yield done


def _spill_batch(held: list[pl.DataFrame], starts: list[dt.date], folder: Path, batch: int) -> None:
    """Write one batch of counters, a file a stretch."""
    # A piece is sorted by date, so its stretches are slices of it, without copies.
    firsts = np.array(starts, dtype="datetime64[D]")
    bounds = [
        [*np.searchsorted(piece["date"].to_numpy(), firsts).tolist(), piece.height]
        for piece in held
    ]
    for part in range(len(starts)):
        slices = [
            p.slice(b[part], b[part + 1] - b[part]) for p, b in zip(held, bounds, strict=True)
        ]
        pl.concat(slices).write_parquet(
            folder / f"{part:05d}" / f"{batch:05d}.parquet", compression="lz4"
        )


def _sort_stretch(folder: Path, part: int) -> list[Path]:
    """Replace a stretch's batches by a file a day, sorted by (date, mostrador, material).

    A file is one row group, so a day reaches the lakehouse in one batch. delta-rs keeps the order
    of rows within a batch but distributes batches over threads: if a day had two, the second could
    be stored first.
    """
    spilled = folder / f"{part:05d}"
    files = sorted(spilled.iterdir())
    # Batches and counters ascend, and a counter is sorted by (date, material), so that a stable
    # sort by date is enough.
    frame = pl.concat([pl.read_parquet(file) for file in files]).sort("date", maintain_order=True)
    for file in files:
        file.unlink()
    days = []
    for (day,), rows in frame.partition_by("date", as_dict=True, maintain_order=True).items():
        days.append(spilled / f"{day}.parquet")
        rows.write_parquet(days[-1], compression="lz4", row_group_size=rows.height)
    return days
