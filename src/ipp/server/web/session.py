"""The session of a person who signed in: their token, which their browser keeps, checked at every request."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from fastapi import Request, Response

from ipp.jobs.job_service import Caller
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.claims import caller_of_claims
from ipp.server.api.dependencies import prefixed_path
from ipp.server.api.jwks import is_loopback
from ipp.server.api.problem_response import ForbiddenError, UnauthenticatedError

SESSION_COOKIE: Final = "ipp_sesion"
"""The cookie that holds the token."""

MAX_COOKIE_CHARACTERS: Final = 4_000
"""Characters of the longest value that a browser surely keeps, together with its name."""

MAX_RETURN_PATH_CHARACTERS: Final = 600
"""Characters of the longest way back."""

_READ_METHODS: Final = frozenset({"GET", "HEAD"})
_OWN_PATH_PATTERN: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class SessionAuthenticator:
    """Callers by the bearer token that their request carries, or else by the one that their browser keeps."""

    def __init__(self, tokens: TokenAuthenticator) -> None:
        self._tokens = tokens

    async def identify_caller(self, request: Request) -> Caller:
        """Who is calling. Raises `UnauthenticatedError`.

        Raises `ForbiddenError` for a request that would change something and that a page of another origin, which the
        browser sends the cookie along for as well, may have made.
        """
        if "authorization" in request.headers:
            return await self._tokens.identify_caller(request)
        token = read_cookie(request, SESSION_COOKIE)
        if not token:
            raise UnauthenticatedError(
                "Falta identificarse.",
                hint="Entre en la página, o mande su token: Authorization: Bearer …",
            )
        if request.method not in _READ_METHODS and not _is_own_page(request):
            raise ForbiddenError(
                "La petición viene de una página que no es la de IPP.",
                hint=f"Abra {own_origin(request)}.",
            )
        found = caller_of_claims(await self._tokens.verify_claims(token))
        request.state.signed_in = True
        return found


def is_signed_in(request: Request) -> bool:
    """Whether the caller is known by their session, and so may end it."""
    return bool(getattr(request.state, "signed_in", False))


def own_origin(request: Request) -> str:
    """Where the browser that asks finds us: scheme, host and port."""
    return f"{request.url.scheme}://{request.url.netloc}".lower()


def safe_return_path(text: str, otherwise: str = "/") -> str:
    """A path of ours with its query, ``otherwise`` for what could lead a browser elsewhere or is too long to keep."""
    return (
        text
        if len(text) <= MAX_RETURN_PATH_CHARACTERS and _OWN_PATH_PATTERN.fullmatch(text)
        else otherwise
    )


def sign_in_path(request: Request, back: str) -> str:
    """Where to sign in, and from there back to ``back``, a path of ours with its query."""
    # A list in an address may be longer than a browser keeps; its page is still found.
    back = safe_return_path(back, safe_return_path(back.partition("?")[0]))
    return f"{prefixed_path(request, '/entrar')}?{urlencode({'volver': back})}"


def return_path(request: Request) -> str:
    """Where to sign in, and from there back to the page of ours that sent ``request``."""
    return sign_in_path(
        request, request.headers.get("referer", "").removeprefix(own_origin(request))
    )


def check_secure_channel(request: Request) -> None:
    """Raise `ForbiddenError` where a session could be read on the way: over plain http, but for this machine."""
    if request.url.scheme != "https" and not is_loopback(request.url.hostname or ""):
        raise ForbiddenError(
            "Para entrar hace falta https.",
            hint="Abra la dirección que empieza por https://. Si delante hay un servidor que la atiende, "
            "ponga su dirección en FORWARDED_ALLOW_IPS.",
        )


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: int | None = None
) -> None:
    """Have the browser keep ``value``, for ``seconds`` or until it is closed, out of the reach of scripts.

    Not "strict": the way back from the issuer is one from another site, and has to find it.
    """
    secure = request.url.scheme == "https"
    response.set_cookie(
        _cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Have the browser forget a value."""
    secure = request.url.scheme == "https"
    response.delete_cookie(
        _cookie_name(request, name), path="/", secure=secure, httponly=True, samesite="lax"
    )


def read_cookie(request: Request, name: str) -> str:
    """The value that the browser keeps, empty where it keeps none."""
    return request.cookies.get(_cookie_name(request, name), "")


def _cookie_name(request: Request, name: str) -> str:
    """The name as browsers know it: with the prefix that lets nobody but us, over https, set it."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def _is_own_page(request: Request) -> bool:
    return [given.lower() for given in request.headers.getlist("origin")] == [own_origin(request)]
