"""What the address of a request asks for: a mostrador, a text to find, a place in a list."""

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
"""Characters of the longest text that is searched for."""


_MAX_POSITION: Final = 10**12
"""The largest place that any list has: a number above every id."""


def parse_counter_id(value: object, field: str = "mostrador") -> int:
    """The mostrador that ``value``, a whole number or its digits, names.

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
    """A place in the list that ``asked`` (the caller and what they asked) describes, opaque."""
    text = json.dumps([place, _position_checksum(place, asked)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_position(text: str, *asked: str | None) -> int:
    """The place that `write_position` wrote for the same ``asked``.

    Raises `BodyError` for one that was edited or is of another list.
    """
    try:
        place, _ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        # To the letter: base64 and JSON have more than one spelling of the same.
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
    """No secret: what a caller could forge is a place in a list that they may read anyway."""
    return hashlib.sha256(json.dumps([place, *asked]).encode()).hexdigest()[:16]
