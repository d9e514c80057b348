"""Query parameters: counter ids, search text, pagination cursors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Final

from ipp.errors import InvalidInputError
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.server.api.problem_response import BodyError

MAX_SEARCH_CHARACTERS: Final = 200
"""Longest search text."""


_MAX_POSITION: Final = 10**12
"""Largest position in any list; every id is below it."""


def parse_counter_id(value: object, field: str = "mostrador") -> int:
    """Return the counter number in ``value``, an integer or its digits.

    Raises `BodyError` naming ``field`` for anything else.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise InvalidInputError("no es un identificador")
        (number,) = parse_counter_ids([value])
    except InvalidInputError:
        raise BodyError([(field, "no es un número de mostrador, de 1 a 10 dígitos")]) from None
    return number


def write_position(place: int, *asked: str | None) -> str:
    """Return an opaque cursor to ``place`` in the list of ``asked`` (caller and query)."""
    text = json.dumps([place, _position_checksum(place, asked)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_position(text: str, *asked: str | None) -> int:
    """Return the place that `write_position` wrote for the same ``asked``.

    Raises `BodyError` for a cursor that was edited or belongs to another list.
    """
    try:
        place, _ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        # Compare the exact text, because base64 and JSON can spell the same value in several ways.
        if (
            type(place) is not int
            or not 0 <= place <= _MAX_POSITION
            or text != write_position(place, *asked)
        ):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BodyError(
            [("cursor", "no es uno que se haya dado para esta lista: empiécela otra vez")]
        ) from None
    return place


def _position_checksum(place: int, asked: Sequence[str | None]) -> str:
    """Return a checksum; unkeyed, as a forged cursor only reaches rows the caller may read."""
    return hashlib.sha256(json.dumps([place, *asked]).encode()).hexdigest()[:16]
