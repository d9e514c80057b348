"""Files of what a job published, made from the tables when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind, Table
from ipp.core.decision import explain
from ipp.core.decision.publication import has_unknown_stock, summarise
from ipp.core.tables import RESULTS
from ipp.formats.exports.export import Export, Format, TooLongError
from ipp.formats.spreadsheet import SHEET_ROWS, write_csv, write_xlsx
from ipp.storage.warehouse.warehouse import TIES

TOGETHER: Final = 20
"""Mostradores that are in memory at a time while a file is written."""

ORDER_NOTE: Final = Column(
    "order_note", "motivo_sin_pedido", Kind.TEXT, "Por qué el pedido sugerido no toma en cuenta un producto con óptimo."
)
"""The column of a workbook that no table has: it is made from the others when one is written."""


def _workbook() -> Table:
    beside = list(RESULTS.by_name).index("suggested_order") + 1
    return replace(RESULTS, columns=(*RESULTS.columns[:beside], ORDER_NOTE, *RESULTS.columns[beside:]))


WORKBOOK: Final = _workbook()
"""What a workbook of results has: `RESULTS`, with `ORDER_NOTE` beside the suggested order."""


def annotate_orders(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `RESULTS` with `ORDER_NOTE`: on each product whose stock is not known, its mostrador's sentence.

    ``rows`` are all that a job published of each of their mostradores: the sentence has their number and their value.
    """
    notes = {
        row["mostrador"]: explain.unknown_stock(
            row["products_with_unknown_stock"], row["value_with_unknown_stock"], row["products_with_stock"]
        )
        for row in summarise(rows.lazy()).collect().iter_rows(named=True)
    }
    note = pl.col("mostrador").replace_strict(notes, return_dtype=pl.String)
    return rows.with_columns(pl.when(has_unknown_stock()).then(note).alias(ORDER_NOTE.name))


def write(export: Export, published: pl.LazyFrame, folder: Path) -> Path:
    """Write a file into ``folder``: the rows by mostrador and material, by their labels; no text runs as a formula.
    A workbook has `ORDER_NOTE` as well.

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
            parts = map(annotate_orders, _parts(export, rows))
            write_xlsx(path, parts, WORKBOOK.labels, folder, formats=WORKBOOK.formats, created=export.created)
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
