"""Read from a sheet's XML what the reader drops: errors, uncalculated formulas, cell types.

The text is scanned in blocks, without building a tree, because every workbook passes through here:
a block is only searched for rare markers, and parsed where one is found.
"""

from __future__ import annotations

import datetime as dt
import html
import posixpath
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ipp.formats.cell_reference import column_letters, column_number
from ipp.formats.intake.sheet_extent import SheetOutline
from ipp.formats.intake.sheet_marks import (
    LOST_FORMULA_REASON,
    SheetMarks,
    UnusableCell,
    error_cell,
)

_CHUNK_BYTES: Final = 1 << 20

# No pattern matches beyond the next "<" from where it begins: otherwise a text of opening tags
# without an end would be read once for each of them, in quadratic time.
_ATTRIBUTE_PATTERN: Final = re.compile(rb"(?<![\w:])([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_CELL: Final = re.compile(rb"<((?:\w+:)?)c(\s[^<>]*?)?(/?)>")
_HIDDEN: Final = re.compile(rb"<(?:\w+:)?(row|col)(\s[^<>]*\bhidden\s*=[^<>]*)>")
_MAX_COLUMNS: Final = 1 << 14
_VALUE_PATTERN: Final = re.compile(rb"<(?:\w+:)?(?:v|t)(?:\s[^<>]*)?>([^<]+)<")
_FORMULA_PATTERN: Final = re.compile(rb"<(?:\w+:)?f(?:\s[^<>]*)?(?:/>|>([^<]*)<)")
_UNPARSED_PATTERN: Final = re.compile(rb"<!--|<!\[CDATA\[")
_COMMENT_START: Final = b"<!--"
_UNPARSED_ENDS: Final = {_COMMENT_START: b"-->", b"<![CDATA[": b"]]>"}
_LONGEST_MARK: Final = 9
"""Bytes of <![CDATA[, the longest mark that opens a comment or a CDATA section."""

_REFERENCE_PATTERN: Final = re.compile(r"([A-Z]{1,3})(\d+)")

_EPOCH_1900: Final = dt.date(1899, 12, 30)
_EPOCH_1904: Final = dt.date(1904, 1, 1)


@dataclass(frozen=True, slots=True)
class _XmlCell:
    row: int
    column: int
    kind: str
    value: str
    formula: str
    """The formula with its ``=``; "" where there is none."""

    @property
    def unusable(self) -> UnusableCell | None:
        if self.kind == "e":
            return error_cell(self.row, self.column, self.value)
        if self.formula and not self.value and self.kind != "str":
            return UnusableCell(self.row, self.column, self.formula, LOST_FORMULA_REASON)
        return None


class SheetXml:
    """The XML of one sheet of the workbook ``file``; ``epoch`` is day 0 of its serial dates.

    Its ``outline`` answers what it can, because searching the text takes longer.
    """

    def __init__(self, file: Path, part: str, outline: SheetOutline, epoch: dt.date) -> None:
        self._file = file
        self._part = part
        self._outline = outline
        self.epoch = epoch
        self._first: int | None = None

    @classmethod
    def open_sheet(
        cls, file: Path, sheet: str, outlines: Mapping[str, SheetOutline]
    ) -> SheetXml | None:
        """Return the XML of the sheet with that name; None if the workbook has another layout."""
        with zipfile.ZipFile(file) as book:
            names = set(book.namelist())
            if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
                return None
            index, relations = book.read("xl/workbook.xml"), book.read("xl/_rels/workbook.xml.rels")
        ids = {
            html.unescape(tag.get("name", "")): tag.get("id") for tag in _find_tags(index, b"sheet")
        }
        targets = {
            tag.get("Id"): tag.get("Target", "") for tag in _find_tags(relations, b"Relationship")
        }
        part = posixpath.normpath(
            posixpath.join("/xl", html.unescape(targets.get(ids.get(sheet), "")))
        ).lstrip("/")
        old = any(tag.get("date1904") in {"1", "true"} for tag in _find_tags(index, b"workbookPr"))
        return (
            cls(file, part, outlines[part], _EPOCH_1904 if old else _EPOCH_1900)
            if part in names and part.endswith(".xml")
            else None
        )

    def _find_unusable_cells(self, width: int) -> tuple[list[UnusableCell] | None, bool]:
        """Return the cells that cannot be used, and whether any are merged.

        ``width`` is the number of columns of the sheet's filled part. The cells are None where
        there are some that cannot be placed in it.
        """
        if not self._outline.doubtful:
            return [], self._outline.merged
        signs: tuple[bytes, ...] = ()
        found: list[_XmlCell] = []
        placed, merged = True, False
        for block in self._read_blocks():
            signs = signs or _flaw_markers(block)
            merged = merged or b"mergeCell " in block
            if any(sign in block for sign in signs):
                suspects = [item for item in _parse_cells(block) if item.unusable]
                placed = placed and all(item.row for item in suspects)
                found += suspects
        if not found:
            return [], merged
        first = self.first_column()
        placed = placed and all(item.column < first + width for item in found)
        if not placed:
            return None, merged
        shifted = (self._shift_columns(item).unusable for item in found)
        return [cell for cell in shifted if cell], merged

    def read_marks(self, width: int) -> SheetMarks | None:
        """Return the marks of the sheet; None where there are unusable cells without a place.

        ``width`` is the number of columns of the sheet's filled part.
        """
        unusable, merged = self._find_unusable_cells(width)
        if unusable is None:
            return None
        rows, columns = self._find_hidden() if self._outline.may_hide else (set(), set())
        left = self.first_column() if columns else 0
        return SheetMarks(unusable, rows, {column - left for column in columns}, left, merged)

    def _find_hidden(self) -> tuple[set[int], set[int]]:
        """Return the hidden rows, from 1, and the hidden columns of the sheet, from 0."""
        rows, columns = set[int](), set[int]()
        for block in self._read_blocks():
            for name, text in _HIDDEN.findall(block):
                tag = _tag_attributes(text)
                if tag.get("hidden") not in {"1", "true"}:
                    continue
                if name == b"row":
                    rows.add(int(tag.get("r", "0")))
                else:
                    last = min(int(tag.get("max", "0")), _MAX_COLUMNS)
                    columns.update(range(int(tag.get("min", "1")) - 1, last))
        return rows, columns

    def has_only_numbers(self, column: int, top: int) -> bool:
        """Return whether the filled cells of ``column`` below row ``top`` are certainly numbers."""
        return self._outline.has_only_numbers(self.first_column() + column, top)

    def find_numeric_rows(self, columns: Collection[int]) -> dict[int, list[int]]:
        """Return, by column, the rows from 1 of the cells in ``columns`` that hold a number."""
        first = self.first_column()
        rows: dict[int, list[int]] = {column: [] for column in columns}
        letters = frozenset(column_letters(first + column).encode() for column in columns)
        for block in self._read_blocks():
            for item in _parse_cells(block, letters):
                if item.kind in {"", "n"} and item.value:
                    rows[item.column - first].append(item.row)
        return rows

    def _shift_columns(self, item: _XmlCell) -> _XmlCell:
        return _XmlCell(
            item.row, item.column - self.first_column(), item.kind, item.value, item.formula
        )

    def first_column(self) -> int:
        """Return the leftmost column with a value, which the reader counts as column 0."""
        if self._first is None:
            self._first = self._find_first_column()
        return self._first

    def _find_first_column(self) -> int:
        first = 1 << 14
        for block in self._read_blocks():
            for item in _parse_cells(block):
                if item.value and item.row and item.column < first:
                    first = item.column
                    if first == 0:
                        return 0
        return first

    def _read_blocks(self) -> Iterator[bytes]:
        """Yield the text in blocks that end where a row ends, without comments and CDATA."""
        with zipfile.ZipFile(self._file) as book, book.open(self._part) as stream:
            rest: list[bytes] = []
            for chunk in _parsed_text(iter(lambda: stream.read(_CHUNK_BYTES), b"")):
                end = chunk.rfind(b"row>") + len(b"row>")
                if end < len(b"row>"):
                    rest.append(chunk)
                    continue
                yield b"".join(rest) + chunk[:end]
                rest = [chunk[end:]]
            yield b"".join(rest)


def _parsed_text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the text without comments, and with CDATA sections written as escaped text.

    A mark may be cut between two chunks: ``a<![CD`` and ``ATA[<b]]>c`` give ``a&lt;bc``. So a "<"
    in the last bytes of a chunk, and within a section its last two, wait for the next one.
    """
    rest, mark = b"", b""
    for chunk in chunks:
        text, at, kept = rest + chunk, 0, []
        while True:
            if mark:
                end = text.find(_UNPARSED_ENDS[mark], at)
                stop = max(end if end >= 0 else len(text) - len(b"]]"), at)
                if mark != _COMMENT_START:
                    kept.append(
                        html.escape(text[at:stop].decode("latin-1"), quote=False).encode("latin-1")
                    )
                if end < 0:
                    at = stop
                    break
                at, mark = end + len(_UNPARSED_ENDS[mark]), b""
            found = _UNPARSED_PATTERN.search(text, at)
            if found is None:
                last = text.rfind(b"<", max(at, len(text) - _LONGEST_MARK))
                stop = last if last >= 0 else len(text)
                kept.append(text[at:stop])
                at = stop
                break
            kept.append(text[at : found.start()])
            at, mark = found.end(), found[0]
        rest = text[at:]
        yield b"".join(kept)
    yield b"" if mark else rest


def _flaw_markers(block: bytes) -> tuple[bytes, ...]:
    """Return the byte strings that mark an error or a formula without a value.

    They have the namespace prefix that the sheet's writer uses.
    """
    root = re.search(rb"<(\w+:)?worksheet[\s>]", block)
    prefix = (root[1] or b"") if root else b""
    close = b"</" + prefix + b"c>"
    return (
        b't="e"',
        b"t='e'",
        b"</" + prefix + b"f>" + close,
        b"/>" + close,
        b"<" + prefix + b"v></" + prefix + b"v>",
    )


@cache
def _cell_pattern(letters: frozenset[bytes]) -> re.Pattern[bytes]:
    """Return the pattern of the opening tags of cells, only in the columns ``letters`` if any."""
    if not letters:
        return _CELL
    columns = b"|".join(sorted(letters))
    others = rb"(?:[\w:]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*')\s+)*"
    place = rb"r\s*=\s*[\"'](?:" + columns + rb")\d"
    return re.compile(rb"<((?:\w+:|))c(\s+" + others + place + rb"[^<>]*?)(/?)>")


def _parse_cells(block: bytes, letters: Collection[bytes] = ()) -> Iterator[_XmlCell]:
    """Yield the cells of a block, only those in the columns ``letters`` if there are any.

    The row is 0 where a cell has no reference.
    """
    tags = _cell_pattern(frozenset(letters)).finditer(block)
    following = next(tags, None)
    while following is not None:
        opening, following = following, next(tags, None)
        tag = opening[2] or b""
        content = b""
        if not opening[3]:
            until = following.start() if following else len(block)
            content = block[opening.end() : until].partition(b"</" + opening[1] + b"c>")[0]
        attributes = _tag_attributes(tag)
        place = _REFERENCE_PATTERN.fullmatch(attributes.get("r", ""))
        value, formula = _VALUE_PATTERN.search(content), _FORMULA_PATTERN.search(content)
        yield _XmlCell(
            row=int(place[2]) if place else 0,
            column=column_number(place[1]) if place else 0,
            kind=attributes.get("t", ""),
            value=html.unescape(_decode_entities(value[1])) if value else "",
            formula="=" + html.unescape(_decode_entities(formula[1] or b"")) if formula else "",
        )


def _find_tags(text: bytes, name: bytes) -> Iterator[dict[str, str]]:
    for tag in re.findall(rb"<(?:\w+:)?" + name + rb"(\s[^>]*)", text):
        yield _tag_attributes(tag)


def _tag_attributes(tag: bytes) -> dict[str, str]:
    """Return the attributes of a tag, without the prefixes of their names."""
    return {
        _decode_entities(name).rpartition(":")[2]: _decode_entities(one or other)
        for name, one, other in _ATTRIBUTE_PATTERN.findall(tag)
    }


def _decode_entities(text: bytes) -> str:
    return text.decode(errors="replace")
