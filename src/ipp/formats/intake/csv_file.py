"""Read delimited text: detect its encoding, separator and quoting."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.errors import UnreadableFileError, shorten
from ipp.formats.intake.code_page import WINDOWS, ForeignWord, find_foreign_word
from ipp.formats.intake.raw_cell import (
    EXCESS_COLUMN,
    HEADING_SEARCH_ROWS,
    ROW_COLUMN,
    ExpectedColumns,
    RawCells,
    cell_column,
    empty_file_error,
)
from ipp.formats.intake.sheet_marks import describe_unnamed

_CHUNK_BYTES: Final = 1 << 22
"""Bytes or characters of a text that are processed at a time."""

_SEPARATOR_LINE_PATTERN: Final = re.compile(r"sep=(.)", re.IGNORECASE)
"""A first line that tells Excel the separator; Excel does not show it."""

_SECOND_EXCESS: Final = "#sobrante:2"
"""The cell after the first that has no heading above it: it may be filled where that is empty."""

_DECODED: Final = (b"", 0)
"""State of a decoder that waits for no more bytes of a character."""

_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_QUOTE_BYTE: Final = ord('"')


def read_csv(file: Path, scratch: Path, expected: ExpectedColumns) -> RawCells:
    """Read a text, taking its first non-empty line as the heading."""
    source, survey = _normalise_text(file, scratch / "texto.csv")
    separator, hidden = _detect_separator(file, source)
    quoted = survey.quotes and _has_quoted_cells(file, source, separator, hidden)
    headings, row, lines = _read_heading(
        file, source, _TextLayout(separator, hidden, quoted), expected
    )
    if len(headings) == 1 and "|" in headings[0]:
        raise _unread_separator_error(file)
    cells = [cell_column(position) for position in range(len(headings))]
    names = [*cells, EXCESS_COLUMN, _SECOND_EXCESS]
    frame = pl.scan_csv(
        source, separator=separator, quote_char='"' if quoted else None, has_header=False,
        skip_lines=lines, schema=dict.fromkeys(names, pl.String()), missing_columns="insert",
        extra_columns="ignore", raise_if_empty=False, glob=False, row_index_name=ROW_COLUMN,
        row_index_offset=row + 1,
    )  # fmt: skip
    # A separator too many at the end of a row, with or without spaces behind it, loses nothing.
    excess = (pl.col(name) for name in (EXCESS_COLUMN, _SECOND_EXCESS))
    filled = pl.coalesce(pl.when(cell.str.strip_chars() != "").then(cell) for cell in excess)
    frame = frame.select(ROW_COLUMN, *cells, filled.alias(EXCESS_COLUMN))
    # Commas that only separate cells are not inside any number.
    commas_in_cells = survey.commas and (quoted or separator != ",")
    unnamed = describe_unnamed(_find_unnamed(headings, frame))
    return RawCells(
        headings,
        frame,
        unmarked=not survey.points and not commas_in_cells,
        notices=(unnamed,) if unnamed else (),
    )


def _find_unnamed(headings: Sequence[str], frame: pl.LazyFrame) -> list[int]:
    """Return the columns that have values and no heading."""
    blank = [place for place, heading in enumerate(headings) if not heading.strip()]
    if not blank:
        return []
    filled = frame.select(
        (pl.col(cell_column(place)).str.strip_chars() != "").any() for place in blank
    ).collect(engine="streaming")
    return [place for place in blank if filled[cell_column(place)].item()]


@dataclass(frozen=True, slots=True)
class _TextLayout:
    """The layout of a text: its separator, lines to skip at its start, and whether it is quoted."""

    separator: str
    hidden: int
    quoted: bool


@dataclass(slots=True)
class _ByteSurvey:
    """Facts about the bytes of a text, gathered in one pass over all of them."""

    utf8: bool = True
    nul: bool = False
    feeds: bool = False
    returns: bool = False
    quotes: bool = False
    points: bool = False
    commas: bool = False


def _survey_bytes(file: Path) -> _ByteSurvey:
    survey = _ByteSurvey()
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            survey.nul = survey.nul or b"\0" in chunk
            survey.feeds = survey.feeds or b"\n" in chunk
            survey.returns = survey.returns or b"\r" in chunk
            survey.quotes = survey.quotes or b'"' in chunk
            survey.points = survey.points or b"." in chunk
            survey.commas = survey.commas or b"," in chunk
            # Looking for a byte above 127 costs a tenth of decoding; after it a character is open.
            if not (chunk.isascii() and decoder.getstate() == _DECODED):
                survey.utf8 = survey.utf8 and _can_decode(decoder, chunk)
    survey.utf8 = survey.utf8 and _can_decode(decoder, b"", final=True)
    return survey


def _can_decode(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _normalise_text(file: Path, target: Path) -> tuple[Path, _ByteSurvey]:
    """Return ``file``, or a copy of it in UTF-8 with line feeds, and the survey of its bytes."""
    with file.open("rb") as stream:
        start = stream.read(2)
    if start in _UTF16_MARKS:
        source = _rewrite_text(file, target, "utf-16")
        return source, _survey_bytes(source)
    survey = _survey_bytes(file)
    if survey.nul:
        raise _not_text_error(file)
    lone_returns = survey.returns and not survey.feeds
    if survey.utf8 and not lone_returns:
        return file, survey
    if not survey.utf8 and (word := find_foreign_word(file)):
        raise _foreign_text_error(file, word)
    encoding = "utf-8" if survey.utf8 else WINDOWS
    return _rewrite_text(file, target, encoding, newline=None if lone_returns else ""), survey


def _rewrite_text(file: Path, target: Path, encoding: str, newline: str | None = "") -> Path:
    """Rewrite a text in UTF-8, one chunk at a time so that memory stays bounded.

    With None for ``newline`` its lines end in line feeds.
    """
    try:
        with (
            file.open(encoding=encoding, newline=newline) as old,
            target.open("w", encoding="utf-8", newline="") as new,
        ):
            while chunk := old.read(_CHUNK_BYTES):
                if "\0" in chunk:
                    raise _not_text_error(file)
                new.write(chunk)
    except UnicodeError as error:
        raise _not_text_error(file) from error
    return target


def _not_text_error(file: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.name} no es un texto que se pueda leer.",
        hint="Guárdelo desde Excel como CSV UTF-8 o como .xlsx.",
    )


def _unread_separator_error(file: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.name} separa sus celdas con «|», que no se lee.",
        hint="Guárdelo con comas, punto y coma o tabuladores, o como .xlsx.",
    )


def _foreign_text_error(file: Path, word: ForeignWord) -> UnreadableFileError:
    return UnreadableFileError(
        f"No se puede leer {file.name} sin equivocar letras: en la línea {word.line:,}, "
        f"«{shorten(word.read)}» parece «{shorten(word.meant)}» en la codificación {word.coding}.",
        hint="Guárdelo desde Excel como «CSV UTF-8» o como .xlsx.",
    )


def _detect_separator(file: Path, source: Path) -> tuple[str, int]:
    """Return the separator and how many lines before the headings only name it (0 or 1)."""
    with source.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline()
        if named := _SEPARATOR_LINE_PATTERN.fullmatch(first.rstrip("\r\n")):
            return named[1], 1
        while first and not first.strip():
            first = stream.readline()
    if not first:
        raise empty_file_error(file)
    return max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), []))), 0


def _read_heading(
    file: Path, source: Path, form: _TextLayout, expected: ExpectedColumns
) -> tuple[tuple[str, ...], int, int]:
    """Return the headings, their row number from 1, and the line of the file where they end."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE
    with source.open(encoding="utf-8-sig", newline="") as stream:
        for _ in range(form.hidden):
            stream.readline()
        records = csv.reader(stream, delimiter=form.separator, quoting=quoting)
        for row, record in enumerate(records, start=1):
            if any(heading.strip() for heading in record):
                lines = records.line_num + form.hidden
                below = enumerate(islice(records, HEADING_SEARCH_ROWS), start=row + 1)
                expected.check_place(file, [(row, record), *below])
                return tuple(record), row, lines
    raise empty_file_error(file)


def _has_quoted_cells(file: Path, source: Path, separator: str, hidden: int) -> bool:
    """Return whether a cell begins with a quote; where none does, quotes are plain inch marks.

    Where some do, every quote must have its pair. Raises `UnreadableFileError` with the row of the
    first that has none, because the ends of the rows after it are unknown.
    """
    edges = np.zeros(256, bool)
    edges[[ord(separator), *b"\r\n"]] = True
    begins, stray, opening, seen = False, -1, -1, 0
    # Quotes open and close by turns. An opening one needs a separator or line end before it, a
    # closing one needs it after; a neighbouring quote also fits, as in "3"" NARIZ". In A,"B"C the
    # quote at 2 opens and fits, the one at 4 closes before C and does not, so the stray is 2.
    for places, before, after in _find_quotes(source):
        begins = begins or bool(edges[before].any())
        opens = (np.arange(len(places)) + seen) % 2 == 0
        beside = np.where(opens, before, after)
        fits = edges[beside] | (beside == _QUOTE_BYTE)
        # For each quote, the last opening one up to it: places 2, 4, 9, 12 give 2, 2, 9, 9.
        openings = np.maximum.accumulate(np.where(opens, places, opening))
        if stray < 0 and not fits.all():
            stray = int(openings[fits.argmin()])
        opening, seen = int(openings[-1]), seen + len(places)
    if not begins:
        return False
    if stray < 0 and seen % 2:
        stray = opening
    if stray >= 0:
        row = _row_number(source, stray) - hidden
        raise UnreadableFileError(
            f"No se puede leer {file.name}: en la fila {row} hay una comilla sin pareja.",
            hint="Quítela, o escriba la celda entre comillas y cada comilla de dentro dos veces: "
            '"TUBO 3"" NARIZ".',
        )
    return True


_ByteArray = npt.NDArray[np.uint8]


def _find_quotes(source: Path) -> Iterator[tuple[npt.NDArray[np.int64], _ByteArray, _ByteArray]]:
    """Yield, chunk by chunk, the offsets of its quotes and the bytes before and after each."""
    with source.open("rb") as stream:
        bom = stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
        offset = stream.seek(len(codecs.BOM_UTF8) if bom else 0) - 1
        # Every byte of the buffer but its first and last is searched, because a quote needs both
        # neighbours. The last two bytes are carried over: the first of them has been searched and
        # is now only the neighbour of the second. Line feeds stand in beyond both ends of the text.
        buffer = b"\n"
        while chunk := stream.read(_CHUNK_BYTES):
            buffer += chunk
            yield from _find_quotes_in(buffer, offset)
            offset += len(buffer) - 2
            buffer = buffer[-2:]
        yield from _find_quotes_in(buffer + b"\n", offset)


def _find_quotes_in(
    buffer: bytes, offset: int
) -> Iterator[tuple[npt.NDArray[np.int64], _ByteArray, _ByteArray]]:
    data = np.frombuffer(buffer, np.uint8)
    places = np.flatnonzero(data[1:-1] == _QUOTE_BYTE) + 1
    if len(places):
        yield places + offset, data[places - 1], data[places + 1]


def _row_number(source: Path, place: int) -> int:
    """Return the number of the row, from 1, that the byte at ``place`` belongs to.

    A line end within quotes does not end a row.
    """
    row, outside = 1, True
    with source.open("rb") as stream:
        while chunk := stream.read(min(_CHUNK_BYTES, place)):
            place -= len(chunk)
            for number, part in enumerate(chunk.split(b'"')):
                outside ^= number > 0
                row += part.count(b"\n") * outside
    return row
