"""Read a workbook's sheet: choose it, and recover what the texts of its cells do not show."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import fastexcel
import polars as pl

from ipp.core.contract import Column, Kind
from ipp.errors import InvalidInputError, UnreadableFileError, name_some
from ipp.formats.intake.cell_parser import cell_text, is_ambiguous
from ipp.formats.intake.ods_marks import has_content, read_ods_marks
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
from ipp.formats.intake.sheet_marks import (
    SheetMarks,
    UnusableCell,
    describe_hidden,
    describe_unnamed,
    find_dated_texts,
)
from ipp.formats.intake.sheet_xml import SheetXml
from ipp.formats.intake.xls_records import has_records, read_xls_marks

_LONG_NUMBER_PATTERN: Final = r"^[0-9]{16,}$"
"""A number with more digits than the 15 that Excel keeps."""

_EXCEL_SERIAL_PATTERN: Final = r"^[0-9]{1,6}(?:\.[0-9]+)?$"
_LOST_DIGITS_REASON: Final = "Excel ya perdió cifras de este número: guárdelo como texto"


def read_sheet(file: Path, expected: ExpectedColumns) -> RawCells:
    """Read the sheet that has the needed columns, taking its first non-empty row as the heading."""
    outlines = check_extent(file)
    book = fastexcel.read_excel(file)
    name = _choose_sheet(file, book, expected)
    sheet = _load_rows(book, name)
    head = _first_rows(sheet)
    if not head:
        raise empty_file_error(file)
    expected.check_place(file, head)
    top, headings = head[0]
    body = sheet.slice(top)
    body.columns = [cell_column(position) for position in range(body.width)]
    known = ((place, expected.column_of(heading)) for place, heading in enumerate(headings))
    columns = {place: column for place, column in known if column}
    xml = SheetXml.open_sheet(file, name, outlines) if zipfile.is_zipfile(file) else None
    if xml:
        body = _restore_dates(body, top, xml, columns)
    marks = _read_marks(file, book, name, body.width, xml)
    named = {place: headings[place] for place in columns}
    notices = [*_describe_sheet(book, name), *describe_hidden(body, top, named, marks)]
    if unnamed := _unnamed_places(body, headings):
        notices.append(describe_unnamed(unnamed, xml.first_column() if xml else marks.left))
    unusable = [*marks.unusable, *find_dated_texts(body, top, columns)]
    if xml:
        unusable += _find_lost_digits(body, top, xml, columns)
    body = _mark_cells(body, top, columns, unusable)
    if places := _unclear_places(body, columns):
        body = body.with_columns(
            _numbers_of(xml, places, body.height, top)
            if xml
            else _sure_numbers(book, name, places, top)
        )
    numbered = (
        body.lazy()
        .with_row_index(ROW_COLUMN, offset=top + 1)
        .with_columns(pl.lit(None, pl.String).alias(EXCESS_COLUMN))
    )
    shown = name if len(book.sheet_names) > 1 else ""
    return RawCells(headings, numbered, False, shown, marks.merged, tuple(notices))


def _unnamed_places(body: pl.DataFrame, headings: Sequence[str]) -> list[int]:
    """Return the columns that have values and no heading."""
    return [
        place
        for place, heading in enumerate(headings)
        if not heading.strip() and body[cell_column(place)].null_count() < body.height
    ]


def _load_rows(book: fastexcel.ExcelReader, name: str, rows: int | None = None) -> pl.DataFrame:
    return book.load_sheet(
        name, header_row=None, skip_rows=0, dtypes="string", n_rows=rows
    ).to_polars()


def _first_rows(sheet: pl.DataFrame) -> list[tuple[int, tuple[str, ...]]]:
    """Return the first non-empty row and those after it, with their numbers from 1."""
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


def _choose_sheet(file: Path, book: fastexcel.ExcelReader, expected: ExpectedColumns) -> str:
    """Return the name of the one sheet with the needed columns, else of the first non-empty one.

    Raises `InvalidInputError` where several have them, `UnreadableFileError` where all are empty.
    """
    names = book.sheet_names
    if len(names) == 1:
        return names[0]
    heads = {name: _first_rows(_load_rows(book, name, HEADING_SEARCH_ROWS)) for name in names}
    filled = [name for name in names if heads[name]]
    fitting = (
        [name for name in filled if expected.are_in(heads[name][0][1])] if expected.needed else []
    )
    if len(fitting) > 1:
        listed = name_some([f"«{name}»" for name in fitting])
        raise InvalidInputError(
            f"{file.name} tiene {len(fitting)} hojas con los encabezados que se buscan: {listed}.",
            hint="Deje una sola hoja con esos encabezados.",
        )
    if not filled:
        raise empty_file_error(file)
    return (fitting or filled)[0]


def _unclear_places(body: pl.DataFrame, columns: Mapping[int, Column]) -> list[int]:
    """Return the numeric columns with an ambiguous cell, whose stored type therefore matters."""
    names = {
        p: cell_column(p)
        for p, column in columns.items()
        if column.kind in {Kind.NUMBER, Kind.COUNT}
    }
    ambiguous = body.select(
        is_ambiguous(cell_text(pl.col(name), pl.String())).any().alias(name)
        for name in names.values()
    )
    return [place for place, name in names.items() if ambiguous[name].any()]


def _numbers_of(xml: SheetXml, places: Sequence[int], height: int, top: int) -> list[pl.Expr]:
    """Return the `stored` columns, true for the cells that the sheet's XML holds as numbers."""
    numeric = [place for place in places if xml.has_only_numbers(place, top)]
    mixed = [place for place in places if place not in numeric]
    rows_of = xml.find_numeric_rows(mixed) if mixed else {}
    return [
        *(pl.lit(value=True).alias(stored(place)) for place in numeric),
        *(
            pl.int_range(height).is_in([row - top - 1 for row in rows]).alias(stored(place))
            for place, rows in rows_of.items()
        ),
    ]


def _sure_numbers(
    book: fastexcel.ExcelReader, name: str, places: Sequence[int], top: int
) -> list[pl.Expr]:
    """Return the `stored` columns of a workbook that has no XML, as far as they can be known.

    A column that the reader types as numeric is true throughout. In any other, a cell that is not
    a number is false, and the rest is null: it may be a number or a text that looks like one.
    """
    typed = book.load_sheet(
        name, header_row=None, skip_rows=top, schema_sample_rows=None
    ).to_polars()
    numbers = []
    for place in places:
        not_number = pl.col(cell_column(place)).cast(pl.Float64, strict=False).is_null()
        mixed = pl.when(not_number).then(pl.lit(value=False))
        is_number = pl.lit(value=True) if typed.to_series(place).dtype.is_numeric() else mixed
        numbers.append(is_number.alias(stored(place)))
    return numbers


def _restore_dates(
    body: pl.DataFrame, top: int, xml: SheetXml, columns: Mapping[int, Column]
) -> pl.DataFrame:
    """Rewrite as dates the serial numbers of date columns that are formatted as plain numbers."""
    names = {p: cell_column(p) for p, column in columns.items() if column.kind is Kind.DATE}
    serial = {
        p: body[name].str.contains(_EXCEL_SERIAL_PATTERN).fill_null(value=False)
        for p, name in names.items()
    }
    places = [p for p, flags in serial.items() if flags.any()]
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


def _read_marks(
    file: Path, book: fastexcel.ExcelReader, name: str, width: int, xml: SheetXml | None
) -> SheetMarks:
    """Return what the reader drops of a sheet whose filled part has ``width`` columns.

    Raises `UnreadableFileError` where cells that cannot be used exist but cannot be placed.
    """
    if xml is None:
        place = book.sheet_names.index(name)
        if has_records(file):
            return read_xls_marks(file, place, len(book.sheet_names))
        return read_ods_marks(file, place) if has_content(file) else SheetMarks()
    marks = xml.read_marks(width)
    if marks is None:
        raise UnreadableFileError(
            f"{file.name} tiene celdas con error o fórmulas sin calcular.",
            hint="Ábralo en Excel, corríjalas y guárdelo.",
        )
    return marks


def _describe_sheet(book: fastexcel.ExcelReader, name: str) -> list[str]:
    """Return the notice about a sheet that is hidden."""
    if book.load_sheet(name, header_row=None, n_rows=0).visible == "visible":
        return []
    return [f"la hoja que se leyó, «{name}», está oculta en el libro"]


def _mark_cells(
    body: pl.DataFrame,
    top: int,
    columns: Mapping[int, Column],
    unusable: Sequence[UnusableCell],
) -> pl.DataFrame:
    """Mark the cells below the headings that are in ``columns`` or, where it is empty, anywhere."""
    places = columns or range(body.width)
    unusable = [cell for cell in unusable if cell.row > top and cell.column in places]
    # The reader's rows may end above such a cell, because it finds no value in it.
    lacking = max((cell.row - top for cell in unusable), default=0) - body.height
    if lacking > 0:
        body = pl.concat([body, pl.DataFrame(schema=body.schema).clear(lacking)])
    by_column: dict[int, list[UnusableCell]] = {}
    for cell in unusable:
        by_column.setdefault(cell.column, []).append(cell)
    for column, cells in by_column.items():
        body = _mark_column(body, top, column, cells)
    return body


def _mark_column(
    body: pl.DataFrame, top: int, column: int, cells: Sequence[UnusableCell]
) -> pl.DataFrame:
    rows = [cell.row - top - 1 for cell in cells]
    texts = body[cell_column(column)].scatter(rows, [cell.text for cell in cells])
    reasons = pl.Series(flaw_column(column), [None] * body.height, dtype=pl.String)
    return body.with_columns(texts, reasons.scatter(rows, [cell.reason for cell in cells]))


def _find_lost_digits(
    body: pl.DataFrame, top: int, xml: SheetXml, columns: Mapping[int, Column]
) -> list[UnusableCell]:
    """Return the ids that Excel holds as numbers with more digits than it keeps."""
    names = {p: cell_column(p) for p, column in columns.items() if column.kind is Kind.ID}
    long = {
        p: body[name].str.contains(_LONG_NUMBER_PATTERN).fill_null(value=False)
        for p, name in names.items()
    }
    places = [p for p, flags in long.items() if flags.any()]
    if not places:
        return []
    return [
        UnusableCell(row, place, body[names[place]][row - top - 1], _LOST_DIGITS_REASON)
        for place, rows in xml.find_numeric_rows(places).items()
        for row in rows
        if row > top and long[place][row - top - 1]
    ]
