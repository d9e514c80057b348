"""A page or a part of one as an answer: rendered, with what a browser may do on it, and errors in people's words."""

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
"""What a page may do (Content-Security-Policy): nothing from another server, no script or style within itself."""

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

MAX_FORM_BYTES: Final = 4 * MAX_UPLOAD_BYTES
"""Bytes of a form after which no more of it is read."""

HTMX_REQUEST_HEADER: Final = "HX-Request"
"""The header by which htmx says that it wants a part of a page and not all of it."""


@cache
def _template_environment() -> jinja2.Environment:
    found = jinja2.Environment(
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
        found.filters[name] = getattr(formatting, name)
    found.filters["bounded"] = problem_response.bound_text
    found.globals["lasted"] = formatting.lasted
    found.globals["signed_in"] = session.is_signed_in
    return found


def render_template(request: Request, template: str, **values: Any) -> str:
    """What a template makes of ``values``, in the language of whoever asks."""
    return (
        _template_environment()
        .get_template(template)
        .render(say=request_translations(request), request=request, **values)
    )


def render_page(
    request: Request, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A template as an answer; ``partial`` tells it whether htmx asks, and wants a part alone."""
    partial = HTMX_REQUEST_HEADER in request.headers
    content = render_template(request, template, partial=partial, **values)
    # A browser's way back must not show a part that it keeps under the address of the whole.
    return HTMLResponse(
        content, status_code=status, headers={**_SECURITY_HEADERS, "Vary": HTMX_REQUEST_HEADER}
    )


def render_framed_page(
    request: Request,
    template: str,
    by: Caller,
    *,
    here: str,
    problem: IppError | None = None,
    status: int | None = None,
    **values: Any,
) -> Response:
    """A page with what every page has around it: the section that one is in (``here``), who one is, what went wrong.

    Its forms repeat the browser's seal. Where no ``status`` is given it is the problem's, or 200.
    """
    if status is None:
        status = problem_response.http_status(problem) if problem else 200
    values = {"by": by, "here": here, "problem": problem, "seal": csrf_token(request), **values}
    response = render_page(request, template, status=status, **values)
    set_csrf_cookie(request, response)
    return response


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request: as the framework's, and a page for what is refused."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            request = Request(request.scope, _limit_body(request.receive))
            error: IppError
            try:
                try:
                    return await answer(request)
                except UnauthenticatedError as unknown:
                    return await _sign_in_response(request, unknown)
            except IppError as known:
                error = known
            except RequestValidationError as found:
                error = validation_problem(found)
            except HTTPException as unread:
                error = _form_error(unread)
            finally:
                await request.close()  # the files of a form, whoever read it
            return render_page(
                request, "problem.html", status=problem_response.http_status(error), problem=error
            )

        return answered


def _limit_body(receive: Receive) -> Receive:
    """What gives no more of a body than `MAX_FORM_BYTES`."""
    # The framework has a limit too, and says so in English and as plain text, whatever would be answered here.
    read = 0

    async def received() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MAX_FORM_BYTES:
            raise HTTPException(413)
        return message

    return received


def _form_error(error: HTTPException) -> IppError:
    """What the framework itself refuses of a form: that it is too large, or no form."""
    if error.status_code == 413:
        return TooLargeError("Lo que se envió es demasiado grande.", hint="No se cambió nada.")
    return InvalidInputError(
        "El formulario no llegó como debe.",
        hint="Abra la página otra vez y repita; no se cambió nada.",
    )


async def _sign_in_response(request: Request, error: UnauthenticatedError) -> Response:
    """The way to sign in and back; what somebody typed is kept on the page, to be sent again once they are in."""
    here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    partial = HTMX_REQUEST_HEADER in request.headers
    # Not for a part, an image or what a form sends: what they belong to is on a page that is there already.
    opens = request.headers.get("sec-fetch-dest", "document") == "document"
    if request.method == "GET" and not partial and opens:
        return RedirectResponse(session.sign_in_path(request, here), status_code=303)
    form = FormData() if request.method == "GET" or partial else await request.form()
    values = {
        "problem": IppError(error.message),  # the hint tells programs how to say who they are
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
