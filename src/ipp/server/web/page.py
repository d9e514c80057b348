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
from ipp.server.api.app import refused
from ipp.server.api.problem_response import TooLargeError, UnauthenticatedError
from ipp.server.web import formatting, session
from ipp.server.web.csrf import keep_seal, seal
from ipp.server.web.translations import spoken
from ipp.server.web.upload import LARGEST

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may do (Content-Security-Policy): nothing from another server, no script or style within itself."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

MOST_SENT: Final = 4 * LARGEST
"""Bytes of a form after which no more of it is read."""

PARTIAL: Final = "HX-Request"
"""The header by which htmx says that it wants a part of a page and not all of it."""


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("whole", "decimal", "exact", "money", "money_change", "percent", "share", "day", "moment"):
        found.filters[name] = getattr(formatting, name)
    found.filters["bounded"] = problem_response.bound_text
    found.globals["lasted"] = formatting.lasted
    found.globals["signed_in"] = session.signed_in
    return found


def text(request: Request, template: str, **values: Any) -> str:
    """What a template makes of ``values``, in the language of whoever asks."""
    return _environment().get_template(template).render(say=spoken(request), request=request, **values)


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A template as an answer; ``partial`` tells it whether htmx asks, and wants a part alone."""
    partial = PARTIAL in request.headers
    content = text(request, template, partial=partial, **values)
    # A browser's way back must not show a part that it keeps under the address of the whole.
    return HTMLResponse(content, status_code=status, headers={**_HEADERS, "Vary": PARTIAL})


def framed(
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
        status = problem_response.status_of(problem) if problem else 200
    values = {"by": by, "here": here, "problem": problem, "seal": seal(request), **values}
    response = page(request, template, status=status, **values)
    keep_seal(request, response)
    return response


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request: as the framework's, and a page for what is refused."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            request = Request(request.scope, _bounded(request.receive))
            error: IppError
            try:
                try:
                    return await answer(request)
                except UnauthenticatedError as unknown:
                    return await _way_to_enter(request, unknown)
            except IppError as known:
                error = known
            except RequestValidationError as found:
                error = refused(found)
            except HTTPException as unread:
                error = _unread(unread)
            finally:
                await request.close()  # the files of a form, whoever read it
            return page(request, "problem.html", status=problem_response.status_of(error), problem=error)

        return answered


def _bounded(receive: Receive) -> Receive:
    """What gives no more of a body than `MOST_SENT`."""
    # The framework has a limit too, and says so in English and as plain text, whatever would be answered here.
    read = 0

    async def received() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_SENT:
            raise HTTPException(413)
        return message

    return received


def _unread(error: HTTPException) -> IppError:
    """What the framework itself refuses of a form: that it is too large, or no form."""
    if error.status_code == 413:
        return TooLargeError("Lo que se envió es demasiado grande.", hint="No se cambió nada.")
    return InvalidInputError(
        "El formulario no llegó como debe.", hint="Abra la página otra vez y repita; no se cambió nada."
    )


async def _way_to_enter(request: Request, error: UnauthenticatedError) -> Response:
    """The way to sign in and back; what somebody typed is kept on the page, to be sent again once they are in."""
    here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    partial = PARTIAL in request.headers
    # Not for a part, an image or what a form sends: what they belong to is on a page that is there already.
    opens = request.headers.get("sec-fetch-dest", "document") == "document"
    if request.method == "GET" and not partial and opens:
        return RedirectResponse(session.way_in(request, here), status_code=303)
    form = FormData() if request.method == "GET" or partial else await request.form()
    values = {
        "problem": IppError(error.message),  # the hint tells programs how to say who they are
        "way": session.way_back(request),
        "action": here if request.method == "POST" else "",
        "fields": [(name, value) for name, value in form.multi_items() if isinstance(value, str)],
        "files": [(name, file.filename) for name, file in form.multi_items() if not isinstance(file, str)],
    }
    return page(request, "vencida.html", status=problem_response.status_of(error), **values)
