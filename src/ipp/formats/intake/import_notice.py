"""Notices about accepted rows that may be a mistake, or that contradict what is stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.core.parameters import LARGE_DAY_MIN_UNITS, LARGE_DAY_RECORD_TIMES
from ipp.core.tables import AREA_FORECAST, COUNTERS, MATERIALS, SELLOUT
from ipp.core.traditional.history import YEAR_DAYS
from ipp.errors import name_some
from ipp.storage.lakehouse.lakehouse import Lakehouse

_SHOWN_EXAMPLES: Final = 3
_PRODUCT: Final = ("mostrador", "material")


def import_notices(
    table: Table, folders: Sequence[Path], lakehouse: Lakehouse, columns: Collection[str]
) -> tuple[str, ...]:
    """Return the notices about the accepted rows that `staging.stage_rows` wrote to ``folders``.

    ``columns`` are those of the table that the file has. Nothing of the file is stored yet.
    """
    files = sorted(file for folder in folders for file in folder.glob("*.parquet"))
    if not files:
        return ()
    rows = pl.scan_parquet(files, glob=False, hive_partitioning=False)
    notice = ""
    if table.name == AREA_FORECAST.name:
        notice = _unknown_areas(rows, lakehouse)
    elif table.name == MATERIALS.name and "price" in columns:
        notice = _lost_prices(rows, lakehouse)
    elif table.name == SELLOUT.name:
        notice = _large_days(_add_tickets(table, rows), lakehouse)
    return (notice,) if notice else ()


def _lost_prices(rows: pl.LazyFrame, lakehouse: Lakehouse) -> str:
    """Return the notice about products whose stored price the file empties, or makes 0."""
    priced = lakehouse.scan_table(MATERIALS).filter(pl.col("price") > 0)
    lost = (
        rows.filter(pl.col("price").fill_null(0) <= 0)
        .join(priced.select("material"), on="material", how="semi")
        .select(pl.col("material").unique().sort())
        .collect(engine="streaming")
        .to_series()
        .to_list()
    )
    if not lost:
        return ""
    named = name_some(lost, _SHOWN_EXAMPLES)
    said = (
        "1 producto que tenía precio se queda"
        if len(lost) == 1
        else f"{len(lost):,} productos que tenían precio se quedan"
    )
    return f"{said} sin él, y lo que no tiene precio no se surte: {named}"


def _add_tickets(table: Table, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return the days of a sell-out, whose tickets are added up where the import does so."""
    if not table.sums_rows:
        return rows
    return rows.group_by(table.key).agg(pl.col("units").sum())


def _large_days(rows: pl.LazyFrame, lakehouse: Lakehouse) -> str:
    """Return the notice about products of which a new day is far above all others of its year.

    The others are the stored ones and those of the file, within a year of that day.
    """
    is_high = pl.col("units") >= LARGE_DAY_MIN_UNITS
    high = rows.filter(is_high).select(SELLOUT.schema.names()).collect(engine="streaming")
    if high.is_empty():
        return ""
    dates = high["date"].unique().to_list()
    known = lakehouse.scan_table(SELLOUT, dates).filter(is_high)
    new = high.lazy().join(known, on=high.columns, how="anti").collect(engine="streaming")
    largest = new.sort("units", "date", descending=[True, False]).unique(_PRODUCT, keep="first")
    if largest.is_empty():
        return ""
    others = _largest_other_days(rows, largest, dates, lakehouse)
    found = largest.join(others, on=_PRODUCT).filter(
        pl.col("usual") > 0, pl.col("units") > LARGE_DAY_RECORD_TIMES * pl.col("usual")
    )
    return _describe_days(found.sort(pl.col("units") / pl.col("usual"), descending=True))


def _largest_other_days(
    rows: pl.LazyFrame,
    largest: pl.DataFrame,
    dates: Sequence[dt.date],
    lakehouse: Lakehouse,
) -> pl.DataFrame:
    """Return the largest day (``usual``) of each product of ``largest`` besides the one there.

    ``dates`` are those around which a year is read.
    """
    first, last = min(dates), max(dates)
    span = range(-YEAR_DAYS, (last - first).days + YEAR_DAYS)
    # Most rows are of other counters or products, and need not be compared with the file's.
    concerned = [pl.col(name).is_in(largest[name].unique().implode()) for name in _PRODUCT]
    stored = (
        lakehouse.scan_table(SELLOUT, [first + dt.timedelta(days) for days in span])
        .filter(concerned)
        .join(rows.select(SELLOUT.key), on=SELLOUT.key, how="anti")
    )
    names = SELLOUT.schema.names()
    days = pl.concat([rows.select(names), stored.select(names)])
    apart = (pl.col("date") - pl.col("largest_on")).dt.total_days().abs()
    return (
        days.join(largest.lazy().rename({"date": "largest_on", "units": "most"}), on=_PRODUCT)
        .filter(apart > 0, apart < YEAR_DAYS)
        .group_by(_PRODUCT)
        .agg(usual=pl.col("units").max())
        .collect(engine="streaming")
    )


def _describe_days(found: pl.DataFrame) -> str:
    if found.is_empty():
        return ""
    told = [
        f"{row['material']} en el mostrador {row['mostrador']} "
        f"({row['units']:,.6g} piezas el {row['date']}, contra {row['usual']:,.6g})"
        for row in found.head(_SHOWN_EXAMPLES).iter_rows(named=True)
    ]
    more = found.height - len(told)
    count = "1 producto vendió" if found.height == 1 else f"{found.height:,} productos vendieron"
    return (
        f"{count} en un día más de {LARGE_DAY_RECORD_TIMES:,g} veces lo que en cualquier otro de "
        f"su año, revíselo: {', '.join(told)}{f' y {more:,} más' if more else ''}"
    )


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
    listed = name_some([f"{area:05}" for area in areas], _SHOWN_EXAMPLES)
    what = "código postal no es" if len(areas) == 1 else "códigos postales no son"
    return f"{len(areas):,} {what} de ningún mostrador: {listed}"
