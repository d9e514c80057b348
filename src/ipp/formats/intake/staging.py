"""Accepted rows on their way into a table, one partition at a time so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.formats.intake.raw_cell import ROW_COLUMN
from ipp.formats.intake.row_check import is_accepted

_PARTITION_COLUMN: Final = "#part"
_ACCEPTED_COLUMN: Final = "#good"
_STORED_COLUMN: Final = "#had"


@dataclass(frozen=True, slots=True)
class StagedPartition:
    """The accepted rows of a file that fall into one partition, beside what the table has there.

    ``value`` is the partition's, None where the table has no partitions. ``rows`` is how many the file brings
    for it, ``content`` all that the partition holds after the import, sorted by key, and ``repeated`` the
    rows of the file whose key came before (the key, `ROW_COLUMN` and ``first``). ``stored`` is what the partition holds
    before it, ``different`` the rows that were not there, or with other values.
    """

    value: object
    rows: int
    content: pl.DataFrame
    repeated: pl.DataFrame
    added: int
    changed: int
    stored: pl.DataFrame
    different: pl.DataFrame


def stage_rows(table: Table, rows: pl.LazyFrame, folder: Path) -> tuple[list[Path], int]:
    """Lay the accepted rows of `examine` into ``folder``, a folder for each partition of the table.

    Gives those folders and how many rows were refused.
    """
    bucket: pl.Expr = pl.col(table.partition_by[0]) if table.partition_by else pl.lit("")
    good = pl.col(_ACCEPTED_COLUMN)
    marked = rows.with_columns(is_accepted(table).alias(_ACCEPTED_COLUMN)).select(
        ROW_COLUMN, _ACCEPTED_COLUMN, *table.schema
    )
    key = {_ACCEPTED_COLUMN: good, _PARTITION_COLUMN: pl.when(good).then(bucket.cast(pl.String))}
    marked.sink_parquet(
        pl.PartitionBy(folder, key=key, include_key=False),
        compression="lz4",
        statistics=False,
        mkdir=True,
    )
    refused = folder / f"{_ACCEPTED_COLUMN}=false"
    files = sorted(refused.rglob("*.parquet"))
    count = pl.scan_parquet(files, glob=False).select(pl.len()).collect().item() if files else 0
    return sorted((folder / f"{_ACCEPTED_COLUMN}=true").glob("*")), int(count)


_BATCH_PARTITIONS: Final = 16
"""Partitions that are read together: asking for one costs a look at every file of the table."""


def staged_partitions(
    table: Table, folders: list[Path], stored: pl.LazyFrame, absent: Collection[str]
) -> Iterator[StagedPartition]:
    """Give each folder of `stage_rows` as the content of its partition; ``stored`` is the table as it is.

    The file does not bring the columns ``absent``, so a row that is stored keeps what it has there.
    """
    for start in range(0, len(folders), _BATCH_PARTITIONS):
        group = [
            pl.read_parquet(sorted(folder.glob("*.parquet")), glob=False, hive_partitioning=False)
            for folder in folders[start : start + _BATCH_PARTITIONS]
        ]
        if not table.partition_by:
            yield from (
                _build_partition(table, None, rows, stored.collect(), absent) for rows in group
            )
            continue
        name = table.partition_by[0]
        values = [rows.item(0, name) for rows in group]
        here = stored.filter(pl.col(name).is_in(values)).collect().partition_by(name, as_dict=True)
        empty = pl.DataFrame(schema=table.schema)
        for value, rows in zip(values, group, strict=True):
            yield _build_partition(table, value, rows, here.get((value,), empty), absent)


def _build_partition(
    table: Table, value: object, rows: pl.DataFrame, stored: pl.DataFrame, absent: Collection[str]
) -> StagedPartition:
    rows = rows.sort(*table.key, ROW_COLUMN)
    again = rows.select(
        pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in table.key)
    ).to_series()
    again = again.fill_null(value=False)
    first = rows.filter(~again)
    repeated = rows.filter(again).select(ROW_COLUMN, *table.key)
    if not repeated.is_empty():
        repeated = repeated.join(first.select(*table.key, first=pl.col(ROW_COLUMN)), on=table.key)
    else:
        repeated = repeated.with_columns(first=pl.lit(None, pl.UInt32))
    new = _fill_missing_columns(table, first.select(*table.schema), stored, absent)
    kept = stored.join(new, on=table.key, how="anti")
    different = new.join(stored, on=list(table.schema), how="anti", nulls_equal=True)
    added = new.height + kept.height - stored.height
    content = pl.concat([kept, new]).sort(table.key) if not kept.is_empty() else new
    return StagedPartition(
        value, rows.height, content, repeated, added, different.height - added, stored, different
    )


def _fill_missing_columns(
    table: Table, new: pl.DataFrame, stored: pl.DataFrame, absent: Collection[str]
) -> pl.DataFrame:
    """Put what is stored into the columns that the file does not bring."""
    if not absent or stored.is_empty():
        return new
    old = stored.select(
        *table.key,
        *(pl.col(name).alias(f"#old:{name}") for name in absent),
        pl.lit(True).alias(_STORED_COLUMN),
    )
    return (
        new.join(old, on=table.key, how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col(_STORED_COLUMN))
            .then(pl.col(f"#old:{name}"))
            .otherwise(pl.col(name))
            .alias(name)
            for name in absent
        )
        .select(*table.schema)
    )
