"""Scan the cells of a sheet's XML from its bytes, all of a piece at a time, without parsing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

_Bytes = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint32]
_Flags = npt.NDArray[np.bool_]

_PREFIXED_CELL: Final = re.compile(rb"<[^<>\s]*:c[\s/>]")
_PADDING_BYTES: Final = 64
"""More than the longest opening that is looked at: <c r="XFD1048576" s="65535" t="n"><v>."""


def _as_word(text: bytes) -> np.uint32:
    """Return four bytes as one number, because to compare one takes less than to compare four."""
    return np.uint32(int.from_bytes(text, "little"))


_REFERENCE_MARK: Final = _as_word(b' r="')
_STYLE_MARK: Final = _as_word(b' s="')
_TYPE_MARK: Final = _as_word(b' t="')
_VALUE_MARK: Final = _as_word(b"><v>")
_WORD_BYTES: Final = 4
_MAX_LETTERS: Final = 3
_MAX_ROW_DIGITS: Final = 7
_MAX_STYLE_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class CellScan:
    """The cells of a piece: their rows from 1, columns from 0, and whether each holds a number.

    A cell without a value counts as a number where its tag allows one. ``doubtful`` is true where
    a cell may hold an error, or a formula without a value. ``end`` is the offset of the last tag.
    """

    rows: _Ints
    columns: _Ints
    numeric: _Flags
    doubtful: bool
    end: int


def scan_cells(text: bytes) -> CellScan | None:
    """Scan a piece that ends with a complete tag.

    Returns None where a cell does not begin with ``<c r="A1"``, as all common programs write it.
    """
    text += bytes(_PADDING_BYTES)
    data = np.frombuffer(text, np.uint8)
    words: _Words = np.ndarray(len(data) - _WORD_BYTES + 1, "<u4", text, strides=(1,))
    tags = _find_tags(data, words)
    if tags is None or _has_prefixed_cell(data, text):
        return None
    row, column, quote = _parse_references(data, tags + len(b'<c r="'))
    if not ((data[quote] == ord('"')) & (column > 0) & (row > 0)).all():
        return None
    numeric, clear = _parse_types(data, words, quote + 1)
    end = int(tags[-1]) if len(tags) else 0
    return CellScan(row, column - 1, numeric, not clear.all(), end)


def _find_tags(data: _Bytes, words: _Words) -> _Ints | None:
    """Return the offsets of the tags of cells; None where one has another first attribute."""
    at = np.flatnonzero((data[:-1] == ord("<")) & (data[1:] == ord("c")))
    usual = words[at + len(b"<c")] == _REFERENCE_MARK
    if not usual.all():
        others = data[at[~usual] + len(b"<c")]
        # Elements such as <col> and <conditionalFormatting> go on with a letter.
        if np.isin(others, np.frombuffer(b" \t\r\n/>", np.uint8)).any():
            return None
        at = at[usual]
    return at


def _has_prefixed_cell(data: _Bytes, text: bytes) -> bool:
    suspicious = (data[:-1] == ord(":")) & (data[1:] == ord("c"))
    return bool(suspicious.any()) and _PREFIXED_CELL.search(text) is not None


def _parse_references(data: _Bytes, at: _Ints) -> tuple[_Ints, _Ints, _Ints]:
    """Return the row and column, both from 1, of references like XFD1048576, and their ends."""
    # All references advance together, one character a step, and one that has run out of letters
    # or digits stays where it is. For AB12 the column goes 1, 28, 28 (A is 1, so AB is
    # 1 × 26 + 2) and the row 1, 12, 12, … until `at` is at the closing quote.
    column, at = _read_numbers(data, at, b"A", 26, 1, _MAX_LETTERS)
    row, at = _read_numbers(data, at, b"0", 10, 0, _MAX_ROW_DIGITS)
    return row, column, at


def _read_numbers(
    data: _Bytes, at: _Ints, zero: bytes, base: int, least: int, steps: int
) -> tuple[_Ints, _Ints]:
    """Read numbers of at most ``steps`` digits, and return them with the offsets after them.

    The lowest digit is the character ``zero``, which counts as ``least``.
    """
    number = np.zeros(len(at), np.int64)
    for _ in range(steps):
        # Characters below `zero` wrap around to large numbers.
        digit = data[at] - np.uint8(ord(zero))
        inside = digit < base
        if not inside.any():
            break
        number = np.where(inside, number * base + digit + least, number)
        at = at + inside
    return number, at


def _parse_types(data: _Bytes, words: _Words, at: _Ints) -> tuple[_Flags, _Flags]:
    """Return which cells may hold a number, and which certainly have no flaw.

    ``at`` are the offsets after the references. What follows is an optional style, an optional
    type, and the end of the tag: `` s="5" t="s">``.
    """
    styled = words[at] == _STYLE_MARK
    _, after = _read_numbers(data, at + _WORD_BYTES * styled, b"0", 10, 0, _MAX_STYLE_DIGITS)
    at = np.where(styled, after + (data[after] == ord('"')), at)
    typed = words[at] == _TYPE_MARK
    kind = data[at + _WORD_BYTES]
    short = typed & (data[at + len(b' t="s')] == ord('"'))
    end = at + len(b' t="s"') * short
    closing = data[end]
    valued = (words[end] == _VALUE_MARK) & (data[end + _WORD_BYTES] != ord("<"))
    clear = (valued | (closing == ord("/"))) & ~(short & (kind == ord("e")))
    unsure = np.flatnonzero(typed & ~clear)
    clear[unsure] = _begins_with(data, at[unsure], b' t="inlineStr"><is>') | _begins_with(
        data, at[unsure], b' t="str"'
    )
    # A cell with other attributes may have a type among them.
    closed = (closing == ord(">")) | (closing == ord("/"))
    return closed & (~typed | (short & (kind == ord("n")))), clear


def _begins_with(data: _Bytes, at: _Ints, text: bytes) -> _Flags:
    """Return at which of the offsets ``text`` stands."""
    equal = np.ones(len(at), np.bool_)
    for offset, character in enumerate(text):
        equal &= data[at + offset] == character
    return equal
