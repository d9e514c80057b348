"""Judge whether a text that is not UTF-8 is in Windows's code page, or in that of DOS or of a Mac.

Every byte is a letter in each of them, so a wrong guess garbles names without an error: ÁCIDO in
DOS reads as µCIDO in Windows. The words themselves tell: Spanish has few letters beyond ASCII, and
signs such as ¢ do not stand inside a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

WINDOWS: Final = "cp1252"
_OTHER_CODINGS: Final = {"cp850": "de DOS", "mac_roman": "de Mac"}
_NAMES: Final = {**_OTHER_CODINGS, "utf-8": "UTF-8"}
"""The encodings that a text may be in instead, and their names for people."""

_CHUNK_BYTES: Final = 1 << 22
_MAX_LINE_BYTES: Final = 1 << 22
_MAX_CONTEXTS: Final = 100_000
"""Different contexts that are judged; they tell what a text is in."""

_WINDOW_BYTES: Final = 8
_BEFORE_BYTES: Final = 3
"""Bytes of a context, as one number, and those of them that stand before its byte."""

_MAX_WORD_BYTES: Final = 40
_WORD_START: Final = re.compile(rb"[A-Za-z\x80-\xff]*\Z")
_WORD_END: Final = re.compile(rb"[A-Za-z\x80-\xff]*")
_SPANISH: Final = frozenset("áéíóúüñÁÉÍÓÚÜÑ")
_BESIDE_LETTERS: Final = frozenset("\u00a0’‘–—®™°ºª·´`…•²³¹½¼¾")
"""Signs that may stand between two letters: L’Oréal, and a no-break space."""

_AFTER_LETTERS: Final = frozenset("‚¢£¤")
"""Signs that do not end a word, and that in DOS are é, ó, ú and ñ."""

_WINDOWS_WORD: Final = re.compile("µ(?:[A-Za-z]{1,2}|mol|moles)|[A-Za-z]’.+|.+’[sS]|‘.+’")
"""Words with a sign that only Windows's code page gives: µg, d’aceite, Johnson’s, ‘x’."""


@dataclass(slots=True)
class _Context:
    """A byte beyond ASCII in its word: the word, its place there, where it is, and how often."""

    word: bytes
    place: int
    offset: int
    count: int = 0


@dataclass(frozen=True, slots=True)
class ForeignWord:
    """A word that is not of Windows's code page: its line, how it reads there, and how in another.

    ``coding`` is the other's name for people.
    """

    line: int
    read: str
    meant: str
    coding: str


def find_foreign_word(file: Path) -> ForeignWord | None:
    """Return the first word that shows that a text is not in Windows's code page.

    It is one that is certainly no word there, or, where the words of the whole text read better in
    another encoding, one of those. None where the text is in Windows's code page.
    """
    contexts = _find_contexts(file)
    for context in contexts:
        if _is_impossible(context.word) and (
            found := _describe_word(file, context, _best_coding(context))
        ):
            return found
    scores = {
        coding: sum(context.count * _score(context, coding) for context in contexts)
        for coding in (WINDOWS, *_OTHER_CODINGS)
    }
    best = max(scores, key=lambda coding: scores[coding])
    if best == WINDOWS:
        return None
    return _describe_word(
        file, max(contexts, key=lambda c: _score(c, best) - _score(c, WINDOWS)), best
    )


def _find_contexts(file: Path) -> list[_Context]:
    """Return the contexts of the bytes beyond ASCII, each with its first place, in file order.

    A context is the byte with the three before it and the four after it: 1.5 million accented
    letters of a text of 60 MB have some dozens.
    """
    found: dict[int, _Context] = {}
    for start, text in _read_pieces(file):
        padded = b"\n" * _BEFORE_BYTES + text + b"\n" * _WINDOW_BYTES
        data = np.frombuffer(padded, np.uint8)
        windows = np.ndarray(len(text), "<u8", padded, strides=(1,))
        places = np.flatnonzero(data >= 0x80) - _BEFORE_BYTES
        keys, firsts, counts = np.unique(windows[places], return_index=True, return_counts=True)
        for first, key, count in sorted(
            zip(places[firsts].tolist(), keys.tolist(), counts.tolist(), strict=True)
        ):
            if key not in found and len(found) < _MAX_CONTEXTS:
                found[key] = _cut_word(text, first, start)
            if key in found:
                found[key].count += count
    return [*found.values()]


def _cut_word(text: bytes, at: int, start: int) -> _Context:
    """Return the word around a byte of a piece that begins at ``start``."""
    head = _WORD_START.search(text[max(at - _MAX_WORD_BYTES, 0) : at])
    tail = _WORD_END.match(text[at : at + _MAX_WORD_BYTES])
    before, after = (match[0] if match else b"" for match in (head, tail))
    return _Context(before + after, len(before), start + at)


def _read_pieces(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a text that have bytes beyond ASCII, with their offsets.

    They end where a line ends, unless a line is longer than any that a person writes.
    """
    start, rest = 0, b""
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            text = rest + chunk
            cut = text.rfind(b"\n") + 1
            if cut == 0 and len(text) > _MAX_LINE_BYTES:
                cut = len(text)
            piece, rest = text[:cut], text[cut:]
            if not piece.isascii():
                yield start, piece
            start += cut
    if not rest.isascii():
        yield start, rest


def _is_impossible(word: bytes) -> bool:
    """Return whether a word cannot be one in Windows's code page, whatever the others are."""
    text = _decode(word, WINDOWS)
    if "\0" in text or _reads_as_utf8(word):
        return True
    return any(
        (sign in _AFTER_LETTERS and text[:place][-1:].isalpha())
        or (sign in "¡¥‡„†ƒ" and _is_inside(text, place))
        for place, sign in enumerate(text)
    )


def _reads_as_utf8(word: bytes) -> bool:
    """Return whether a word is letters in UTF-8: SoluciÃ³n in Windows's code page."""
    text = _decode(word, "utf-8")
    return "\0" not in text and all(sign in _SPANISH or sign.isascii() for sign in text)


def _best_coding(context: _Context) -> str:
    if _reads_as_utf8(context.word):
        return "utf-8"
    return max(_OTHER_CODINGS, key=lambda coding: _score(context, coding))


def _describe_word(file: Path, context: _Context, coding: str) -> ForeignWord | None:
    """Return a word as people are told of it; None where it reads well in no encoding."""
    if coding != "utf-8" and _score(context, coding) <= 0:
        return None
    return ForeignWord(
        _count_lines(file, context.offset),
        context.word.decode(WINDOWS, "replace"),
        _decode(context.word, coding),
        _NAMES[coding],
    )


def _count_lines(file: Path, offset: int) -> int:
    """Return the number, from 1, of the line of a byte."""
    line = 1
    with file.open("rb") as stream:
        while piece := stream.read(min(_CHUNK_BYTES, offset)):
            offset -= len(piece)
            line += piece.count(b"\n") or piece.count(b"\r")
    return line


def _score(context: _Context, coding: str) -> int:
    """Return 1 where Spanish writes such a letter in such a place, -1 where nobody does, else 0."""
    text = _decode(context.word, coding)
    if len(text) != len(context.word) or not any(sign.isascii() for sign in text):
        return 0
    if _WINDOWS_WORD.fullmatch(text):
        return 1
    return _judge_sign(text, context.place)


def _judge_sign(text: str, place: int) -> int:
    """Return 1 for a sign that Spanish writes there, -1 for one that nobody does, else 0."""
    sign = text[place]
    if not sign.isalpha() or sign in "µºª":
        return -1 if _is_inside(text, place) and sign not in _BESIDE_LETTERS else 0
    before, after = text[:place][-1:], text[place + 1 :][:1]
    if sign.isupper():
        fits = not before.islower()
    else:
        fits = not (before.isupper() and (after.isupper() or place > 1)) and not after.isupper()
    if sign in "ñÑüÜ" and not after.isalpha():
        return 0
    if sign in _SPANISH:
        # Old programs leave the accented letters small when they write in capitals: áCIDO FóLICO.
        return 1 if fits else -int(sign.isupper())
    return 0 if fits else -1


def _is_inside(text: str, place: int) -> bool:
    """Return whether there are letters on both sides."""
    return text[:place][-1:].isalpha() and text[place + 1 :][:1].isalpha()


def _decode(word: bytes, coding: str) -> str:
    """Return a word in another encoding, with NUL for what it does not have."""
    return word.decode(coding, "replace").replace("\ufffd", "\0")
