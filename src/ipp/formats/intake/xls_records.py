"""Locate the filled cells of an old .xls workbook before its reader allocates memory for them.

The file is a compound file ([MS-CFB]) whose stream Workbook has a record for every cell ([MS-XLS]).
The reader trusts every length and follows every chain of sectors, so both are checked here.
"""

from __future__ import annotations

import struct
import zipfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ipp.formats.intake.read_error import OLE_SIGNATURE
from ipp.formats.intake.sheet_marks import SheetMarks, UnusableCell, error_cell

CellPlace = tuple[int, int]
"""Row and column of a cell, from 0."""

_WORKBOOK_STREAM_NAMES: Final = ("Workbook", "Book")
_END_OF_CHAIN: Final = 0xFFFFFFFE
_FREE_SECTOR: Final = 0xFFFFFFFF
_ENTRY_BYTES: Final = 128
_MINI_SECTOR_BYTES: Final = 64
_MINI_STREAM_BYTES: Final = 4096
"""A stream shorter than this is stored in mini sectors."""

_MAX_RESERVED: Final = 1 << 27
"""Sectors that a header may state: the reader reserves four bytes for each before reading any."""

_MAX_SHEET_CELLS: Final = 65_536 * 256
"""Cells of a whole sheet: the reader allocates the stated dimensions, however few are filled."""

_BOUND_SHEET, _FILE_PASS, _SHARED_STRINGS, _END_OF_FILE = 0x0085, 0x002F, 0x00FC, 0x000A
_DIMENSIONS, _MULTIPLE_RK = 0x0200, 0x00BD
_CELL_RECORDS: Final = frozenset({0x0006, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E})
_FORMULA, _BOOLEAN_OR_ERROR = 0x0006, 0x0205
_ROW, _COLUMN_INFO, _MERGED_CELLS, _UNCALCULATED = 0x0208, 0x007D, 0x00E5, 0x005E
_HIDDEN_ROW_BIT: Final = 0x20
_MAX_COLUMN: Final = 255
_STRING: Final = 0x0207
_WITHIN_FORMULA: Final = frozenset({0x04BC, 0x0221, 0x0236})
"""The records that stand between a formula and the text that it gave."""

_TEXT_RESULT, _EMPTY_RESULT = 0, 3
"""What a formula gave, if no number: a text in the next record; and nothing, or an empty text."""

_NO_RESULT_REASON: Final = (
    "es una fórmula sin resultado: ábrala en Excel y guarde el libro como .xlsx"
)
_SHORTEST_STRING_BYTES: Final = 3

_ERROR_TEXTS: Final = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?",
    0x24: "#NUM!", 0x2A: "#N/A",
}  # fmt: skip


def filled_cells(file: Path) -> Iterator[Iterator[CellPlace]]:
    """Yield, for each sheet, an iterator over the places of its filled cells.

    Raises `zipfile.BadZipFile` where the file is damaged. A workbook with a password yields none.
    """
    try:
        for stream in _workbook_streams(file.read_bytes()):
            for start in _find_sheets(stream):
                yield _cell_places(stream, start)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise zipfile.BadZipFile(str(error)) from error


def has_records(file: Path) -> bool:
    """Return whether a file is a compound one, as an .xls is, rather than an archive."""
    with file.open("rb") as stream:
        return stream.read(len(OLE_SIGNATURE)) == OLE_SIGNATURE


def read_xls_marks(file: Path, sheet: int, sheets: int) -> SheetMarks:
    """Return the marks of a sheet: its errors, formulas without a value, hidden rows and columns.

    ``sheet`` is the place, from 0, of the sheet among the ``sheets`` that the reader finds.
    """
    marker = _SheetMarker()
    for stream in _workbook_streams(file.read_bytes()):
        starts = _find_sheets(stream)
        # Where the two do not count alike, a mark of any sheet is better told than lost.
        for start in starts[sheet : sheet + 1] if len(starts) == sheets else starts:
            marker.read_sheet(stream, start)
    return marker.collect_marks()


class _SheetMarker:
    """A reader of records that keeps what the reader of cells drops."""

    def __init__(self) -> None:
        self._left = 1 << 16
        self._errors: dict[CellPlace, str] = {}
        self._empty: list[CellPlace] = []
        self._formulas: list[CellPlace] = []
        self._stale = False
        self._hidden_rows = set[int]()
        self._hidden_columns = set[int]()
        self._merged = False

    def read_sheet(self, stream: bytes, start: int) -> None:
        """Read the records of a sheet."""
        waiting: CellPlace | None = None
        for kind, at, length in _read_records(stream, start):
            data = stream[at : at + length]
            if waiting and kind not in _WITHIN_FORMULA:
                if kind != _STRING:
                    self._empty.append(waiting)
                waiting = None
            if (kind in _CELL_RECORDS or kind == _MULTIPLE_RK) and length >= 4:
                place: CellPlace = struct.unpack_from("<2H", data)
                self._left = min(self._left, place[1])
                waiting = self._judge_cell(kind, place, data)
            else:
                self._note_layout(kind, data)
        if waiting:
            self._empty.append(waiting)

    def _judge_cell(self, kind: int, place: CellPlace, data: bytes) -> CellPlace | None:
        """Keep a cell that cannot be used; return the place of one whose text is still to come."""
        code = _error_code(kind, data)
        if code is not None:
            self._errors[place] = _ERROR_TEXTS.get(code, "de Excel")
        if kind != _FORMULA or len(data) < 14:
            return None
        self._formulas.append(place)
        if data[12:14] == b"\xff\xff" and data[6] == _EMPTY_RESULT:
            self._empty.append(place)
        return place if data[12:14] == b"\xff\xff" and data[6] == _TEXT_RESULT else None

    def _note_layout(self, kind: int, data: bytes) -> None:
        if kind == _ROW and len(data) >= 14 and data[12] & _HIDDEN_ROW_BIT:
            self._hidden_rows.add(struct.unpack_from("<H", data)[0] + 1)
        elif kind == _COLUMN_INFO and len(data) >= 10 and data[8] & 1:
            first, last = struct.unpack_from("<2H", data)
            self._hidden_columns.update(range(first, min(last, _MAX_COLUMN) + 1))
        self._merged = self._merged or kind == _MERGED_CELLS
        self._stale = self._stale or kind == _UNCALCULATED

    def collect_marks(self) -> SheetMarks:
        """Return the marks, with columns counted from the first that has a cell."""
        cells = [
            error_cell(row + 1, column - self._left, text)
            for (row, column), text in self._errors.items()
        ]
        lost = self._formulas if self._stale else self._empty
        cells += [
            UnusableCell(row + 1, column - self._left, "=…", _NO_RESULT_REASON)
            for row, column in lost
            if (row, column) not in self._errors
        ]
        return SheetMarks(
            cells,
            self._hidden_rows,
            {place - self._left for place in self._hidden_columns},
            self._left,
            self._merged,
        )


def _error_code(kind: int, data: bytes) -> int | None:
    """Return the error that a cell's record holds or that its formula gave; None for any other."""
    if kind == _BOOLEAN_OR_ERROR and len(data) >= 8 and data[7] == 1:
        return data[6]
    if kind == _FORMULA and len(data) >= 14 and data[6] == 2 and data[12:14] == b"\xff\xff":
        return data[8]
    return None


def _find_sheets(stream: bytes) -> list[int]:
    starts = []
    for kind, at, length in _read_records(stream, 0):
        if kind == _FILE_PASS and any(stream[at : at + 2]):
            return []
        if kind == _SHARED_STRINGS:
            (strings,) = struct.unpack_from("<I", stream, at + 4)
            _require(
                strings * _SHORTEST_STRING_BYTES <= len(stream),
                "more strings than there is room for",
            )
        if kind == _BOUND_SHEET and length >= 4:
            starts.append(struct.unpack_from("<I", stream, at)[0])
    _require(all(start <= len(stream) for start in starts), "a sheet begins beyond the end")
    return starts


def _cell_places(stream: bytes, start: int) -> Iterator[CellPlace]:
    for kind, at, length in _read_records(stream, start):
        if kind in _CELL_RECORDS and length >= 4:
            yield struct.unpack_from("<2H", stream, at)
        elif kind == _MULTIPLE_RK and length >= 6:
            row, first = struct.unpack_from("<2H", stream, at)
            (last,) = struct.unpack_from("<H", stream, at + length - 2)
            yield row, first
            yield from ((row, column) for column in range(first + 1, last + 1))
        elif kind == _DIMENSIONS and length >= 10:
            form = "<2I2H" if length >= 14 else "<4H"
            top, bottom, left, right = struct.unpack_from(form, stream, at)
            if bottom and right:
                _require(top < bottom and left < right, "a sheet ends before it begins")
                _require(
                    (bottom - top) * (right - left) <= _MAX_SHEET_CELLS, "a sheet is too large"
                )


def _read_records(stream: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield the records from ``at`` to the next end-of-file record: kind, data offset, length."""
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<2H", stream, at)
        if kind == _END_OF_FILE:
            return
        yield kind, at + 4, length
        at += 4 + length


def _workbook_streams(data: bytes) -> Iterator[bytes]:
    """Yield every stream that may be the workbook."""
    shift, mini_shift = struct.unpack_from("<2H", data, 30)
    _require(shift in {9, 12} and mini_shift == 6, "unusual sectors")
    size = 1 << shift
    count = len(data) // size
    directories, tables = struct.unpack_from("<2I", data, 40)
    directory, mini_start, mini_tables, chain = struct.unpack_from("<I8x3I", data, 48)
    reserved = (struct.unpack_from("<I", data, at)[0] for at in (62, 72))
    _require(max(directories, tables, mini_tables) <= count, "more sectors than the file has")
    _require(max(reserved) < _MAX_RESERVED, "more sectors than a file can have")

    table = _sector_table(data, size, chain)
    entries = _read_chain(data, size, size, table, directory)
    mini_table = array("I", _read_chain(data, size, size, table, mini_start))
    mini_data: bytes | None = None
    for at in range(0, len(entries), _ENTRY_BYTES):
        name = entries[at : at + 64].decode("utf-16-le", "replace").partition("\0")[0]
        start, length = struct.unpack_from("<2I", entries, at + 116)
        high = struct.unpack_from("<I", entries, at + 124)[0] if size > 512 else 0
        _require(length <= len(data) and not high, "a stream is longer than the file")
        if mini_data is None:
            mini_data = _read_chain(data, size, size, table, start)
        elif name in _WORKBOOK_STREAM_NAMES and length < _MINI_STREAM_BYTES:
            yield _read_chain(mini_data, _MINI_SECTOR_BYTES, 0, mini_table, start)[:length]
        elif name in _WORKBOOK_STREAM_NAMES:
            yield _read_chain(data, size, size, table, start)[:length]


def _sector_table(data: bytes, size: int, chain: int) -> array[int]:
    """Return the file allocation table (FAT): for each sector, the one that follows it.

    ``chain`` is the first sector of the DIFAT, which names the sectors of the FAT beyond the 109
    that the header names.
    """
    names = list(struct.unpack_from("<109I", data, 76))
    seen = 0
    while chain not in {_END_OF_CHAIN, _FREE_SECTOR}:
        seen += 1
        _require(seen <= len(data) // size, "a chain of sectors has no end")
        *more, chain = struct.unpack_from(f"<{size // 4}I", data, size * (chain + 1))
        names += more
    table = array("I")
    for name in names:
        if name != _FREE_SECTOR:
            _require(size * (name + 2) <= len(data), "a sector lies beyond the end")
            table.frombytes(data[size * (name + 1) : size * (name + 2)])
    return table


def _read_chain(data: bytes, size: int, offset: int, table: array[int], sector: int) -> bytes:
    """Return the joined sectors of a chain; ``offset`` is where sector 0 begins in ``data``."""
    sectors: list[bytes] = []
    while sector != _END_OF_CHAIN:
        _require(
            len(sectors) <= len(data) // size and sector < len(table),
            "a chain of sectors has no end",
        )
        sectors.append(data[offset + size * sector : offset + size * (sector + 1)])
        sector = table[sector]
    return b"".join(sectors)


def _require(condition: bool, problem: str) -> None:
    """Raise `zipfile.BadZipFile` with ``problem`` unless ``condition`` holds."""
    if not condition:
        raise zipfile.BadZipFile(problem)
