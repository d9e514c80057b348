"""Counters that are computed together: how many of them, and the rows of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.errors import IppError
from ipp.pipeline.runners.process_pool import LostPiece, try_piece

CounterSource = pl.DataFrame | Path | LostPiece
"""The rows of a counter, the Parquet file that holds them, or why there are none."""

MAX_BATCH_ROWS: Final = 262_144
"""Most rows of a batch of several counters, at some 500 bytes each, whatever the catalogue."""


GROUP_BATCH_COUNTERS: Final = 144
"""Counters collected per batch of groups: large, because every batch opens all files."""


class UnreadableRowsError(IppError):
    """The rows of a counter are missing or damaged."""

    code = "renglones_ilegibles"


def count_fitting(rows: CounterSource, most: int) -> int:
    """Return how many counters with as many ``rows``, or rows in a file, make a batch: at least 1.

    ``most`` is the largest number. A file that cannot be read makes a batch alone.
    """
    counted = try_piece(_count_rows, rows)
    if isinstance(counted, LostPiece):
        return 1
    return max(1, min(most, MAX_BATCH_ROWS // max(1, counted)))


def _count_rows(rows: CounterSource) -> int:
    if isinstance(rows, LostPiece):
        return MAX_BATCH_ROWS
    if isinstance(rows, Path):
        return int(pl.scan_parquet(rows).select(pl.len()).collect().item())
    return rows.height


def batch_groups(groups: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield sorted groups in batches of at most `GROUP_BATCH_COUNTERS` counters.

    A group with more counters forms a batch alone.
    """
    batch, mostradores = list[int](), 0
    for group, size in sorted(groups.items()):
        if batch and mostradores + size > GROUP_BATCH_COUNTERS:
            yield batch
            batch, mostradores = [], 0
        batch.append(group)
        mostradores += size
    if batch:
        yield batch


def read_counter(table: Table | None, mostrador: int, source: CounterSource) -> pl.DataFrame:
    """Return a counter's rows, read by today's contract ``table`` if they are stored in a file.

    An older version may have started the job and stored rows by an older contract. Raises
    `UnreadableRowsError` if they are not there or damaged.
    """
    if isinstance(source, LostPiece):
        raise UnreadableRowsError(source.cause)
    if isinstance(source, pl.DataFrame):
        return source
    damaged = UnreadableRowsError(
        f"El archivo {source.parent.name}/{source.name}, que dejó la etapa anterior, está dañado.",
        hint="Calcule el mostrador otra vez.",
    )
    rows = try_piece(_read_file(table), source)
    if isinstance(rows, LostPiece):
        raise damaged
    if rows.is_empty() or not rows["mostrador"].eq_missing(mostrador).all():
        raise damaged
    return rows


def _read_file(table: Table | None) -> Callable[[Path], pl.DataFrame]:
    def read(path: Path) -> pl.DataFrame:
        stored = pl.scan_parquet(path)
        return (stored if table is None else table.conform_rows(stored)).collect()

    return read
