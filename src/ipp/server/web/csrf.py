"""CSRF tokens: reject forms that were not rendered by our own pages."""

from __future__ import annotations

import base64
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

MIN_TOKEN_CHARACTERS: Final = 20
"""Shortest value of the cookie that is accepted as a token."""


async def _read_form(request: Request) -> FormData:
    return await request.form()


FormDep = Annotated[FormData, Depends(_read_form)]
"""Fields of a form, read before the route takes a thread of the pool."""


def csrf_token(request: Request) -> str:
    """Return the browser's CSRF token for a form; generate one where the browser has none.

    It is masked, each request with a mask of its own. Pages are compressed and repeat what is
    searched for: by the lengths of many answers, somebody who listens and makes a browser search
    could guess a token that is always the same (BREACH).
    """
    masked: str = getattr(request.state, "masked_csrf_token", "")
    if not masked:
        token = session.read_cookie(request, CSRF_COOKIE)
        if len(token) < MIN_TOKEN_CHARACTERS:
            token = request.state.csrf_token = secrets.token_urlsafe(24)
        masked = request.state.masked_csrf_token = _mask_token(token)
    return masked


def _mask_token(token: str) -> str:
    """Return a random mask and, masked with it, the token."""
    text = token.encode()
    mask = secrets.token_bytes(len(text))
    return base64.urlsafe_b64encode(mask + _exclusive_or(mask, text)).decode()


def _unmask_token(masked: str) -> bytes:
    """Return the token that `_mask_token` masked; of any other text, some bytes."""
    try:
        text = base64.urlsafe_b64decode(masked)
    except ValueError:
        return b""
    half = len(text) // 2
    return _exclusive_or(text[:half], text[half:])


def _exclusive_or(mask: bytes, text: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(mask, text, strict=False))


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
    # A page of the version before, still open, repeats the token itself.
    repeats = isinstance(given, str) and any(
        secrets.compare_digest(expected.encode(), each)
        for each in (_unmask_token(given), given.encode())
    )
    if not expected or not repeats:
        raise ForbiddenError(
            "El formulario no es de esta sesión.",
            hint="Abra la página otra vez y repita; no se cambió nada.",
        )
