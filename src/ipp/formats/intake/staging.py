"""Stage accepted rows for a table, one partition at a time so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

import numpy as np
import polars as pl

from ipp.core.contract import Table
from ipp.errors import InvalidInputError
from ipp.formats.intake.raw_cell import ROW_COLUMN
from ipp.formats.intake.row_check import ACCEPTED_COLUMN

_CHUNK_ROWS: Final = 1 << 21
"""Rows that are distributed at a time; fewer take less memory and make more files."""

_STORED_COLUMN: Final = "#had"

_MAX_SORT_VALUES: Final = 2**63
"""Different values of an Int64 from 0."""

ScanPartitions = Callable[[Collection[object] | None], pl.LazyFrame]
"""Return the stored rows of some partitions; of the whole table where they are None."""


@dataclass(frozen=True, slots=True)
class StagedPartition:
    """The accepted rows of a file for one partition, merged with what the table has there.

    ``value`` is the partition's, None where the table has no partitions. ``rows`` is how many rows
    the file has for it and ``keys`` how many keys, of which ``added`` are new and ``changed`` have
    other values.
    ``stored`` is the content of the partition before the import and ``content`` after it, sorted by
    key; ``different`` has the added and the changed rows. ``repeated`` has the rows of the file
    whose key an earlier row has: the key, `ROW_COLUMN`, ``first``, the first such row's number, and
    the table's summable column. ``returned`` has the negative totals of keys that became 0.
    """

    value: object
    rows: int
    keys: int
    content: pl.DataFrame
    repeated: pl.DataFrame
    added: int
    changed: int
    stored: pl.DataFrame
    different: pl.DataFrame
    returned: pl.Series


def stage_rows(table: Table, rows: pl.LazyFrame, folder: Path) -> tuple[list[Path], int]:
    """Write the rows of `RowCheck.accept_rows` into a subfolder of ``folder`` for each partition.

    Returns those subfolders and how many rows were rejected.
    """
    folder.mkdir()
    refused, writing = 0, Future[None]()
    writing.set_result(None)
    chunks = rows.collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=False)
    # While one chunk is written the next is parsed, which Polars' partitioned sink does not do.
    with ThreadPoolExecutor(1) as writer:
        for number, chunk in enumerate(chunks):
            accepted = chunk[ACCEPTED_COLUMN]
            good = (chunk if accepted.all() else chunk.filter(accepted)).drop(ACCEPTED_COLUMN)
            refused += chunk.height - good.height
            writing.result()
            if not good.is_empty():
                writing = writer.submit(_write_chunk, table, good, folder, f"{number:06}.parquet")
        writing.result()
    return sorted(folder.iterdir()), refused


def _write_chunk(table: Table, rows: pl.DataFrame, folder: Path, name: str) -> None:
    """Write ``rows`` as a file called ``name`` into the subfolder of each of their partitions."""
    parts = (
        rows.partition_by(table.partition_by, as_dict=True) if table.partition_by else {(): rows}
    )
    for values, part in parts.items():
        subfolder = folder / quote("/".join(map(str, values)) or "todo", safe="")
        subfolder.mkdir(exist_ok=True)
        part.write_parquet(subfolder / name, compression="lz4", statistics=False)


_BATCH_PARTITIONS: Final = 16
"""Partitions of the table that are read per query."""


def staged_partitions(
    table: Table, folders: Sequence[Path], stored: ScanPartitions, absent: Collection[str]
) -> Iterator[StagedPartition]:
    """Yield each folder of `stage_rows` merged with its partition in the table.

    The file lacks the columns ``absent``, so a stored row keeps its values in them.
    """
    parts = _merged_partitions(table, folders, stored, absent)
    # While a partition is written the next is merged.
    with ThreadPoolExecutor(1) as merger:
        following = merger.submit(next, parts, None)
        while (part := following.result()) is not None:
            following = merger.submit(next, parts, None)
            yield part


def _merged_partitions(
    table: Table, folders: Sequence[Path], stored: ScanPartitions, absent: Collection[str]
) -> Iterator[StagedPartition]:
    for start in range(0, len(folders), _BATCH_PARTITIONS):
        group = [
            pl.read_parquet(sorted(folder.glob("*.parquet")), glob=False, hive_partitioning=False)
            for folder in folders[start : start + _BATCH_PARTITIONS]
        ]
        if not table.partition_by:
            yield from (
                _build_partition(table, None, rows, stored(None).collect(), absent)
                for rows in group
            )
            continue
        name = table.partition_by[0]
        values = [rows.item(0, name) for rows in group]
        stored_by_value = stored(values).collect().partition_by(name, as_dict=True)
        empty = pl.DataFrame(schema=table.schema)
        for value, rows in zip(values, group, strict=True):
            before = stored_by_value.get((value,), empty)
            yield _build_partition(table, value, rows, before, absent)


def _build_partition(
    table: Table, value: object, rows: pl.DataFrame, stored: pl.DataFrame, absent: Collection[str]
) -> StagedPartition:
    count = rows.height
    rows = _sort_rows(rows, (*table.key, ROW_COLUMN))
    returned = pl.Series([], dtype=pl.Float64())
    if table.sums_rows:
        rows, returned = _add_rows(table, rows)
    # The rows are sorted by key, so a repeated key directly follows a row with the same key.
    is_repeat = rows.select(
        pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in table.key)
    ).to_series()
    is_repeat = is_repeat.fill_null(value=False)
    first = rows.filter(~is_repeat) if is_repeat.any() else rows
    summable = [table.summable] if table.summable else []
    repeated = rows.filter(is_repeat).select(ROW_COLUMN, *table.key, *summable)
    if not repeated.is_empty():
        repeated = repeated.join(first.select(*table.key, first=pl.col(ROW_COLUMN)), on=table.key)
    else:
        repeated = repeated.with_columns(first=pl.lit(None, pl.UInt32))
    new = _fill_missing_columns(table, first.select(*table.schema), stored, absent)
    content, added, different = _merge_rows(table, new, stored)
    return StagedPartition(
        value,
        count,
        new.height,
        content,
        repeated,
        added,
        different.height - added,
        stored,
        different,
        returned,
    )


def _add_rows(table: Table, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return one row a key with the total of its rows, and the totals below 0, which become 0.

    More came back that day than was sold: demand was none, and the rest belongs to other days.
    Raises `InvalidInputError` for a total above the column's maximum.
    """
    name = table.summable
    # Tickets have three decimals at most; a sum of floats has noise beyond.
    total = pl.col(name).sum().round(9)
    others = pl.exclude(*table.key, name).first()
    added = rows.group_by(table.key, maintain_order=True).agg(total, others).select(rows.columns)
    most = table.by_name[name].maximum
    if most is not None and not (excess := added.filter(pl.col(name) > most)).is_empty():
        row = excess.row(0, named=True)
        key = ", ".join(f"{table.labels[part]} {row[part]}" for part in table.key)
        raise InvalidInputError(
            f"Los renglones de {key} suman {row[name]:,.15g} {table.by_name[name].unit}, "
            f"más que el máximo, {most:,.15g}.",
            hint="Revise si el archivo trae los mismos renglones dos veces.",
        )
    returned = added.filter(pl.col(name) < 0)[name]
    return added.with_columns(pl.col(name).clip(lower_bound=0)), returned


def _merge_rows(
    table: Table, new: pl.DataFrame, stored: pl.DataFrame
) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    """Return a partition with the rows ``new``, how many of them are added, and which differ."""
    # Most partitions of a file are new or as they were, and joins cost more than all the rest.
    if stored.is_empty():
        return new, new.height, new
    if new.equals(stored):
        return stored, 0, new.clear()
    kept = stored.join(new, on=table.key, how="anti")
    different = new.join(stored, on=list(table.schema), how="anti", nulls_equal=True)
    # What does not replace a stored row is added: of 3 new rows where 5 are stored and 3 of those
    # are kept, 2 replace a row and 3 + 3 - 5 = 1 is added.
    added = new.height + kept.height - stored.height
    content = pl.concat([kept, new]).sort(table.key) if not kept.is_empty() else new
    return content, added, different


def _sort_rows(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Sort rows; by one number a row, in a fifth of the time, where all columns fit into it."""
    order: pl.Expr = pl.lit(0, pl.Int64)
    values = 1
    for name in names:
        column = rows[name].to_physical()
        if not column.dtype.is_integer():
            return rows.sort(*names)
        # For example the mostradores 7051602 to 7051604 are the digits 0 to 2 of a base of 3.
        low, high = cast("tuple[int, int]", (column.min(), column.max()))
        base = high - low + 1
        values *= base
        order = order * base + (pl.col(name).to_physical().cast(pl.Int64) - low)
    if values > _MAX_SORT_VALUES:
        return rows.sort(*names)
    # NumPy sorts numbers in a third of the time that Polars takes.
    return rows[np.argsort(rows.select(order).to_series().to_numpy())]


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
