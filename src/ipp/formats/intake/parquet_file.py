"""Read a Parquet file, whose columns have types of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind
from ipp.errors import InvalidInputError, shorten
from ipp.formats.intake.raw_cell import (
    EXCESS_COLUMN,
    ROW_COLUMN,
    ExpectedColumns,
    RawCells,
    cell_column,
    flaw_column,
)

_EXACT_DIGITS: Final[Mapping[type[pl.DataType], int]] = {pl.Float32: 24, pl.Float64: 53}
"""Binary digits that a floating-point number keeps: larger whole numbers have been altered."""

_LOST_DIGITS_REASON: Final = (
    "el archivo ya perdió cifras de este número: guárdelo como entero o como texto"
)
_NOT_FINITE_REASON: Final = "no es un texto: escríbalo, o deje la celda vacía"
_NOT_TEXT_REASON: Final = "no es un texto en UTF-8: guárdelo como texto"
_NOT_TEXT: Final = "(bytes)"


def read_parquet(file: Path, expected: ExpectedColumns) -> RawCells:
    """Read a Parquet file; its first row is number 2, as under a heading.

    Raises `InvalidInputError` where an expected column is of a type that holds no single value.
    """
    frame = pl.scan_parquet(
        file, glob=False, hive_partitioning=False, row_index_name=ROW_COLUMN, row_index_offset=2
    )  # fmt: skip
    schema = frame.collect_schema()
    headings = tuple(schema.names()[1:])
    cells: list[pl.Expr] = []
    for position, heading in enumerate(headings):
        column = expected.column_of(heading)
        if column is not None:
            _check_type(file, heading, schema[heading])
        cells += _read_column(pl.col(heading), schema[heading], column, position)
    return RawCells(
        headings, frame.select(ROW_COLUMN, *cells, pl.lit(None, pl.String).alias(EXCESS_COLUMN))
    )


def _check_type(file: Path, heading: str, dtype: pl.DataType) -> None:
    several = dtype.is_nested() or isinstance(dtype, pl.Object)
    if several or dtype == pl.Duration:
        kind = "una lista o un registro" if several else "una duración"
        raise InvalidInputError(
            f"En {file.name}, cada celda de la columna «{shorten(heading)}» es {kind}, que no se "
            "lee.",
            hint="Guárdela como número, texto o fecha.",
        )


def _read_column(
    raw: pl.Expr, dtype: pl.DataType, column: Column | None, position: int
) -> Iterator[pl.Expr]:
    """Yield the cells of a column and, where some cannot be used, their `flaw_column`."""
    if dtype == pl.Float16:
        raw, dtype = raw.cast(pl.Float32), pl.Float32()
    flaw: tuple[pl.Expr, str] | None = None
    if dtype == pl.Binary:
        text = raw.map_batches(_decode_texts, return_dtype=pl.String(), is_elementwise=True)
        flaw = raw.is_not_null() & text.is_null(), _NOT_TEXT_REASON
        raw = pl.when(flaw[0]).then(pl.lit(_NOT_TEXT)).otherwise(text)
    elif column is not None and dtype.is_float():
        if column.kind in {Kind.ID, Kind.COUNT}:
            large = raw.abs() > 2 ** _EXACT_DIGITS[type(dtype)]
            flaw = raw.is_finite() & large, _LOST_DIGITS_REASON
        elif column.kind is Kind.TEXT:
            flaw = ~raw.is_finite(), _NOT_FINITE_REASON
    yield raw.alias(cell_column(position))
    if flaw is not None:
        yield pl.when(flaw[0]).then(pl.lit(flaw[1])).alias(flaw_column(position))


def _decode_texts(values: pl.Series) -> pl.Series:
    """Return bytes as texts in UTF-8; null where they are none."""
    texts = []
    for value in values:
        try:
            texts.append(None if value is None else bytes(value).decode())
        except UnicodeDecodeError:
            texts.append(None)
    return pl.Series(values.name, texts, dtype=pl.String())
