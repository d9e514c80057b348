"""Parts of a table: Parquet files in its layout, which a commit adds as they lie."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from deltalake.transaction import AddAction

from ipp.core.contract import Table

_ROW_GROUP_ROWS: Final = 131_072
"""Rows per row group: those of some counters, read or skipped together."""


def write_part(table: Table, rows: pl.LazyFrame, path: Path) -> None:
    """Write ``rows`` of one partition of ``table`` as a part: under labels, without the partition.

    The rows are streamed. A part may be written by any process.
    """
    labels = {name: label for name, label in table.labels.items() if name not in table.partition_by}
    columns = [pl.col(name).alias(label) for name, label in labels.items()]
    table.conform_rows(rows).select(columns).sink_parquet(
        path, compression="zstd", row_group_size=_ROW_GROUP_ROWS, mkdir=True
    )


def move_parts(table: Table, parts: Path, folder: Path, value: str) -> Iterator[AddAction]:
    """Move the parts of the partition ``value`` to the table's ``folder``; yield them as actions.

    A part without rows is left where it is.
    """
    (partition,) = (table.labels[name] for name in table.partition_by)
    target = folder / f"{partition}={value}"
    target.mkdir(parents=True, exist_ok=True)
    for part in sorted(parts.iterdir()):
        statistics = _part_statistics(table, part)
        if not statistics["numRecords"]:
            continue
        name = f"part-{uuid.uuid4()}.zstd.parquet"
        status = part.rename(target / name).stat()
        yield AddAction(
            path=f"{target.name}/{name}",
            size=status.st_size,
            partition_values={partition: value},
            modification_time=int(status.st_mtime * 1_000),
            data_change=True,
            stats=json.dumps(statistics),
        )


def _part_statistics(table: Table, part: Path) -> dict[str, object]:
    """Return Delta's statistics of a part: its rows, and the bounds of its key's columns."""
    key = [table.labels[name] for name in table.key if name not in table.partition_by]
    bounds = (
        pl.scan_parquet(part)
        .select(
            pl.len().alias("rows"),
            *(pl.col(label).min().alias(f"min {label}") for label in key),
            *(pl.col(label).max().alias(f"max {label}") for label in key),
        )
        .collect()
        .row(0, named=True)
    )
    return {
        "numRecords": bounds["rows"],
        "minValues": {label: bounds[f"min {label}"] for label in key},
        "maxValues": {label: bounds[f"max {label}"] for label in key},
        "nullCount": dict.fromkeys(key, 0),
    }
