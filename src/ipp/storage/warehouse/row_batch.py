"""Batches of published rows: each has every row of its mostradores, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ipp.storage.warehouse.warehouse import TIE_BREAK_COLUMNS

if TYPE_CHECKING:
    import polars as pl

MAX_BATCH_ROWS: Final = 100_000
"""Rows of a batch read from a lakehouse, unless one mostrador alone has more."""


def split_counters(counts: Iterable[tuple[int, int]], max_rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last mostrador of each batch of at most ``max_rows`` rows.

    ``counts`` are the mostradores, ascending, each with its number of rows. A mostrador with more
    than ``max_rows`` is a batch of its own.
    """
    # With at most 10 rows, the mostradores 1, 2, 3 and 4 of 4, 6, 11 and 1 rows make three batches:
    # 1 to 2, 3 alone, and 4.
    batch: tuple[int, int] | None = None
    batch_rows = 0
    for mostrador, rows in counts:
        if batch is None or batch_rows + rows > max_rows:
            if batch is not None:
                yield batch
            batch, batch_rows = (mostrador, mostrador), 0
        batch, batch_rows = (batch[0], mostrador), batch_rows + rows
    if batch is not None:
        yield batch


def iterate_batches(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield ``rows`` of `ipp.core.tables.RESULTS` in the order of `TIE_BREAK_COLUMNS`, in batches.

    A batch has at most `MAX_BATCH_ROWS` rows, unless one mostrador alone has more.
    """
    import polars as pl  # noqa: PLC0415  # A process that only queries has no Polars.

    counts = rows.group_by("mostrador").agg(pl.len()).sort("mostrador").collect()
    for first, last in split_counters(counts.iter_rows(), MAX_BATCH_ROWS):
        batch = rows.filter(pl.col("mostrador").is_between(first, last))
        yield batch.sort(TIE_BREAK_COLUMNS).collect()
