"""What the pages call a mostrador besides its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ipp.core.tables import COUNTERS
from ipp.lakehouse.base import Lakehouse


def names(lakehouse: Lakehouse, mostradores: Sequence[int]) -> Mapping[int, str]:
    """The names of those of ``mostradores`` that have one."""
    found = lakehouse.scan(COUNTERS).filter(
        pl.col("mostrador").is_in(mostradores), pl.col("counter_name").is_not_null()
    )
    return dict(found.select("mostrador", "counter_name").collect().iter_rows())
