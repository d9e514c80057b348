"""Entrada: pages that sign in at the issuer, and sign out."""

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
from ipp.server.api.dependencies import prefixed_path
from ipp.server.api.problem_response import UnauthenticatedError
from ipp.server.web.csrf import CSRF_COOKIE, check_csrf_token
from ipp.server.web.oidc import OidcClient, SignInAttempt
from ipp.server.web.page import PageRoute, render_page
from ipp.server.web.session import (
    SESSION_COOKIE,
    check_secure_channel,
    delete_cookie,
    own_origin,
    read_cookie,
    set_cookie,
    sign_in_path,
)

_LOG: Final = logging.getLogger("ipp.server.web.sign_in")

_OAUTH_ERROR_PATTERN: Final = re.compile(r"[a-z_]{1,40}")
"""An OAuth error code."""

ATTEMPT_COOKIE_PREFIX: Final = "ipp_entrada_"
"""Prefix of each attempt's own cookie, so that several tabs can sign in independently."""

_ATTEMPT_COOKIE_PATTERN: Final = re.compile(
    rf"(?:__Host-)?({ATTEMPT_COOKIE_PREFIX}[\w-]{{8}})", re.ASCII
)

ATTEMPT_SECONDS: Final = 600
"""Seconds that a person may take at the issuer."""

MAX_ATTEMPTS_CHARACTERS: Final = 3_500
"""Characters of a browser's pending attempts.

A proxy accepts 8 KB of cookies, half of which the session takes.
"""


def sign_in_router(issuer: OidcClient) -> APIRouter:
    """Build the routes that sign in through ``issuer`` and sign out."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)

    @router.get("/entrar")
    def begin_sign_in(request: Request, volver: str = "/") -> Response:
        """Send a person to the issuer, to return to ``volver``, a path on this site."""
        return _begin_attempt(issuer, request, SignInAttempt.begin(volver))

    @router.get("/entrada")
    async def finish_sign_in(
        request: Request, state: str = "", code: str = "", error: str = ""
    ) -> Response:
        """Accept the issuer's answer to an attempt of this browser, once (redirect URI)."""
        attempt = _find_attempt(request, state)
        if attempt is None:
            unknown = UnauthenticatedError(
                "Esta entrada no se empezó aquí, o ya se usó.",
                hint="Entre otra vez, con las cookies permitidas.",
            )
            return _render_failure(request, unknown, "/")
        response = await _finish_attempt(issuer, request, attempt, code, error)
        delete_cookie(request, response, _attempt_cookie(attempt.state))
        return response

    @router.post("/salir")
    async def sign_out(request: Request, sello: Annotated[str, Form()] = "") -> Response:
        """End the session here and, where the issuer supports it, at the issuer."""
        check_csrf_token(request, sello)
        return await _end_session(issuer, request)

    @router.get("/salir")
    def show_signed_out(request: Request) -> Response:
        """Show that the person is signed out, or go to the start if they have a session."""
        if read_cookie(request, SESSION_COOKIE):
            return RedirectResponse(prefixed_path(request, "/"), status_code=303)
        return _render_signed_out(request)

    return router


def _begin_attempt(issuer: OidcClient, request: Request, attempt: SignInAttempt) -> Response:
    """Render the page that leads to the issuer, and set the attempt's cookie."""
    try:
        check_secure_channel(request)
        there = issuer.authorization_url(attempt, _redirect_uri(request))
    except IppError as error:
        return _render_failure(request, error, attempt.back)
    # Use a page and not a redirect: a form may have led here, and browsers apply the policy's
    # form-action 'self' to the redirects of a form as well.
    response = _render_page(request, "ent_entrar", there=there, onward=True)
    written, waiting = attempt.serialise(), _waiting_attempts(request)
    taken = sum(len(name) + len(value) for name, value in waiting.items())
    for name in waiting if taken + len(written) > MAX_ATTEMPTS_CHARACTERS else ():
        delete_cookie(request, response, name)
    set_cookie(request, response, _attempt_cookie(attempt.state), written, seconds=ATTEMPT_SECONDS)
    return response


async def _finish_attempt(
    issuer: OidcClient, request: Request, attempt: SignInAttempt, code: str, refusal: str
) -> Response:
    """Start the session with an attempt's ``code`` and return to its path, or render why not."""
    if refusal:
        # Anybody could have written the address: log its text unquoted only if it is an error code.
        _LOG.warning(
            "the issuer let nobody in: %s",
            refusal if _OAUTH_ERROR_PATTERN.fullmatch(refusal) else repr(refusal[:80]),
        )
    try:
        check_secure_channel(request)
        if refusal or not code:
            # Leave the address's own description out: anybody could have written it.
            raise UnauthenticatedError(
                "El emisor no dejó entrar.", hint="Entre otra vez, o con otro usuario."
            )
        token = await issuer.redeem_code(code, attempt, _redirect_uri(request))
    except IppError as error:
        return _render_failure(request, error, attempt.back)
    response = RedirectResponse(attempt.back, status_code=303)
    set_cookie(request, response, SESSION_COOKIE, token)
    return response


async def _end_session(issuer: OidcClient, request: Request) -> Response:
    """End the session here and, where the issuer supports it, at the issuer."""
    back = f"{own_origin(request)}{prefixed_path(request, '/salir')}"
    try:
        there = await run_in_threadpool(issuer.end_session_url, back)
    except UnavailableError:
        # The session here ends even if the one at the issuer cannot.
        there = ""
    response = _render_signed_out(request, there)
    for name in (SESSION_COOKIE, CSRF_COOKIE):
        delete_cookie(request, response, name)
    return response


def _redirect_uri(request: Request) -> str:
    """Return the redirect URI, which must be registered with the issuer."""
    return f"{own_origin(request)}{prefixed_path(request, '/entrada')}"


def _find_attempt(request: Request, state: str) -> SignInAttempt | None:
    """Return this browser's attempt with ``state``, None where it has none."""
    attempt = SignInAttempt.parse(read_cookie(request, _attempt_cookie(state)))
    if attempt and secrets.compare_digest(attempt.state.encode(), state.encode()):
        return attempt
    return None


def _attempt_cookie(state: str) -> str:
    return f"{ATTEMPT_COOKIE_PREFIX}{state[:8]}"


def _waiting_attempts(request: Request) -> Mapping[str, str]:
    """Return the pending attempts of this browser, by cookie name without its prefix __Host-."""
    matches = (_ATTEMPT_COOKIE_PATTERN.fullmatch(name) for name in request.cookies)
    names = [match[1] for match in matches if match]
    values = {name: read_cookie(request, name) for name in names}
    return {name: value for name, value in values.items() if value}


def _render_signed_out(request: Request, there: str = "") -> Response:
    way = there or prefixed_path(request, "/entrar")
    return _render_page(request, "ent_fuera", there=way, onward=bool(there))


def _render_failure(request: Request, error: IppError, back: str) -> Response:
    return _render_page(
        request,
        "ent_no",
        there=sign_in_path(request, back),
        problem=error,
        status=problem_response.http_status(error),
    )


def _render_page(
    request: Request,
    title: str,
    *,
    there: str,
    onward: bool = False,
    problem: IppError | None = None,
    status: int = 200,
) -> Response:
    """Render a page with one link, ``there``, which is followed automatically if ``onward``."""
    return render_page(
        request,
        "entrar.html",
        status=status,
        title=title,
        there=there,
        onward=onward,
        problem=problem,
    )
