"""Query parameters: those that a route knows, counter ids and search text."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path

from ipp.errors import InvalidInputError
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.server.api.dependencies import CallerDep
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


async def reject_unknown_parameters(request: Request, _caller: CallerDep) -> None:
    """Raise `BodyError` naming the query parameters that the request's route does not have.

    A misspelt one would otherwise change the answer in silence. Who calls is checked first.
    """
    if not request.query_params:
        return
    known = {
        field.alias
        for field in get_flat_params(request.scope["route"].dependant)
        if not isinstance(field.field_info, (Path, Header, Cookie))
    }
    unknown = [name for name in dict.fromkeys(request.query_params.keys()) if name not in known]
    if unknown:
        raise BodyError([(name, "no se conoce este parámetro") for name in unknown])
