"""Sessions of people: an identity token in a cookie, verified at every request."""

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
"""Cookie that holds the identity token."""

MAX_COOKIE_CHARACTERS: Final = 4_000
"""Length of the longest cookie value that every browser stores, allowing for its name."""

MAX_RETURN_PATH_CHARACTERS: Final = 600
"""Length of the longest return path."""

_READ_METHODS: Final = frozenset({"GET", "HEAD"})
_OWN_PATH_PATTERN: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class SessionAuthenticator:
    """Authenticate callers by bearer token or, failing that, by session cookie."""

    def __init__(self, tokens: TokenAuthenticator) -> None:
        self._tokens = tokens

    async def identify_caller(self, request: Request) -> Caller:
        """Return the caller. Raises `UnauthenticatedError`.

        Raises `ForbiddenError` for a request with the session cookie that would change something
        and does not come from our own origin: other sites' pages may send the cookie too (CSRF).
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
        caller = caller_of_claims(await self._tokens.verify_claims(token))
        request.state.signed_in = True
        return caller


def is_signed_in(request: Request) -> bool:
    """Return whether the caller was identified by a session, and so can sign out."""
    return bool(getattr(request.state, "signed_in", False))


def own_origin(request: Request) -> str:
    """Return our origin as the browser sees it: scheme, host and port."""
    return f"{request.url.scheme}://{request.url.netloc}".lower()


def safe_return_path(text: str, otherwise: str = "/") -> str:
    """Return ``text`` if it is a path on this site, with its query; otherwise ``otherwise``.

    That prevents open redirects, and paths too long for a cookie.
    """
    return (
        text
        if len(text) <= MAX_RETURN_PATH_CHARACTERS and _OWN_PATH_PATTERN.fullmatch(text)
        else otherwise
    )


def sign_in_path(request: Request, back: str) -> str:
    """Return the path that signs in and then returns to ``back``, a path on this site."""
    # A query may be too long for a cookie: return to the page without it then.
    back = safe_return_path(back, safe_return_path(back.partition("?")[0]))
    return f"{prefixed_path(request, '/entrar')}?{urlencode({'volver': back})}"


def return_path(request: Request) -> str:
    """Return the path that signs in and then returns to the page that sent ``request``."""
    return sign_in_path(
        request, request.headers.get("referer", "").removeprefix(own_origin(request))
    )


def check_secure_channel(request: Request) -> None:
    """Raise `ForbiddenError` if the session would travel over plain http to another machine."""
    if request.url.scheme != "https" and not is_loopback(request.url.hostname or ""):
        raise ForbiddenError(
            "Para entrar hace falta https.",
            hint="Abra la dirección que empieza por https://. "
            "Si delante hay un servidor que la atiende, "
            "ponga su dirección en FORWARDED_ALLOW_IPS.",
        )


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: int | None = None
) -> None:
    """Set an HttpOnly cookie, for ``seconds`` or until the browser is closed.

    It is SameSite=Lax and not Strict, because the redirect from the issuer is a cross-site request
    that needs it.
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
    """Delete a cookie."""
    secure = request.url.scheme == "https"
    response.delete_cookie(
        _cookie_name(request, name), path="/", secure=secure, httponly=True, samesite="lax"
    )


def read_cookie(request: Request, name: str) -> str:
    """Return the value of a cookie, empty where the browser has none."""
    return request.cookies.get(_cookie_name(request, name), "")


def _cookie_name(request: Request, name: str) -> str:
    """Return the name with the __Host- prefix over https, which only this host can set."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def _is_own_page(request: Request) -> bool:
    return [origin.lower() for origin in request.headers.getlist("origin")] == [own_origin(request)]
