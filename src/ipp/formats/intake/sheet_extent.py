"""Measure the extent of a workbook's sheets before its reader allocates memory for them.

The reader allocates the whole rectangle from the first filled cell to the last. One stray cell in
the farthest corner of a sheet would take 512 GB and kill the process.
"""

from __future__ import annotations

import re
import zipfile
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from xml.parsers import expat

import numpy as np

from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.cell_reference import column_letters, column_number
from ipp.formats.intake.cell_scan import scan_cells
from ipp.formats.intake.read_error import OLE_SIGNATURE
from ipp.formats.intake.xls_records import filled_cells
from ipp.formats.intake.zip_archive import inflate_parts

MAX_SHEET_CELLS: Final = 1 << 24
"""Cells of the rectangle around a sheet's filled cells: a whole .xls sheet, 65,536 × 256."""

_CHUNK_BYTES: Final = 1 << 20
_CONTENT_TAGS: Final = frozenset({"v", "is", "f"})
"""The elements that only a filled cell contains."""

_SHEET_DATA: Final = b"sheetData"
_ODS_PART: Final = "content.xml"
_XLSB_PART: Final = "xl/workbook.bin"
_REFERENCE: Final = re.compile(r"([A-Za-z]{1,3})(\d{1,9})")

_WAITING_PIECES: Final = 4
"""Pieces of at most a megabyte that wait to be scanned."""

_LOOKAHEAD_BYTES: Final = 128
"""More than the opening of a cell, up to the beginning of its value."""


@dataclass(slots=True)
class SheetExtent:
    """The rectangle around the filled cells seen so far; rows and columns count from 0.

    The rectangle begins at the sheet's first row, because the reader also fills the rows above the
    table. ``lowest`` and ``rightmost`` are the farthest cells, as (row, column).
    """

    cells: int = 0
    left: int = 1 << 62
    lowest: tuple[int, int] = (-1, -1)
    rightmost: tuple[int, int] = (-1, -1)

    @property
    def area(self) -> int:
        """The cells of the rectangle, and at least as many as were seen."""
        rows, columns = self.lowest[0] + 1, self.rightmost[1] + 1 - self.left
        return max(self.cells, rows * columns if self.cells else 0)

    def add_cells(self, row: int, column: int, rows: int = 1, columns: int = 1) -> None:
        """Add a filled cell that is repeated over ``rows`` and ``columns`` from its place."""
        self.cells += rows * columns
        self.left = min(self.left, column)
        last = (row + rows - 1, column + columns - 1)
        self.lowest = max(self.lowest, last)
        self.rightmost = max(self.rightmost, last, key=lambda place: place[::-1])


def check_extent(file: Path) -> Mapping[str, SheetOutline]:
    """Return the outlines of the parts of a workbook, by their names; none of an .xls.

    Raises `InvalidInputError` where a sheet spans more than `MAX_SHEET_CELLS`,
    `OversizedArchiveError`, `zipfile.BadZipFile` where the workbook is damaged, and
    `UnreadableFileError` where it is an .xlsb.
    """
    with file.open("rb") as stream:
        start = stream.read(4)
    if start == OLE_SIGNATURE:
        _check_file(file, _xls_extents(file))
        return {}
    outlines = _read_outlines(file)
    for part, outline in outlines:
        if outline.must_be_measured:
            _check_file(file, _measure_part(file, part))
    return {part.filename: outline for part, outline in outlines}


def _xls_extents(file: Path) -> list[SheetExtent]:
    extents = []
    for sheet in filled_cells(file):
        extent = SheetExtent()
        for row, column in sheet:
            extent.add_cells(row, column)
        extents.append(extent)
        if not _fit_limit(extents):
            break
    return extents


def _fit_limit(extents: list[SheetExtent]) -> bool:
    """Return whether sheets that the reader holds at the same time stay within the limit."""
    return sum(extent.area for extent in extents) <= MAX_SHEET_CELLS


def _check_file(file: Path, extents: list[SheetExtent]) -> None:
    if _fit_limit(extents):
        return
    extent = max(extents, key=lambda extent: extent.area)
    far = sorted({extent.lowest, extent.rightmost})
    cells = " y ".join(f"{column_letters(column)}{row + 1}" for row, column in far)
    if len(far) == 1:
        farthest = f"la más lejana que no está vacía es {cells}"
        cure = (
            "Si esa celda no es de la tabla, elimine su fila y su columna en Excel y guárdelo; "
            "si lo es"
        )
    else:
        farthest = f"las más lejanas que no están vacías son {cells}"
        cure = (
            "Si esas celdas no son de la tabla, elimine sus filas y columnas en Excel y guárdelo; "
            "si lo son"
        )
    area = sum(extent.area for extent in extents)
    raise InvalidInputError(
        f"{file.name} abarca {area:,} celdas y se leen {MAX_SHEET_CELLS:,} a lo más: {farthest}.",
        hint=f"{cure}, guarde la hoja como CSV.",
    )


def _read_outlines(file: Path) -> list[tuple[zipfile.ZipInfo, SheetOutline]]:
    """Return the parts of the workbook, each with its outline.

    One thread inflates the pieces, another scans them; few wait between the two.
    """
    outlines: dict[int, tuple[zipfile.ZipInfo, SheetOutline]] = {}
    waiting = deque[Future[None]]()
    with ThreadPoolExecutor(1) as scanner:
        for part, piece in inflate_parts(file):
            name = part.filename.replace("\\", "/").lower()
            if name == _XLSB_PART:
                raise UnreadableFileError(
                    f"{file.name} es un libro binario (.xlsb), que no se lee.",
                    hint="Guárdelo en Excel como .xlsx.",
                )
            _, outline = outlines.setdefault(
                id(part), (part, SheetOutline(unclear=name == _ODS_PART))
            )
            waiting.append(scanner.submit(outline.feed, piece))
            if len(waiting) > _WAITING_PIECES:
                waiting.popleft().result()
        for scanned in waiting:
            scanned.result()
    for _, outline in outlines.values():
        outline.finish()
    return [*outlines.values()]


class SheetOutline:
    """What the bytes of a sheet's XML show without parsing it, if it is one.

    It has the rectangle around every cell, filled or not. ``merged`` is true where some are merged.
    It is ``unclear`` where a cell does not begin with ``<c r="A1"``, as all common programs write.
    """

    def __init__(self, *, unclear: bool = False) -> None:
        self._unclear = unclear
        self._sheet = unclear
        self._rest = b""
        self._extent = SheetExtent()
        self._last_text_rows = np.zeros(0, np.int64)
        self._doubtful = False
        self._may_hide = False
        self.merged = False

    @property
    def must_be_measured(self) -> bool:
        """True if the part may exceed the limit."""
        return self._sheet and (self._unclear or self.area > MAX_SHEET_CELLS)

    @property
    def area(self) -> int:
        """The cells of the rectangle around every cell."""
        return self._extent.area

    @property
    def doubtful(self) -> bool:
        """True unless no cell can hold an error or a formula without a value."""
        return self._unclear or self._doubtful

    @property
    def may_hide(self) -> bool:
        """True unless no row and no column is hidden."""
        return self._unclear or self._may_hide

    def has_only_numbers(self, column: int, top: int) -> bool:
        """Return whether the filled cells of ``column`` below row ``top`` are certainly numbers.

        Columns count from 0, rows from 1.
        """
        return not self._unclear and not (self._last_text_rows[column : column + 1] > top).any()

    def feed(self, piece: bytes) -> None:
        """Scan the complete tags; the last one, with its text, waits for the next piece."""
        if self._unclear and self._sheet:
            return
        piece = self._rest + piece
        # The reader finds no cell before this element, so a part without it has none.
        self._sheet = self._sheet or _SHEET_DATA in piece
        # A cell too near the end to see what follows its tag waits, and so does the last tag.
        cut = piece.rfind(b"<c", max(len(piece) - _LOOKAHEAD_BYTES, 0))
        cut = cut if cut >= 0 else max(piece.rfind(b"<"), 0)
        self._rest = piece[cut:]
        if len(self._rest) > _CHUNK_BYTES:
            self._unclear, self._rest = True, self._rest[-len(_SHEET_DATA) :]
        self._scan_tags(piece[:cut])

    def finish(self) -> None:
        """Scan what is left after the last piece."""
        rest, self._rest = self._rest, b""
        self._scan_tags(rest)

    def _scan_tags(self, text: bytes) -> None:
        if not self._sheet or self._unclear:
            return
        scan = scan_cells(text)
        if scan is None:
            self._unclear = True
            return
        self._may_hide = self._may_hide or b"hidden" in text
        self.merged = self.merged or text.find(b"mergeCell ", scan.end) >= 0
        self._doubtful = self._doubtful or scan.doubtful
        if len(scan.rows) == 0:
            return
        self._extent.cells += len(scan.rows)
        self._extent.left = min(self._extent.left, int(scan.columns.min()))
        self._extent.lowest = max(self._extent.lowest, (int(scan.rows.max()) - 1, 0))
        self._extent.rightmost = (0, max(self._extent.rightmost[1], int(scan.columns.max())))
        texts = ~scan.numeric
        more = int(scan.columns.max()) + 1 - len(self._last_text_rows)
        self._last_text_rows = np.pad(self._last_text_rows, (0, max(more, 0)))
        np.maximum.at(self._last_text_rows, scan.columns[texts], scan.rows[texts])


def _measure_part(file: Path, part: zipfile.ZipInfo) -> list[SheetExtent]:
    """Return the extents of a part's sheets, stopping once they exceed the limit."""
    counter: _XlsxCounter | _OdsCounter
    parser = expat.ParserCreate()
    if part.filename == _ODS_PART:
        counter = _OdsCounter()
        parser.EndElementHandler = counter.end
    else:
        counter = _XlsxCounter()
    parser.StartElementHandler = counter.start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        with zipfile.ZipFile(file) as archive, archive.open(part) as stream:
            while piece := stream.read(_CHUNK_BYTES):
                parser.Parse(piece, False)  # Expat accepts this argument by position only.
                if not _fit_limit(counter.extents):
                    return counter.extents
            parser.Parse(b"", True)
    except (expat.ExpatError, ValueError) as error:
        raise zipfile.BadZipFile(f"{part.filename}: {error}") from error
    return counter.extents


def _refuse_doctype(*_: object) -> None:
    raise ValueError("a sheet has no document type")


class _XlsxCounter:
    """A counter of the cells of an .xlsx sheet that the reader takes as filled."""

    def __init__(self) -> None:
        self._extent = SheetExtent()
        self.extents = [self._extent]
        self._row, self._next_row, self._column = 0, 0, 0
        self._cell: tuple[int, int] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Track the place of a row or cell, and count the cell once it has content."""
        name = _local_name(tag) if ":" in tag else tag
        if name == "c":
            if "r" in attributes:
                place = _REFERENCE.fullmatch(attributes["r"])
                if place is None:
                    raise ValueError("a cell has no place")
                self._cell = (int(place[2]) - 1, _column_number(place[1]))
            else:
                self._cell = (self._row, self._column)
            self._column = self._cell[1] + 1
        elif name == "row":
            self._row = int(attributes["r"]) - 1 if "r" in attributes else self._next_row
            self._next_row, self._column, self._cell = self._row + 1, 0, None
        elif self._cell is not None and name in _CONTENT_TAGS:
            self._extent.add_cells(*self._cell)
            self._cell = None


class _OdsCounter:
    """A counter of the cells of an .ods as its reader allocates them, with repeated rows and cells.

    The reader holds all tables at once. It allocates every empty cell that another one follows.
    """

    def __init__(self) -> None:
        self.extents: list[SheetExtent] = []
        self._row, self._rows, self._column = 0, 1, 0
        self._spaces = 0
        self._empty = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Track the place of a row or cell and how often it is repeated."""
        name = _local_name(tag)
        if name == "table":
            self.extents.append(SheetExtent())
            self._row = 0
        elif not self.extents:
            return
        elif name == "table-row":
            self._rows = _repeat_count(attributes, "table:number-rows-repeated")
            self._column, self._empty = 0, 0
        elif name in {"table-cell", "covered-table-cell"}:
            self._begin_cell(attributes)
        elif name == "s":
            self._spaces += _repeat_count(attributes, "text:c")
            if self._spaces > MAX_SHEET_CELLS:
                raise ValueError("more spaces than a text may have")

    def end(self, tag: str) -> None:
        """Advance past a row and its repetitions at its end tag."""
        if _local_name(tag) == "table-row":
            self._row += self._rows

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        columns = _repeat_count(attributes, "table:number-columns-repeated")
        self.extents[-1].cells += self._empty
        self._empty = columns
        if any(name.startswith("office:") or name == "table:formula" for name in attributes):
            self.extents[-1].add_cells(self._row, self._column, self._rows, columns)
            self._empty = 0
        self._column += columns


@cache
def _column_number(letters: str) -> int:
    return column_number(letters.upper())


def _local_name(tag: str) -> str:
    return tag.partition(":")[2] or tag


def _repeat_count(attributes: dict[str, str], name: str) -> int:
    return max(int(attributes.get(name, "1")), 1)
