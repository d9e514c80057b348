"""The session of a person who signed in: their token, which their browser keeps, checked at every request."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from fastapi import Request, Response

from ipp.jobs.job_service import Caller
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.claims import caller_of
from ipp.server.api.dependencies import address
from ipp.server.api.jwks import is_loopback
from ipp.server.api.problem_response import ForbiddenError, UnauthenticatedError

SESSION: Final = "ipp_sesion"
"""The cookie that holds the token."""

LARGEST: Final = 4_000
"""Characters of the longest value that a browser surely keeps, together with its name."""

LONGEST_WAY: Final = 600
"""Characters of the longest way back."""

_READING: Final = frozenset({"GET", "HEAD"})
_OWN_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class Sessions:
    """Callers by the bearer token that their request carries, or else by the one that their browser keeps."""

    def __init__(self, tokens: TokenAuthenticator) -> None:
        self._tokens = tokens

    async def caller(self, request: Request) -> Caller:
        """Who is calling. Raises `UnauthenticatedError`.

        Raises `ForbiddenError` for a request that would change something and that a page of another origin, which the
        browser sends the cookie along for as well, may have made.
        """
        if "authorization" in request.headers:
            return await self._tokens.caller(request)
        token = kept(request, SESSION)
        if not token:
            raise UnauthenticatedError(
                "Falta identificarse.", hint="Entre en la página, o mande su token: Authorization: Bearer …"
            )
        if request.method not in _READING and not _of_own_page(request):
            raise ForbiddenError(
                "La petición viene de una página que no es la de IPP.", hint=f"Abra {origin(request)}."
            )
        found = caller_of(await self._tokens.claims(token))
        request.state.signed_in = True
        return found


def signed_in(request: Request) -> bool:
    """Whether the caller is known by their session, and so may end it."""
    return bool(getattr(request.state, "signed_in", False))


def origin(request: Request) -> str:
    """Where the browser that asks finds us: scheme, host and port."""
    return f"{request.url.scheme}://{request.url.netloc}".lower()


def own_path(text: str, otherwise: str = "/") -> str:
    """A path of ours with its query, ``otherwise`` for what could lead a browser elsewhere or is too long to keep."""
    return text if len(text) <= LONGEST_WAY and _OWN_PATH.fullmatch(text) else otherwise


def way_in(request: Request, back: str) -> str:
    """Where to sign in, and from there back to ``back``, a path of ours with its query."""
    # A list in an address may be longer than a browser keeps; its page is still found.
    back = own_path(back, own_path(back.partition("?")[0]))
    return f"{address(request, '/entrar')}?{urlencode({'volver': back})}"


def way_back(request: Request) -> str:
    """Where to sign in, and from there back to the page of ours that sent ``request``."""
    return way_in(request, request.headers.get("referer", "").removeprefix(origin(request)))


def check_channel(request: Request) -> None:
    """Raise `ForbiddenError` where a session could be read on the way: over plain http, but for this machine."""
    if request.url.scheme != "https" and not is_loopback(request.url.hostname or ""):
        raise ForbiddenError(
            "Para entrar hace falta https.",
            hint="Abra la dirección que empieza por https://. Si delante hay un servidor que la atiende, "
            "ponga su dirección en FORWARDED_ALLOW_IPS.",
        )


def keep(request: Request, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Have the browser keep ``value``, for ``seconds`` or until it is closed, out of the reach of scripts.

    Not "strict": the way back from the issuer is one from another site, and has to find it.
    """
    secure = request.url.scheme == "https"
    response.set_cookie(
        _named(request, name), value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax"
    )


def forget(request: Request, response: Response, name: str) -> None:
    """Have the browser forget a value."""
    secure = request.url.scheme == "https"
    response.delete_cookie(_named(request, name), path="/", secure=secure, httponly=True, samesite="lax")


def kept(request: Request, name: str) -> str:
    """The value that the browser keeps, empty where it keeps none."""
    return request.cookies.get(_named(request, name), "")


def _named(request: Request, name: str) -> str:
    """The name as browsers know it: with the prefix that lets nobody but us, over https, set it."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def _of_own_page(request: Request) -> bool:
    return [given.lower() for given in request.headers.getlist("origin")] == [origin(request)]
