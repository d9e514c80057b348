"""Describe what a sheet of a workbook holds besides the texts of its cells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind
from ipp.errors import name_some
from ipp.formats.cell_reference import column_letters
from ipp.formats.intake.raw_cell import cell_column

_SHOWN_ROWS: Final = 5
"""Hidden rows that a notice names."""

_DATE_PATTERN: Final = r"^[+-]?[0-9]{4,}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?$"
"""A date or a time of day as the reader writes one that the sheet stores as such."""

_DATE_REASON: Final = "la hoja lo guarda como fecha u hora: escríbalo como texto"


LOST_FORMULA_REASON: Final = "es una fórmula sin calcular: ábralo en Excel y guárdelo"


@dataclass(frozen=True, slots=True)
class UnusableCell:
    """A cell that cannot be used: its row from 1, its column from 0, its text, and the reason."""

    row: int
    column: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class SheetMarks:
    """What a sheet holds besides texts; rows count from 1, columns from 0 as the reader's.

    ``left`` is the place in the sheet, from 0, of the reader's column 0.
    """

    unusable: Sequence[UnusableCell] = ()
    hidden_rows: Collection[int] = ()
    hidden_columns: Collection[int] = ()
    left: int = 0
    merged: bool = False


def error_cell(row: int, column: int, error: str) -> UnusableCell:
    """Return a cell, by its row from 1 and column from 0, that holds an error such as #N/A."""
    return UnusableCell(row, column, error, f"tiene el error {error}: corríjala")


def find_dated_texts(
    body: pl.DataFrame, top: int, columns: Mapping[int, Column]
) -> list[UnusableCell]:
    """Return the cells of text columns that the sheet, having guessed wrong, stores as dates.

    Excel turns the text 3-MAR into a date of this year. ``top`` is the row of the headings.
    """
    return [
        UnusableCell(row + top + 1, place, body[name][row], _DATE_REASON)
        for place, column in columns.items()
        if column.kind is Kind.TEXT
        for name in [cell_column(place)]
        for row in body[name].str.contains(_DATE_PATTERN).arg_true()
    ]


def describe_hidden(
    body: pl.DataFrame, top: int, headings: Mapping[int, str], marks: SheetMarks
) -> list[str]:
    """Return the notices about hidden rows with values and about hidden columns.

    ``headings`` are those of the columns that are read, ``top`` is the row where they are.
    """
    notices = []
    if marks.hidden_rows:
        filled = body.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
        rows = [row for place in filled if (row := place + top + 1) in marks.hidden_rows]
        if rows:
            said = (
                "1 fila oculta en la hoja se leyó"
                if len(rows) == 1
                else f"{len(rows):,} filas ocultas en la hoja se leyeron"
            )
            notices.append(f"{said} como las demás: {name_some(rows, _SHOWN_ROWS)}")
    hidden = [name for place, name in headings.items() if place in marks.hidden_columns]
    if hidden:
        said = (
            "1 columna oculta en la hoja se leyó"
            if len(hidden) == 1
            else f"{len(hidden):,} columnas ocultas en la hoja se leyeron"
        )
        named = name_some([f"«{name.strip()}»" for name in hidden])
        notices.append(f"{said} como las demás: {named}")
    return notices


def describe_unnamed(places: Sequence[int], left: int = 0) -> str:
    """Return the notice about the columns that have values and no heading; "" for none."""
    if not places:
        return ""
    *first, last = name_some([column_letters(place + left) for place in places]).rsplit(", ", 1)
    letters = " y ".join([*first, last])
    return (
        f"la columna {letters} tiene valores sin encabezado y no se usó (¿celdas combinadas?)"
        if len(places) == 1
        else f"las columnas {letters} tienen valores sin encabezado y no se usaron "
        "(¿celdas combinadas?)"
    )
