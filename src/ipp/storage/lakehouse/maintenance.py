"""Which files of a Delta table are worth writing again, and which nobody needs."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable, WriterProperties

from ipp.storage.lakehouse.lakehouse import CompactionReport, VacuumReport

ROW_GROUP_ROWS: Final = 65_536
"""Rows that a reader takes or skips together where a table is sorted; fewer make reading all of it slower."""

DELETED_FILE_RETENTION: Final = dt.timedelta(days=7)
"""How long a table is sure to know when a file was replaced: Delta's deletedFileRetentionDuration."""

_TARGET_FILE_BYTES: Final = 100 * 2**20
"""Bytes at which delta-rs begins another file."""


def writer_properties(*, ordered: bool) -> WriterProperties:
    """How a table's files are written; those of one that is sorted in groups of few rows."""
    return WriterProperties(
        compression="ZSTD", max_row_group_size=ROW_GROUP_ROWS if ordered else None
    )


def file_sizes(stored: DeltaTable, partition: str) -> Mapping[object, Sequence[int]]:
    """The bytes of each file, by the value of the ``partition`` column, as it is labelled, that it lies in."""
    name = f"partition.{partition}"
    files = pl.DataFrame(stored.get_add_actions(flatten=True)).select(name, "size_bytes")
    return dict(files.group_by(name).agg("size_bytes").sort(name).iter_rows())


def has_small_files(files: Sequence[int]) -> bool:
    """Whether two of a partition's files, by their bytes, together would still be a small one."""
    return len(files) > 1 and sum(sorted(files)[:2]) < _TARGET_FILE_BYTES / 2


def is_disordered(rows: pl.LazyFrame, order: Sequence[str]) -> bool:
    """Whether a row lies after one that ``order`` puts behind it."""
    falls: pl.Expr = pl.lit(value=False)
    for name in reversed(order):
        before = pl.col(name).shift()
        falls = (pl.col(name) < before) | ((pl.col(name) == before) & falls)
    return bool(rows.select(falls.any()).collect().item())


def compact_files(stored: DeltaTable) -> CompactionReport:
    """Put small files of a partition together, in no order, whatever the memory there is."""
    done = stored.optimize.compact(writer_properties=writer_properties(ordered=False))
    return CompactionReport(done["numFilesRemoved"], done["numFilesAdded"])


def remove_unused_files(stored: DeltaTable, folder: Path, keep: dt.timedelta) -> VacuumReport:
    """Remove what no version of the last ``keep`` needs from the table's ``folder``."""
    present = {file: file.stat().st_size for file in _data_files(folder)}
    hours = math.ceil(keep / dt.timedelta(hours=1))
    stored.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    # What delta-rs was still writing has another ending until it is whole, and its vacuum does not see it.
    limit = time.time() - keep.total_seconds()
    for file in folder.rglob("*.parquet#*"):
        if file.stat().st_mtime < limit:
            file.unlink()
    gone = [size for file, size in present.items() if not file.exists()]
    return VacuumReport(len(gone), sum(gone))


def _data_files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*.parquet*") if "_delta_log" not in file.parts]
