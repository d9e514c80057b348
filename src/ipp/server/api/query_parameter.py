"""Query parameters: those that a route knows, counter ids and search text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from ipp.errors import InvalidInputError
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.server.api.dependencies import get_caller
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


class StrictRoute(APIRoute):
    """A route that refuses query parameters which it does not have.

    A misspelt one would otherwise change the answer in silence. It is no dependency, because each
    costs time in every request, and few requests have parameters.
    """

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI request; who calls is checked before what is asked."""
        if scope["query_string"] and scope["method"] in (self.methods or ()):
            request = Request(scope)
            known = {
                field.alias
                for field in get_flat_params(self.dependant)
                if not isinstance(field.field_info, (Path, Header, Cookie))
            }
            unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
            if unknown:
                await get_caller(request)
                raise unknown_parameters_error(unknown, known)
        await super().handle(scope, receive, send)


def unknown_parameters_error(unknown: Sequence[str], known: Collection[str]) -> BodyError:
    """Return the error that names the ``unknown`` parameters, and those that there are."""
    have = f"esta dirección tiene {', '.join(sorted(known))}" if known else "aquí no hay ninguno"
    return BodyError([(name, f"no se conoce este parámetro; {have}") for name in unknown])
