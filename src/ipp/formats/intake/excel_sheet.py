"""A sheet of a workbook: which one, and what its cells are that their texts do not show."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import fastexcel
import polars as pl

from ipp.core.contract import Column, Kind
from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.intake.cell_parser import cell_text, is_ambiguous
from ipp.formats.intake.raw_cell import (
    EXCESS_COLUMN,
    HEADING_SEARCH_ROWS,
    ROW_COLUMN,
    ExpectedColumns,
    RawCells,
    cell_column,
    empty_file_error,
    flaw_column,
    stored,
)
from ipp.formats.intake.sheet_extent import check_extent
from ipp.formats.intake.sheet_xml import SheetXml, UnusableCell

_LONG_NUMBER_PATTERN: Final = r"^\d{16,}$"
"""More digits than a number cell keeps."""

_EXCEL_SERIAL_PATTERN: Final = r"^\d{1,6}(?:\.\d+)?$"
_LOST_DIGITS_REASON: Final = "Excel ya perdió cifras de este número: guárdelo como texto"


def read_sheet(file: Path, wanted: ExpectedColumns) -> RawCells:
    """Read the sheet that has the needed columns; its first row with anything in it is the heading."""
    check_extent(file)
    book = fastexcel.read_excel(file)
    name = _choose_sheet(file, book, wanted)
    sheet = _load_rows(book, name)
    head = _first_rows(sheet)
    if not head:
        raise empty_file_error(file)
    wanted.check_place(file, head)
    top, headings = head[0]
    body = sheet.slice(top)
    body.columns = [cell_column(position) for position in range(body.width)]
    several = len(book.sheet_names) > 1
    cells = RawCells(headings, body.lazy(), sheet=name if several else "")
    columns = {
        position: column
        for position, heading in enumerate(headings)
        if (column := wanted.column_of(heading))
    }
    xml = SheetXml.open_sheet(file, name) if zipfile.is_zipfile(file) else None
    if xml:
        body = _restore_dates(body, top, xml, columns)
        body, merged = _mark_flaws(file, body, top, xml, columns)
        cells = replace(cells, merged=merged)
    if places := _unclear_places(body, columns):
        numbers = (
            _numbers_of(xml, places, body.height, top)
            if xml
            else _sure_numbers(book, name, places, top)
        )
        body = body.with_columns(numbers)
    numbered = body.with_row_index(ROW_COLUMN, offset=top + 1).with_columns(
        pl.lit(None, pl.String).alias(EXCESS_COLUMN)
    )
    return replace(cells, frame=numbered.lazy())


def _load_rows(book: fastexcel.ExcelReader, name: str, rows: int | None = None) -> pl.DataFrame:
    return book.load_sheet(
        name, header_row=None, skip_rows=0, dtypes="string", n_rows=rows
    ).to_polars()


def _first_rows(sheet: pl.DataFrame) -> list[tuple[int, tuple[str, ...]]]:
    """Give the first row with anything in it and those after it, with their numbers from 1."""
    rows = (
        (number, tuple(text or "" for text in row))
        for number, row in enumerate(sheet.iter_rows(), start=1)
    )
    filled = next((row for row in rows if any(row[1])), None)
    return (
        []
        if filled is None
        else [filled, *(row for row, _ in zip(rows, range(HEADING_SEARCH_ROWS), strict=False))]
    )


def _choose_sheet(file: Path, book: fastexcel.ExcelReader, wanted: ExpectedColumns) -> str:
    """Give the name of the one sheet with the needed columns, or of the first that has anything."""
    names = book.sheet_names
    if len(names) == 1:
        return names[0]
    heads = {name: _first_rows(_load_rows(book, name, HEADING_SEARCH_ROWS)) for name in names}
    filled = [name for name in names if heads[name]]
    fitting = [name for name in filled if wanted.are_in(heads[name][0][1])] if wanted.needed else []
    if len(fitting) > 1:
        listed = ", ".join(f"«{name}»" for name in fitting)
        raise InvalidInputError(
            f"{file.name} tiene {len(fitting)} hojas con los encabezados que se buscan: {listed}.",
            hint="Deje una sola hoja con esos encabezados.",
        )
    if not filled:
        raise empty_file_error(file)
    return (fitting or filled)[0]


def _unclear_places(body: pl.DataFrame, columns: Mapping[int, Column]) -> list[int]:
    """Give the columns of numbers where it matters which cells are numbers and which are texts."""
    names = {
        p: cell_column(p)
        for p, column in columns.items()
        if column.kind in {Kind.NUMBER, Kind.COUNT}
    }
    found = body.select(
        is_ambiguous(cell_text(pl.col(name), pl.String())).any().alias(name)
        for name in names.values()
    )
    return [place for place, name in names.items() if found[name].any()]


def _numbers_of(xml: SheetXml, places: Sequence[int], height: int, top: int) -> list[pl.Expr]:
    """Tell the cells that the sheet holds as numbers."""
    return [
        pl.int_range(height).is_in([row - top - 1 for row in rows]).alias(stored(place))
        for place, rows in xml.find_numeric_rows(places).items()
    ]


def _sure_numbers(
    book: fastexcel.ExcelReader, name: str, places: Sequence[int], top: int
) -> list[pl.Expr]:
    """Tell numbers from texts where there is no XML: columns of numbers alone, and texts that are none."""
    typed = book.load_sheet(
        name, header_row=None, skip_rows=top, schema_sample_rows=None
    ).to_polars()
    numbers = []
    for place in places:
        no_number = pl.col(cell_column(place)).cast(pl.Float64, strict=False).is_null()
        mixed = pl.when(no_number).then(pl.lit(value=False))
        told = pl.lit(value=True) if typed.to_series(place).dtype.is_numeric() else mixed
        numbers.append(told.alias(stored(place)))
    return numbers


def _restore_dates(
    body: pl.DataFrame, top: int, xml: SheetXml, columns: Mapping[int, Column]
) -> pl.DataFrame:
    """Write as a date what is one, but is formatted as a number."""
    names = {p: cell_column(p) for p, column in columns.items() if column.kind is Kind.DATE}
    serial = {
        p: body[name].str.contains(_EXCEL_SERIAL_PATTERN).fill_null(value=False)
        for p, name in names.items()
    }
    places = [p for p, found in serial.items() if found.any()]
    if not places:
        return body
    numbers = xml.find_numeric_rows(places)
    dates = []
    for place in places:
        column = pl.col(names[place])
        rows = pl.int_range(pl.len()).is_in([row - top - 1 for row in numbers.get(place, ())])
        days = column.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
        date = pl.lit(xml.epoch) + pl.duration(days=days)
        dates.append(
            pl.when(rows & serial[place])
            .then(date.cast(pl.String))
            .otherwise(column)
            .alias(names[place])
        )
    return body.with_columns(dates)


def _mark_flaws(
    file: Path, body: pl.DataFrame, top: int, xml: SheetXml, columns: Mapping[int, Column]
) -> tuple[pl.DataFrame, bool]:
    """Mark the cells that cannot be used, in ``columns`` or, where that is empty, anywhere.

    Tells beside whether any cells are merged.
    """
    found, merged = xml.find_unusable_cells(body.width)
    if found is None:
        raise UnreadableFileError(
            f"{file.name} tiene celdas con error o fórmulas sin calcular.",
            hint="Ábralo en Excel, corríjalas y guárdelo.",
        )
    found = [odd for odd in found if odd.row > top and (not columns or odd.column in columns)]
    found += _find_lost_digits(body, top, xml, columns)
    lacking = max((odd.row - top for odd in found), default=0) - body.height
    if lacking > 0:
        body = pl.concat([body, pl.DataFrame(schema=body.schema).clear(lacking)])
    by_column: dict[int, list[UnusableCell]] = {}
    for odd in found:
        by_column.setdefault(odd.column, []).append(odd)
    for column, odds in by_column.items():
        body = _mark_column(body, top, column, odds)
    return body, merged


def _mark_column(
    body: pl.DataFrame, top: int, column: int, odds: Sequence[UnusableCell]
) -> pl.DataFrame:
    rows = [odd.row - top - 1 for odd in odds]
    texts = body[cell_column(column)].scatter(rows, [odd.text for odd in odds])
    reasons = pl.Series(flaw_column(column), [None] * body.height, dtype=pl.String)
    return body.with_columns(texts, reasons.scatter(rows, [odd.reason for odd in odds]))


def _find_lost_digits(
    body: pl.DataFrame, top: int, xml: SheetXml, columns: Mapping[int, Column]
) -> list[UnusableCell]:
    """Give the ids that Excel holds as numbers of more digits than it keeps."""
    names = {p: cell_column(p) for p, column in columns.items() if column.kind is Kind.ID}
    long = {
        p: body[name].str.contains(_LONG_NUMBER_PATTERN).fill_null(value=False)
        for p, name in names.items()
    }
    places = [p for p, found in long.items() if found.any()]
    if not places:
        return []
    return [
        UnusableCell(row, place, body[names[place]][row - top - 1], _LOST_DIGITS_REASON)
        for place, rows in xml.find_numeric_rows(places).items()
        for row in rows
        if row > top and long[place][row - top - 1]
    ]
