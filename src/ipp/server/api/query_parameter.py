"""Query parameters: counter ids and search text."""

from __future__ import annotations

from typing import Final

from ipp.errors import InvalidInputError
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.server.api.problem_response import BodyError

MAX_SEARCH_CHARACTERS: Final = 200
"""Longest search text."""


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
