"""Forms that only our own pages can send."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData

from ipp.server.api.problem_response import ForbiddenError
from ipp.server.web import session

CSRF_COOKIE: Final = "ipp_formulario"
"""Holds the value that every form of the same browser repeats."""

CSRF_FIELD: Final = "sello"
"""The field of a form, and of htmx's requests, that repeats it."""


async def _read_form(request: Request) -> FormData:
    return await request.form()


FormDep = Annotated[FormData, Depends(_read_form)]
"""The fields of a form, read before a thread is taken for what they ask."""


def csrf_token(request: Request) -> str:
    """The browser's value; a new one where it has none."""
    given = session.read_cookie(request, CSRF_COOKIE)
    if len(given) < 20:
        given = getattr(request.state, "seal", "") or secrets.token_urlsafe(24)
        request.state.seal = given
    return given


def set_csrf_cookie(request: Request, response: Response) -> None:
    """Give the browser its value, where it has none: no script can read it, no other site can send it along."""
    made = getattr(request.state, "seal", "")
    if made:
        session.set_cookie(request, response, CSRF_COOKIE, made)


def check_csrf_token(request: Request, given: object) -> None:
    """Raise `ForbiddenError` where a form does not repeat its browser's value: another site's page sent it."""
    kept = session.read_cookie(request, CSRF_COOKIE)
    if (
        not kept
        or not isinstance(given, str)
        or not secrets.compare_digest(kept.encode(), given.encode())
    ):
        raise ForbiddenError(
            "El formulario no es de esta sesión.",
            hint="Abra la página otra vez y repita; no se cambió nada.",
        )
