"""Workbooks written byte by byte, as no program in use would write them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

SHEET_PART = "xl/worksheets/sheet1.xml"
_SECTOR_BYTES = 512
_MINI_STREAM_BYTES = 4096


def build_xlsx(sheet: str | bytes) -> bytes:
    """Put the XML of a sheet into a workbook."""
    return replace_parts(write_book(), {SHEET_PART: sheet})


def save_book(book: openpyxl.Workbook) -> bytes:
    """Return a workbook as the bytes of its file."""
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def write_book(*lines: Sequence[object], also: Callable[[Worksheet], object] = bool) -> bytes:
    """Write lines of cells to a workbook, and do what ``also`` does to its sheet."""
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    also(book.active)
    return save_book(book)


def replace_parts(content: bytes, parts: Mapping[str, str | bytes]) -> bytes:
    """Write the archive again with other content in some of its parts."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
    return target.getvalue()


def restate_size(content: bytes, name: str, size: int) -> bytes:
    """State another size for a part of an archive, in its own header and in the directory."""
    changed = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        struct.pack_into("<I", changed, source.getinfo(name).header_offset + 22, size)
        at = source.start_dir
    while changed[at + 46 : at + 46 + len(name)] != name.encode():
        at = content.index(b"PK\1\2", at + 1)
    struct.pack_into("<I", changed, at + 24, size)
    return bytes(changed)


def sheet_xml(rows: str, before: str = "") -> str:
    """The XML of a sheet with the XML of its rows."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}">{before}<sheetData>{rows}</sheetData></worksheet>'


def text_cells(row: int, *texts: str) -> str:
    """The XML of a row of text cells from column A."""
    cells = (
        f'<c r="{chr(ord("A") + n)}{row}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'
        for n, text in enumerate(texts)
    )
    return f'<row r="{row}">{"".join(cells)}</row>'


def build_ods(rows: str) -> bytes:
    """Return an OpenDocument spreadsheet with the XML of its rows."""
    names = (("office", "office"), ("table", "table"), ("text", "text"))
    spaces = " ".join(
        f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for p, n in names
    )
    content = (
        f"<office:document-content {spaces}><office:body><office:spreadsheet>"
        f'<table:table table:name="Hoja1">{rows}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    return stream.getvalue()


def ods_row(*texts: str, repeated: int = 1) -> str:
    """The XML of a row of text cells."""
    cells = "".join(
        f'<table:table-cell office:value-type="string">'
        f"<text:p>{escape(text)}</text:p></table:table-cell>"
        for text in texts
    )
    return f'<table:table-row table:number-rows-repeated="{repeated}">{cells}</table:table-row>'


def build_xls(
    cells: Mapping[tuple[int, int], str],
    dimensions: Sequence[int] = (0, 1, 0, 1),
    strings: int = 0,
    others: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """Return an .xls workbook of one sheet: texts by cell, its announced corners and strings.

    ``others`` are further records of the sheet, each a kind and its data.
    """

    def record(kind: int, data: bytes = b"") -> bytes:
        return struct.pack("<2H", kind, len(data)) + data

    def text(value: str) -> bytes:
        return struct.pack("<HB", len(value), 0) + value.encode("latin-1")

    begin = record(0x0809, struct.pack("<6H", 0x0600, 0x0005, 0, 0, 0, 0))
    end = record(0x000A)
    shared = record(0x00FC, struct.pack("<2I", strings, strings)) if strings else b""
    start = len(begin + shared + end) + 4 + 13
    book = begin + shared + record(0x0085, struct.pack("<IH2B", start, 0, 5, 0) + b"Hoja1") + end
    assert len(book) == start
    sheet = record(0x0200, struct.pack("<2I3H", *dimensions, 0))
    for (row, column), value in cells.items():
        sheet += record(0x0204, struct.pack("<3H", row, column, 0) + text(value))
    sheet += b"".join(record(*other) for other in others)
    return compound_file(book + begin + sheet + end)


def compound_file(stream: bytes, chain: Mapping[int, int] | None = None) -> bytes:
    """Return a compound file with one stream, Workbook; ``chain`` overrides next sectors."""
    stream = stream.ljust(_MINI_STREAM_BYTES, b"\0")
    count = -(-len(stream) // _SECTOR_BYTES)
    assert count + 2 <= _SECTOR_BYTES // 4
    table = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, count + 2), 0xFFFFFFFE]
    for sector, following in (chain or {}).items():
        table[sector] = following
    table += [0xFFFFFFFF] * (_SECTOR_BYTES // 4 - len(table))
    header = struct.pack("<8s16x5H6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, 1, 0, _MINI_STREAM_BYTES, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
    entries = _entry("Root Entry", 5, 0xFFFFFFFE, 0) + _entry("Workbook", 2, 2, len(stream))
    return (
        header
        + struct.pack(f"<{len(table)}I", *table)
        + entries.ljust(_SECTOR_BYTES, b"\0")
        + stream.ljust(count * _SECTOR_BYTES, b"\0")
    )


def _entry(name: str, kind: int, start: int, length: int) -> bytes:
    written = name.encode("utf-16-le").ljust(64, b"\0")
    links = struct.pack("<3I", 0xFFFFFFFF, 0xFFFFFFFF, 1 if kind == 5 else 0xFFFFFFFF)
    return (
        written
        + struct.pack("<H2B", 2 * len(name) + 2, kind, 1)
        + links
        + bytes(36)
        + struct.pack("<3I", start, length, 0)
    )
