"""Maintenance of Delta tables: compact small files, delete unused ones."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import CommitProperties, DeltaTable, WriterProperties

from ipp.storage.lakehouse.lakehouse import CompactionReport, VacuumReport

ROW_GROUP_ROWS: Final = 65_536
"""Rows per row group of a sorted table, read or skipped together; fewer slow full scans."""

COMPRESSION_LEVEL: Final = 1
"""Level of ZSTD, the fastest: higher ones save a fiftieth of the size."""

DELETED_FILE_RETENTION: Final = dt.timedelta(days=7)
"""How long a table remembers replaced files: Delta's deletedFileRetentionDuration."""

_TARGET_FILE_BYTES: Final = 100 * 2**20
"""File size, in bytes, at which delta-rs starts another file."""


def writer_properties(*, ordered: bool) -> WriterProperties:
    """Return the Parquet settings of a table; a sorted one gets small row groups."""
    return WriterProperties(
        compression="ZSTD",
        compression_level=COMPRESSION_LEVEL,
        max_row_group_size=ROW_GROUP_ROWS if ordered else None,
    )


def file_sizes(stored: DeltaTable, partition: str) -> Mapping[object, Sequence[int]]:
    """Return the sizes of the files, in bytes, by value of the partition column.

    ``partition`` is the label of that column.
    """
    name = f"partition.{partition}"
    files = pl.DataFrame(stored.get_add_actions(flatten=True)).select(name, "size_bytes")
    return dict(files.group_by(name).agg("size_bytes").sort(name).iter_rows())


def has_small_files(files: Sequence[int]) -> bool:
    """Return whether the two smallest files (sizes in bytes) would merge into a small one."""
    return len(files) > 1 and sum(sorted(files)[:2]) < _TARGET_FILE_BYTES / 2


def is_disordered(rows: pl.LazyFrame, order: Sequence[str]) -> bool:
    """Return whether any row breaks the ascending ``order``, a list of column names."""
    # Lexicographic comparison with the previous row, built from the last column to the first. By
    # (a, b), (1, 5) → (1, 3) is a descent: a is equal and b falls; (1, 5) → (2, 3) is not, a rises.
    is_descent: pl.Expr = pl.lit(value=False)
    for name in reversed(order):
        previous = pl.col(name).shift()
        is_descent = (pl.col(name) < previous) | ((pl.col(name) == previous) & is_descent)
    return bool(rows.select(is_descent.any()).collect().item())


def compact_files(stored: DeltaTable, properties: CommitProperties) -> CompactionReport:
    """Merge the small files of each partition, unsorted and in bounded memory."""
    metrics = stored.optimize.compact(
        writer_properties=writer_properties(ordered=False),
        commit_properties=properties,
    )
    return CompactionReport(metrics["numFilesRemoved"], metrics["numFilesAdded"])


def remove_unused_files(
    stored: DeltaTable, folder: Path, keep: dt.timedelta, properties: CommitProperties
) -> VacuumReport:
    """Remove the files in the table's ``folder`` that no version of the last ``keep`` needs."""
    size_by_file = {file: file.stat().st_size for file in _data_files(folder)}
    hours = math.ceil(keep / dt.timedelta(hours=1))
    stored.vacuum(
        hours,
        dry_run=False,
        enforce_retention_duration=False,
        full=True,
        commit_properties=properties,
    )
    # delta-rs gives a file another suffix until it is complete, and its vacuum skips those that a
    # killed writer left.
    limit = time.time() - keep.total_seconds()
    for file in folder.rglob("*.parquet#*"):
        if file.stat().st_mtime < limit:
            file.unlink()
    removed_sizes = [size for file, size in size_by_file.items() if not file.exists()]
    return VacuumReport(len(removed_sizes), sum(removed_sizes))


def _data_files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*.parquet*") if "_delta_log" not in file.parts]
