"""Error pages for people who followed a link; programs get the contract's problem responses."""

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
"""Headers of a problem response that its page repeats."""

ErrorHandler = Callable[[Request, Any], Awaitable[Response]]


def install_error_pages(app: FastAPI) -> None:
    """Wrap the exception handlers of ``app`` so that people get their problems as pages."""
    for kind in (IppError, RequestValidationError, HTTPException, OSError, Exception):
        # The cast holds because all of the contract's handlers are asynchronous.
        handler = cast("ErrorHandler", app.exception_handlers[kind])
        app.add_exception_handler(kind, _as_page(handler))


def _as_page(handler: ErrorHandler) -> ErrorHandler:
    async def render_error(request: Request, error: Exception) -> Response:
        response = await handler(request, error)
        followed = request.headers.get("sec-fetch-mode") == "navigate"
        if isinstance(error, UnauthenticatedError) and followed:
            return RedirectResponse(session.return_path(request), status_code=303)
        if not followed and HTMX_REQUEST_HEADER not in request.headers:
            return response
        document = json.loads(bytes(response.body))
        problem = IppError(
            document["error"],
            hint=document["message"].removeprefix(join_sentences(document["error"])).strip(),
        )
        page = render_page(request, "problem.html", status=response.status_code, problem=problem)
        page.headers.update(
            {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        )
        return page

    return render_error
