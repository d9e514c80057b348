"""Files of what a job published, made from the tables when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.tables import RESULTS
from ipp.exports.base import Export, Format, TooLongError
from ipp.spreadsheet import SHEET_ROWS, write_csv, write_xlsx
from ipp.warehouse.base import TIES

TOGETHER: Final = 20
"""Mostradores that are in memory at a time while a file is written."""


def write(export: Export, published: pl.LazyFrame, folder: Path) -> Path:
    """Write a file into ``folder``: the rows by mostrador and material, by their labels; no text runs as a formula.

    ``published`` has rows of `ipp.core.tables.RESULTS`, at least those of the job. Raises `TooLongError` for a
    workbook of more rows than a sheet has.
    """
    path = folder / f"resultados.{export.format}"
    rows = published.filter(pl.col("job_id") == export.job_id, pl.col("mostrador").is_in(export.mostradores))
    match export.format:
        case Format.CSV:
            write_csv(path, _parts(export, rows), RESULTS.labels, decimal_comma=export.decimal_comma)
        case Format.XLSX:
            _check_fits(rows)
            parts = _parts(export, rows)
            write_xlsx(path, parts, RESULTS.labels, folder, formats=RESULTS.formats, created=export.created)
        case Format.PARQUET:
            rows.sort(TIES).rename(dict(RESULTS.labels)).sink_parquet(path)
    return path


def _parts(export: Export, rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The rows in order, some mostradores at a time: a job may have more than memory holds."""
    for first in range(0, len(export.mostradores), TOGETHER):
        some = export.mostradores[first : first + TOGETHER]
        yield rows.filter(pl.col("mostrador").is_in(some)).sort(TIES).collect()


def _check_fits(rows: pl.LazyFrame) -> None:
    count = int(rows.select(pl.len()).collect().item())
    if count > SHEET_ROWS:
        raise TooLongError(
            f"Son {count:,} renglones y una hoja de Excel tiene lugar para {SHEET_ROWS:,}.",
            hint="Pida un mostrador a la vez, o csv.",
        )
