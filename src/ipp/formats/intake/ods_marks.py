"""Read from an OpenDocument spreadsheet what its reader drops: errors, durations, hidden rows."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Final
from xml.parsers import expat

from ipp.formats.intake.sheet_marks import (
    LOST_FORMULA_REASON,
    SheetMarks,
    UnusableCell,
    error_cell,
)

_CONTENT_PART: Final = "content.xml"
_CHUNK_BYTES: Final = 1 << 20
_MAX_COLUMNS: Final = 1 << 14
"""More than a sheet has: what hides columns beyond is not followed."""

_MAX_TEXT_CHARACTERS: Final = 60
"""Letters of a cell that are looked at: those of an error are fewer."""

_ERROR_PATTERN: Final = re.compile(r"#(?:N/[AD]|[¡¿]?[A-ZÑ/0]{3,7}[!?])|Err:[0-9]+")
_VALUES: Final = {
    "float": "office:value",
    "percentage": "office:value",
    "currency": "office:value",
    "date": "office:date-value",
    "boolean": "office:boolean-value",
}
"""The attribute that has the value of a cell, by the type of the cell."""

_DURATION_REASON: Final = "es una duración, que no se lee: escríbala como número o texto"
_HIDING: Final = frozenset({"collapse", "filter"})


def has_content(file: Path) -> bool:
    """Return whether an archive has the part that an OpenDocument spreadsheet has."""
    with zipfile.ZipFile(file) as archive:
        return _CONTENT_PART in archive.namelist()


def read_ods_marks(file: Path, sheet: int) -> SheetMarks:
    """Return the marks of the sheet at the place ``sheet``, from 0.

    Raises `zipfile.BadZipFile` where the workbook is damaged.
    """
    marker = _Marker(sheet)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = marker.start
    parser.EndElementHandler = marker.end
    parser.CharacterDataHandler = marker.add_text
    try:
        with zipfile.ZipFile(file) as archive, archive.open(_CONTENT_PART) as stream:
            while piece := stream.read(_CHUNK_BYTES):
                parser.Parse(piece, False)  # Expat accepts this argument by position only.
            parser.Parse(b"", True)
    except (expat.ExpatError, ValueError) as error:
        raise zipfile.BadZipFile(f"{_CONTENT_PART}: {error}") from error
    return marker.collect_marks()


class _Marker:
    """A handler of the elements of a spreadsheet that keeps the marks of one of its sheets."""

    def __init__(self, sheet: int) -> None:
        self._wanted, self._sheet = sheet, -1
        self._row, self._rows, self._column = 0, 1, 0
        self._place_of_column = 0
        self._cell: dict[str, str] | None = None
        self._text, self._note = "", 0
        self._left: int | None = None
        self._last = 0
        self._merged = False
        self._unusable: list[tuple[int, int, UnusableCell]] = []
        self._hidden_rows: list[range] = []
        self._hidden_columns: list[range] = []

    def collect_marks(self) -> SheetMarks:
        """Return the marks, with columns counted from the first that has a value."""
        left = self._left or 0
        cells = [
            UnusableCell(cell.row + down, cell.column + across - left, cell.text, cell.reason)
            for rows, columns, cell in self._unusable
            for down in range(rows)
            for across in range(columns)
        ]
        return SheetMarks(
            [cell for cell in cells if cell.column >= 0],
            # Below the last value a sheet may hide a million empty rows.
            {row for rows in self._hidden_rows for row in rows[: max(self._last - rows.start, 0)]},
            {place - left for places in self._hidden_columns for place in places},
            left,
            self._merged,
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Track the place, and begin a cell."""
        name = tag.partition(":")[2]
        if name == "table":
            self._sheet += 1
            self._row = 0
        elif self._sheet != self._wanted:
            return
        elif name == "table-column":
            places = _repeated(self._place_of_column, attributes, "table:number-columns-repeated")
            self._place_of_column = places.stop
            if attributes.get("table:visibility") in _HIDING:
                self._hidden_columns.append(range(places.start, min(places.stop, _MAX_COLUMNS)))
        elif name == "table-row":
            rows = _repeated(self._row, attributes, "table:number-rows-repeated")
            self._rows, self._column = len(rows), 0
            if attributes.get("table:visibility") in _HIDING:
                self._hidden_rows.append(range(rows.start + 1, rows.stop + 1))
        elif name in {"table-cell", "covered-table-cell"}:
            self._cell, self._text = attributes, ""
            self._merged = self._merged or name == "covered-table-cell"
        elif name == "annotation":
            self._note += 1

    def add_text(self, text: str) -> None:
        """Add to the text of a cell, which a note of it is not part of."""
        if self._cell is not None and not self._note and len(self._text) < _MAX_TEXT_CHARACTERS:
            self._text += text[:_MAX_TEXT_CHARACTERS]

    def end(self, tag: str) -> None:
        """Judge a cell that ends, and go past a row."""
        name = tag.partition(":")[2]
        if self._sheet != self._wanted:
            return
        if name == "table-row":
            self._row += self._rows
        elif name == "annotation":
            self._note -= 1
        elif name in {"table-cell", "covered-table-cell"} and self._cell is not None:
            attributes, self._cell = self._cell, None
            places = _repeated(self._column, attributes, "table:number-columns-repeated")
            self._column = places.stop
            text = self._text.strip()
            kind = attributes.get("office:value-type", "")
            filled = text if kind == "string" else _has_value(kind, attributes)
            if filled:
                self._last = self._row + self._rows + 1
                self._left = min(places.start, places.start if self._left is None else self._left)
            cell = _judge_cell(self._row + 1, places.start, attributes, text)
            if cell is not None:
                self._unusable.append((self._rows, len(places), cell))


def _judge_cell(
    row: int, column: int, attributes: dict[str, str], text: str
) -> UnusableCell | None:
    """Return the cell if it cannot be used, else None."""
    kind = attributes.get("office:value-type", "")
    formula = attributes.get("table:formula", "")
    if formula and (
        attributes.get("calcext:value-type") == "error" or _ERROR_PATTERN.fullmatch(text)
    ):
        return error_cell(row, column, text)
    if kind == "time":
        return UnusableCell(row, column, text, _DURATION_REASON)
    if formula and not _has_value(kind, attributes):
        return UnusableCell(row, column, formula.partition(":")[2] or formula, LOST_FORMULA_REASON)
    return None


def _has_value(kind: str, attributes: dict[str, str]) -> bool:
    """Return whether a cell of that type has a value; that of a text may be empty."""
    return kind == "string" or _VALUES.get(kind, "") in attributes


def _repeated(first: int, attributes: dict[str, str], name: str) -> range:
    """Return the places from ``first`` that an element stands for."""
    return range(first, first + max(int(attributes.get(name, "1")), 1))
