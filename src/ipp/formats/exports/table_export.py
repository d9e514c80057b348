"""Write exports of published results, on request, from the tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

from ipp.core.contract import Column, Kind, Table
from ipp.core.decision import explain
from ipp.core.decision.publication import has_unknown_stock, summarise_counters
from ipp.core.tables import RESULTS
from ipp.formats.exports.export import Export, ExportFormat, TooLongError
from ipp.formats.spreadsheet import MAX_SHEET_ROWS, write_csv, write_workbook

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


def write_export(export: Export, batches: Iterable[pl.DataFrame], folder: Path) -> Path:
    """Write an export into ``folder`` and return its path.

    ``batches`` are the rows to write, as `ipp.storage.warehouse.warehouse.Warehouse.iterate_rows`
    yields them; one is in memory at a time. The columns have their labels, and no text of a csv or
    workbook runs as a formula. A workbook has `ORDER_NOTE` as well, and no more rows than
    `check_sheet_rows` accepts.
    """
    path = folder / f"resultados.{export.format}"
    match export.format:
        case ExportFormat.CSV:
            write_csv(path, batches, RESULTS.labels, decimal_comma=export.decimal_comma)
        case ExportFormat.XLSX:
            write_workbook(
                path,
                map(annotate_orders, batches),
                WORKBOOK_TABLE.labels,
                folder,
                formats=WORKBOOK_TABLE.formats,
                created=export.created,
            )
        case ExportFormat.PARQUET:
            rows = register_io_source(lambda *_: iter(batches), schema=RESULTS.schema)
            rows.rename(dict(RESULTS.labels)).sink_parquet(path)
    return path


def check_sheet_rows(count: int) -> None:
    """Raise `TooLongError` if a sheet does not hold ``count`` rows."""
    if count > MAX_SHEET_ROWS:
        raise TooLongError(
            f"Son {count:,} renglones y una hoja de Excel tiene lugar para {MAX_SHEET_ROWS:,}.",
            hint="Pida un mostrador a la vez, o csv.",
        )
