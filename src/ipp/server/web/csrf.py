"""CSRF tokens: reject forms that were not rendered by our own pages."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData

from ipp.server.api.problem_response import ForbiddenError
from ipp.server.web import session

CSRF_COOKIE: Final = "ipp_formulario"
"""Cookie that holds the browser's CSRF token."""

CSRF_FIELD: Final = "sello"
"""Field of a form, and of htmx's requests, that repeats the token."""


async def _read_form(request: Request) -> FormData:
    return await request.form()


FormDep = Annotated[FormData, Depends(_read_form)]
"""Fields of a form, read before the route takes a thread of the pool."""


def csrf_token(request: Request) -> str:
    """Return the browser's CSRF token; generate one where it has none."""
    token = session.read_cookie(request, CSRF_COOKIE)
    if len(token) < 20:
        token = getattr(request.state, "csrf_token", "") or secrets.token_urlsafe(24)
        request.state.csrf_token = token
    return token


def set_csrf_cookie(request: Request, response: Response) -> None:
    """Send the browser its token if `csrf_token` has just generated it.

    Scripts cannot read the cookie, and other sites cannot make a form send it.
    """
    token = getattr(request.state, "csrf_token", "")
    if token:
        session.set_cookie(request, response, CSRF_COOKIE, token)


def check_csrf_token(request: Request, given: object) -> None:
    """Raise `ForbiddenError` if a form does not repeat its browser's token (CSRF)."""
    expected = session.read_cookie(request, CSRF_COOKIE)
    if (
        not expected
        or not isinstance(given, str)
        or not secrets.compare_digest(expected.encode(), given.encode())
    ):
        raise ForbiddenError(
            "El formulario no es de esta sesión.",
            hint="Abra la página otra vez y repita; no se cambió nada.",
        )
