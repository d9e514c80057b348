"""Query parameters: counter ids and search text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

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


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise `BodyError` naming each query parameter that the request's route does not have."""
    if not request.query_params:
        return
    route = request.scope.get("route")
    known = set(_parameter_names(route.dependant)) if isinstance(route, APIRoute) else set()
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        raise BodyError([(name, "no es un parámetro de esta dirección") for name in unknown])


def _parameter_names(dependant: Dependant) -> Iterator[str]:
    """Yield the names of the query parameters that a route and its dependencies take."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (field.alias or name for name, field in model.model_fields.items())
        else:
            yield parameter.alias
    for inner in dependant.dependencies:
        yield from _parameter_names(inner)
