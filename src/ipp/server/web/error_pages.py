"""Problems of the whole server as pages, for a person who followed a link; a program gets the contract's own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from ipp.errors import IppError, join_sentences
from ipp.server.api.problem_response import UnauthenticatedError
from ipp.server.web import session
from ipp.server.web.page import HTMX_REQUEST_HEADER, render_page

_KEPT_HEADERS: Final = ("X-Request-Id", "Retry-After", "Allow")
"""Headers of a problem that its page has as well."""

ErrorHandler = Callable[[Request, Any], Awaitable[Response]]


def install_error_pages(app: FastAPI) -> None:
    """Show people every problem of ``app`` that its handlers make, as a page."""
    for kind in (IppError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(
            kind, _as_page(cast("ErrorHandler", app.exception_handlers[kind]))
        )  # all are asynchronous


def _as_page(handler: ErrorHandler) -> ErrorHandler:
    async def shown(request: Request, error: Exception) -> Response:
        answer = await handler(request, error)
        followed = request.headers.get("sec-fetch-mode") == "navigate"
        if isinstance(error, UnauthenticatedError) and followed:
            return RedirectResponse(session.return_path(request), status_code=303)
        if not followed and HTMX_REQUEST_HEADER not in request.headers:
            return answer
        told = json.loads(bytes(answer.body))
        problem = IppError(
            told["error"], hint=told["message"].removeprefix(join_sentences(told["error"])).strip()
        )
        made = render_page(request, "problem.html", status=answer.status_code, problem=problem)
        made.headers.update(
            {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        )
        return made

    return shown
