"""Entrada: signing in at the issuer, and out again."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from ipp.errors import IppError, UnavailableError
from ipp.server.api import problem_response
from ipp.server.api.dependencies import address
from ipp.server.api.problem_response import UnauthenticatedError
from ipp.server.web.csrf import COOKIE, check_seal
from ipp.server.web.oidc import Attempt, Issuer
from ipp.server.web.page import PageRoute, page
from ipp.server.web.session import SESSION, check_channel, forget, keep, kept, origin, way_in

_LOG: Final = logging.getLogger("ipp.server.web.sign_in")

_CODE: Final = re.compile(r"[a-z_]{1,40}")
"""An error of OAuth."""

ATTEMPT: Final = "ipp_entrada_"
"""Begins the cookie of each attempt: whoever comes back to several tabs signs in once in each."""

_NAME: Final = re.compile(rf"(?:__Host-)?({ATTEMPT}[\w-]{{8}})", re.ASCII)

PATIENCE: Final = 600
"""Seconds that a person may take at the issuer."""

ROOM: Final = 3_500
"""Characters of the attempts of one browser that wait for an answer: a proxy takes 8 KB of cookies, half of them the
session's."""


def routes(issuer: Issuer) -> APIRouter:
    """The pages by which people come in through ``issuer`` and leave."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)

    @router.get("/entrar")
    def begin(request: Request, volver: str = "/") -> Response:
        """Send a person to the issuer; they come back to ``volver``, a path of ours."""
        return _begun(issuer, request, Attempt.begun(volver))

    @router.get("/entrada")
    async def arrive(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        """Take the issuer's answer to an attempt of this browser, once."""
        attempt = _attempt(request, state)
        if attempt is None:
            unknown = UnauthenticatedError(
                "Esta entrada no se empezó aquí, o ya se usó.", hint="Entre otra vez, con las cookies permitidas."
            )
            return _failed(request, unknown, "/")
        response = await _arrived(issuer, request, attempt, code, error)
        forget(request, response, _name(attempt.state))
        return response

    @router.post("/salir")
    async def leave(request: Request, sello: Annotated[str, Form()] = "") -> Response:
        """End the session here and, where the issuer has a place for it, there."""
        check_seal(request, sello)
        try:
            there = await run_in_threadpool(issuer.sign_out, f"{origin(request)}{address(request, '/salir')}")
        except UnavailableError:  # ours ends whatever becomes of the issuer's
            there = ""
        response = _left(request, there)
        for name in (SESSION, COOKIE):
            forget(request, response, name)
        return response

    @router.get("/salir")
    def left(request: Request) -> Response:
        """Where one is after leaving."""
        return RedirectResponse(address(request, "/"), status_code=303) if kept(request, SESSION) else _left(request)

    return router


def _begun(issuer: Issuer, request: Request, attempt: Attempt) -> Response:
    """The way to the issuer, and what the browser has to remember of it."""
    try:
        check_channel(request)
        there = issuer.sign_in(attempt, _answer(request))
    except IppError as error:
        return _failed(request, error, attempt.back)
    # By a page and not by a redirection: browsers that hold a form to our own pages (form-action) hold what redirects
    # it to them as well, and a form may have led here.
    response = _shown(request, "ent_entrar", there=there, onward=True)
    written, waiting = attempt.written(), _waiting(request)
    taken = sum(len(name) + len(value) for name, value in waiting.items())
    for name in waiting if taken + len(written) > ROOM else ():
        forget(request, response, name)
    keep(request, response, _name(attempt.state), written, seconds=PATIENCE)
    return response


async def _arrived(issuer: Issuer, request: Request, attempt: Attempt, code: str, refusal: str) -> Response:
    """A session and the way back for an attempt's ``code``, or why there is none."""
    if refusal:  # as it is only where it is a word of the protocol
        _LOG.warning("the issuer let nobody in: %s", refusal if _CODE.fullmatch(refusal) else repr(refusal[:80]))
    try:
        check_channel(request)
        if refusal or not code:  # what the issuer says of it is in an address, where anybody could have written it
            raise UnauthenticatedError("El emisor no dejó entrar.", hint="Entre otra vez, o con otro usuario.")
        token = await issuer.redeem(code, attempt, _answer(request))
    except IppError as error:
        return _failed(request, error, attempt.back)
    response = RedirectResponse(attempt.back, status_code=303)
    keep(request, response, SESSION, token)
    return response


def _answer(request: Request) -> str:
    """Where the issuer sends a person back to: what it has to know of us beforehand."""
    return f"{origin(request)}{address(request, '/entrada')}"


def _attempt(request: Request, state: str) -> Attempt | None:
    """This browser's attempt with ``state``, None where it has none."""
    found = Attempt.read(kept(request, _name(state)))
    return found if found and secrets.compare_digest(found.state.encode(), state.encode()) else None


def _name(state: str) -> str:
    return f"{ATTEMPT}{state[:8]}"


def _waiting(request: Request) -> Mapping[str, str]:
    """The attempts that the browser keeps, by the name of their cookie."""
    names = [found[1] for name in request.cookies if (found := _NAME.fullmatch(name))]
    return {name: value for name in names if (value := kept(request, name))}


def _left(request: Request, there: str = "") -> Response:
    way = there or address(request, "/entrar")
    return _shown(request, "ent_fuera", there=way, onward=bool(there))


def _failed(request: Request, error: IppError, back: str) -> Response:
    return _shown(
        request, "ent_no", there=way_in(request, back), problem=error, status=problem_response.status_of(error)
    )


def _shown(
    request: Request,
    title: str,
    *,
    there: str,
    onward: bool = False,
    problem: IppError | None = None,
    status: int = 200,
) -> Response:
    """A page with one way on, ``there``, which is taken by itself where it is ``onward``."""
    return page(request, "entrar.html", status=status, title=title, there=there, onward=onward, problem=problem)
