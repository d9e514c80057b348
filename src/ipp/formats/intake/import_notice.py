"""Notices about accepted rows that may be a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import AREA_FORECAST, COUNTERS
from ipp.storage.lakehouse.lakehouse import Lakehouse

_SHOWN_EXAMPLES: Final = 3


def import_notices(table: Table, folders: Sequence[Path], lakehouse: Lakehouse) -> tuple[str, ...]:
    """Return the notices about the accepted rows that `staging.stage_rows` wrote to ``folders``."""
    files = sorted(file for folder in folders for file in folder.glob("*.parquet"))
    if not files or table.name != AREA_FORECAST.name:
        return ()
    rows = pl.scan_parquet(files, glob=False, hive_partitioning=False)
    notice = _unknown_areas(rows, lakehouse)
    return (notice,) if notice else ()


def _unknown_areas(rows: pl.LazyFrame, lakehouse: Lakehouse) -> str:
    areas = (
        rows.select(pl.col("postal_code").unique())
        .join(lakehouse.scan_table(COUNTERS).select("postal_code"), on="postal_code", how="anti")
        .sort("postal_code")
        .collect(engine="streaming")
        .to_series()
        .to_list()
    )
    if not areas:
        return ""
    listed = ", ".join(f"{area:05}" for area in areas[:_SHOWN_EXAMPLES])
    more = f" y {len(areas) - _SHOWN_EXAMPLES:,} más" if len(areas) > _SHOWN_EXAMPLES else ""
    what = "código postal no es" if len(areas) == 1 else "códigos postales no son"
    return f"{len(areas):,} {what} de ningún mostrador: {listed}{more}"
