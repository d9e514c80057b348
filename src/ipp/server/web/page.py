"""Render pages and fragments of pages, with their security headers and their errors."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive
from typing_extensions import override

from ipp.errors import InvalidInputError, IppError
from ipp.jobs.job_service import Caller
from ipp.server.api import problem_response
from ipp.server.api.app import validation_problem
from ipp.server.api.problem_response import TooLargeError, UnauthenticatedError
from ipp.server.web import formatting, session
from ipp.server.web.csrf import csrf_token, set_csrf_cookie
from ipp.server.web.translations import request_translations
from ipp.server.web.upload import MAX_UPLOAD_BYTES

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of a page: nothing from other servers, no inline script or style."""

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

MAX_FORM_BYTES: Final = 4 * MAX_UPLOAD_BYTES
"""Bytes of a form's body beyond which reading stops."""

HTMX_REQUEST_HEADER: Final = "HX-Request"
"""Header by which htmx asks for a fragment instead of the whole page."""


@cache
def _template_environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "whole",
        "decimal",
        "exact",
        "money",
        "money_change",
        "percent",
        "share",
        "day",
        "moment",
    ):
        environment.filters[name] = getattr(formatting, name)
    environment.filters["bounded"] = problem_response.bound_text
    environment.globals["lasted"] = formatting.lasted
    environment.globals["signed_in"] = session.is_signed_in
    return environment


def render_template(request: Request, template: str, **values: Any) -> str:
    """Render a template with ``values``, in the language of the request."""
    return (
        _template_environment()
        .get_template(template)
        .render(say=request_translations(request), request=request, **values)
    )


def render_page(
    request: Request, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template as a response; its ``partial`` is whether htmx asks for a fragment."""
    partial = HTMX_REQUEST_HEADER in request.headers
    content = render_template(request, template, partial=partial, **values)
    # Without Vary, the Back button could show a fragment that is cached under the page's address.
    return HTMLResponse(
        content, status_code=status, headers={**_SECURITY_HEADERS, "Vary": HTMX_REQUEST_HEADER}
    )


def render_framed_page(
    request: Request,
    template: str,
    caller: Caller,
    *,
    here: str,
    problem: IppError | None = None,
    status: int | None = None,
    **values: Any,
) -> Response:
    """Render a page with the common frame: the section (``here``), the caller and the problem.

    Its forms repeat the CSRF token. ``status`` is by default the problem's, or 200.
    """
    if status is None:
        status = problem_response.http_status(problem) if problem else 200
    values = {
        "caller": caller,
        "here": here,
        "problem": problem,
        "csrf_token": csrf_token(request),
        **values,
    }
    response = render_page(request, template, status=status, **values)
    if problem:
        response.headers.update(problem_response.retry_headers(problem))
    set_csrf_cookie(request, response)
    return response


class PageRoute(APIRoute):
    """A route that renders its errors as pages."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler so that a refused request gets a page."""
        answer = super().get_route_handler()

        async def handle_request(request: Request) -> Response:
            request = Request(request.scope, _limit_body(request.receive))
            error: IppError
            try:
                try:
                    return await answer(request)
                except UnauthenticatedError as unknown:
                    return await _sign_in_response(request, unknown)
            except IppError as known:
                error = known
            except RequestValidationError as invalid:
                error = validation_problem(invalid)
            except HTTPException as unread:
                error = _form_error(unread)
            finally:
                # Close the uploaded files, which the route or `_sign_in_response` may have read.
                await request.close()
            page = render_page(
                request, "problem.html", status=problem_response.http_status(error), problem=error
            )
            page.headers.update(problem_response.retry_headers(error))
            return page

        return handle_request


def _limit_body(receive: Receive) -> Receive:
    """Wrap ``receive`` to raise a 413 `HTTPException` beyond `MAX_FORM_BYTES` of body."""
    # The framework's own limit answers in English and as plain text, bypassing our error pages.
    read = 0

    async def receive_limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_FORM_BYTES:
            raise HTTPException(413)
        return message

    return receive_limited


def _form_error(error: HTTPException) -> IppError:
    """Translate the framework's refusal of a form: too large, or malformed."""
    if error.status_code == 413:
        return TooLargeError("Lo que se envió es demasiado grande.", hint="No se cambió nada.")
    return InvalidInputError(
        "El formulario no llegó como debe.",
        hint="Abra la página otra vez y repita; no se cambió nada.",
    )


async def _sign_in_response(request: Request, error: UnauthenticatedError) -> Response:
    """Redirect to sign in and back, or render a page that offers it.

    That page keeps what was typed into a form, to be sent again after signing in.
    """
    here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    partial = HTMX_REQUEST_HEADER in request.headers
    # Redirect navigations only: a fragment, an image or a form belongs to a page that is open
    # already, and would be replaced by the sign-in page.
    navigates = request.headers.get("sec-fetch-dest", "document") == "document"
    if request.method == "GET" and not partial and navigates:
        return RedirectResponse(session.sign_in_path(request, here), status_code=303)
    form = FormData() if request.method == "GET" or partial else await request.form()
    values = {
        # Leave the hint out: it tells programs how to send a token.
        "problem": IppError(error.message),
        "way": session.return_path(request),
        "action": here if request.method == "POST" else "",
        "fields": [(name, value) for name, value in form.multi_items() if isinstance(value, str)],
        "files": [
            (name, file.filename) for name, file in form.multi_items() if not isinstance(file, str)
        ],
    }
    return render_page(
        request, "vencida.html", status=problem_response.http_status(error), **values
    )
