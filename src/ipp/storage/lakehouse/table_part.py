"""Parts of a table: Parquet files in its layout, which a commit adds as they lie."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from deltalake.transaction import AddAction

from ipp.core.contract import Table
from ipp.storage.lakehouse.file_commit import file_statistics, key_columns
from ipp.storage.lakehouse.maintenance import COMPRESSION_LEVEL

_ROW_GROUP_ROWS: Final = 131_072
"""Rows per row group: those of some counters, read or skipped together."""


def write_part(table: Table, rows: pl.LazyFrame, path: Path) -> None:
    """Write ``rows`` of one partition of ``table`` as a part: under labels, without the partition.

    The rows are streamed. A part may be written by any process.
    """
    labels = {name: label for name, label in table.labels.items() if name not in table.partition_by}
    columns = [pl.col(name).alias(label) for name, label in labels.items()]
    table.conform_rows(rows).select(columns).sink_parquet(
        path,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        row_group_size=_ROW_GROUP_ROWS,
        mkdir=True,
    )


def move_parts(table: Table, parts: Path, folder: Path, value: str) -> Iterator[AddAction]:
    """Move the parts of the partition ``value`` to the table's ``folder``; yield them as actions.

    A part without rows is left where it is.
    """
    (partition,) = (table.labels[name] for name in table.partition_by)
    target = folder / f"{partition}={value}"
    target.mkdir(parents=True, exist_ok=True)
    for part in sorted(parts.iterdir()):
        rows = pl.read_parquet(part, columns=[table.labels[name] for name in key_columns(table)])
        if rows.is_empty():
            continue
        name = f"part-{uuid.uuid4()}.zstd.parquet"
        status = part.rename(target / name).stat()
        yield AddAction(
            path=f"{target.name}/{name}",
            size=status.st_size,
            partition_values={partition: value},
            modification_time=int(status.st_mtime * 1_000),
            data_change=True,
            stats=file_statistics(table, rows.rename(dict(table.names), strict=False)),
        )
