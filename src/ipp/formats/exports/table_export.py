"""Write exports of published results, on request, from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind, Table
from ipp.core.decision import explain
from ipp.core.decision.publication import has_unknown_stock, summarise_counters
from ipp.core.tables import RESULTS
from ipp.formats.exports.export import Export, ExportFormat, TooLongError
from ipp.formats.spreadsheet import MAX_SHEET_ROWS, write_csv, write_workbook
from ipp.storage.warehouse.warehouse import TIE_BREAK_COLUMNS

BATCH_COUNTERS: Final = 20
"""Mostradores held in memory at a time while a file is written."""

ORDER_NOTE: Final = Column(
    "order_note",
    "motivo_sin_pedido",
    Kind.TEXT,
    "Por qué el pedido sugerido no toma en cuenta un producto con óptimo.",
)
"""The column of a workbook that no table has: it is computed when a workbook is written."""


def _build_workbook_table() -> Table:
    beside = list(RESULTS.by_name).index("suggested_order") + 1
    return replace(
        RESULTS, columns=(*RESULTS.columns[:beside], ORDER_NOTE, *RESULTS.columns[beside:])
    )


WORKBOOK_TABLE: Final = _build_workbook_table()
"""The columns of a workbook of results: `RESULTS`, with `ORDER_NOTE` after the suggested order."""


def annotate_orders(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `RESULTS` with `ORDER_NOTE`, filled for products whose stock is unknown.

    ``rows`` must have all that a job published for each of their mostradores, because the note of a
    mostrador states how many such products it has and their value.
    """
    notes = {
        row["mostrador"]: explain.unknown_stock(
            row["products_with_unknown_stock"],
            row["value_with_unknown_stock"],
            row["products_with_stock"],
        )
        for row in summarise_counters(rows.lazy()).collect().iter_rows(named=True)
    }
    note = pl.col("mostrador").replace_strict(notes, return_dtype=pl.String)
    return rows.with_columns(pl.when(has_unknown_stock()).then(note).alias(ORDER_NOTE.name))


def write_export(export: Export, published: pl.LazyFrame, folder: Path) -> Path:
    """Write an export into ``folder`` and return its path.

    The rows are sorted by mostrador and material, the columns have their labels, and no text of a
    csv or workbook runs as a formula. A workbook has `ORDER_NOTE` as well. ``published`` has rows
    of `ipp.core.tables.RESULTS`, at least those of the job. Raises `TooLongError` for a workbook
    with more rows than a sheet holds.
    """
    path = folder / f"resultados.{export.format}"
    rows = published.filter(
        pl.col("job_id") == export.job_id, pl.col("mostrador").is_in(export.mostradores)
    )
    match export.format:
        case ExportFormat.CSV:
            write_csv(
                path, _row_batches(export, rows), RESULTS.labels, decimal_comma=export.decimal_comma
            )
        case ExportFormat.XLSX:
            _check_sheet_rows(rows)
            parts = map(annotate_orders, _row_batches(export, rows))
            write_workbook(
                path,
                parts,
                WORKBOOK_TABLE.labels,
                folder,
                formats=WORKBOOK_TABLE.formats,
                created=export.created,
            )
        case ExportFormat.PARQUET:
            rows.sort(TIE_BREAK_COLUMNS).rename(dict(RESULTS.labels)).sink_parquet(path)
    return path


def _row_batches(export: Export, rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows in order, a batch of mostradores at a time so that memory stays bounded."""
    for first in range(0, len(export.mostradores), BATCH_COUNTERS):
        batch = export.mostradores[first : first + BATCH_COUNTERS]
        yield rows.filter(pl.col("mostrador").is_in(batch)).sort(TIE_BREAK_COLUMNS).collect()


def _check_sheet_rows(rows: pl.LazyFrame) -> None:
    count = int(rows.select(pl.len()).collect().item())
    if count > MAX_SHEET_ROWS:
        raise TooLongError(
            f"Son {count:,} renglones y una hoja de Excel tiene lugar para {MAX_SHEET_ROWS:,}.",
            hint="Pida un mostrador a la vez, o csv.",
        )
