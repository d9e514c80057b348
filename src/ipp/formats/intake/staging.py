"""Stage accepted rows for a table, one partition at a time so that memory stays bounded."""

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
    """The accepted rows of a file for one partition, merged with what the table has there.

    ``value`` is the partition's, None where the table has no partitions. ``rows`` is how many rows
    the file has for it, of which ``added`` have a new key and ``changed`` other values.
    ``stored`` is the content of the partition before the import and ``content`` after it, sorted by
    key; ``different`` has the added and the changed rows. ``repeated`` has the rows of the file
    whose key an earlier row has: the key, `ROW_COLUMN` and ``first``, the first such row's number.
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
    """Write the accepted rows of `check_rows` into a subfolder of ``folder`` for each partition.

    Returns those subfolders and how many rows were rejected.
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
"""Partitions read per query, because each query looks at every file of the table."""


def staged_partitions(
    table: Table, folders: list[Path], stored: pl.LazyFrame, absent: Collection[str]
) -> Iterator[StagedPartition]:
    """Yield each folder of `stage_rows` merged with the partition in ``stored``, the whole table.

    The file lacks the columns ``absent``, so a stored row keeps its values in them.
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
        stored_by_value = (
            stored.filter(pl.col(name).is_in(values)).collect().partition_by(name, as_dict=True)
        )
        empty = pl.DataFrame(schema=table.schema)
        for value, rows in zip(values, group, strict=True):
            before = stored_by_value.get((value,), empty)
            yield _build_partition(table, value, rows, before, absent)


def _build_partition(
    table: Table, value: object, rows: pl.DataFrame, stored: pl.DataFrame, absent: Collection[str]
) -> StagedPartition:
    rows = rows.sort(*table.key, ROW_COLUMN)
    # The rows are sorted by key, so a repeated key directly follows a row with the same key.
    is_repeat = rows.select(
        pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in table.key)
    ).to_series()
    is_repeat = is_repeat.fill_null(value=False)
    first = rows.filter(~is_repeat)
    repeated = rows.filter(is_repeat).select(ROW_COLUMN, *table.key)
    if not repeated.is_empty():
        repeated = repeated.join(first.select(*table.key, first=pl.col(ROW_COLUMN)), on=table.key)
    else:
        repeated = repeated.with_columns(first=pl.lit(None, pl.UInt32))
    new = _fill_missing_columns(table, first.select(*table.schema), stored, absent)
    kept = stored.join(new, on=table.key, how="anti")
    different = new.join(stored, on=list(table.schema), how="anti", nulls_equal=True)
    # What does not replace a stored row is added: of 3 new rows where 5 are stored and 3 of those
    # are kept, 2 replace a row and 3 + 3 - 5 = 1 is added.
    added = new.height + kept.height - stored.height
    content = pl.concat([kept, new]).sort(table.key) if not kept.is_empty() else new
    return StagedPartition(
        value, rows.height, content, repeated, added, different.height - added, stored, different
    )


def _fill_missing_columns(
    table: Table, new: pl.DataFrame, stored: pl.DataFrame, absent: Collection[str]
) -> pl.DataFrame:
    """Fill the columns that the file lacks with the stored values."""
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
