"""Kernels over several counters at once, where one that fails is lost alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from ipp.pipeline.runners.process_pool import LostPiece, try_piece

Made = TypeVar("Made")

MAX_BATCH_ROWS: Final = 262_144
"""Most rows of a batch of several counters, at some 500 bytes each, whatever the catalogue."""


def count_fitting(rows: pl.DataFrame | Path, most: int) -> int:
    """Return how many counters with as many ``rows``, or rows in a file, make a batch: at least 1.

    ``most`` is the largest number.
    """
    if isinstance(rows, Path):
        count = int(pl.scan_parquet(rows).select(pl.len()).collect().item())
    else:
        count = rows.height
    return max(1, min(most, MAX_BATCH_ROWS // max(1, count)))


def try_counters(
    kernel: Callable[[pl.DataFrame], Made], rows: Mapping[int, pl.DataFrame]
) -> tuple[list[Made], dict[int, str]]:
    """Apply ``kernel`` to the rows of all counters together, or to each alone if that raises.

    Returns what it made, and the cause in Spanish of each counter that it cannot compute.
    """
    if not rows:
        return [], {}
    together = try_piece(kernel, pl.concat(rows.values()))
    if not isinstance(together, LostPiece):
        return [together], {}
    if len(rows) == 1:
        return [], dict.fromkeys(rows, together.cause)
    made, causes = list[Made](), dict[int, str]()
    for mostrador, own in rows.items():
        alone = try_piece(kernel, own)
        if isinstance(alone, LostPiece):
            causes[mostrador] = alone.cause
        else:
            made.append(alone)
    return made, causes
