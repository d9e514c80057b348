"""The only place where an error becomes a response: ``application/problem+json`` (RFC 9457), one shape for all.

Beside the RFC's own members it carries the seed's ``error`` (a short text) and ``message`` (the same whole sentence as
``detail``: clients show it alone), and ``errors`` (field and reason) where several things are wrong.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from ipp.errors import (
    MAX_ECHO_CHARS,
    MAX_NAMED,
    BusyError,
    IncompleteError,
    InvalidInputError,
    IppError,
    NotConfiguredError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    join_sentences,
    shorten,
)
from ipp.jobs.job_service import (
    IdempotencyConflictError,
    JobEndedError,
    NotCompletedError,
    TooManyJobsError,
)
from ipp.jobs.unreadable_job import UnreadableJobError
from ipp.server.api.configuration_register import ChangedError, ConfiguredError, UnknownCounterError

_LOG: Final = logging.getLogger("ipp.server.api")

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

MAX_TEXT_CHARS: Final = 4_000
"""Characters of the longest text that says what was wrong."""

MAX_HINT_CHARS: Final = 500
"""Characters of the longest text that says what to do, or why one field was refused."""

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

_FILE_METHODS: Final = ("GET", "HEAD")
"""What a folder of files admits, whatever its mount says."""

_LONG_WORD: Final = re.compile(rf"\S{{{MAX_ECHO_CHARS + 1},}}")


class UnauthenticatedError(IppError):
    """The caller is not known: no token, or one that does not hold."""

    code = "sin_identidad"


class ForbiddenError(IppError):
    """The caller is known, or the page they come from, and may not."""

    code = "sin_permiso"


class TooLargeError(IppError):
    """The body is larger than any request needs."""

    code = "cuerpo_demasiado_grande"


class BodyError(InvalidInputError):
    """The body, or a parameter of the address, is not what the contract says.

    ``reasons`` are (field, reason), the first `ipp.errors.MAX_NAMED` of those given; ``more`` were not given.
    """

    code = "peticion_invalida"

    def __init__(self, reasons: Sequence[tuple[str, str]], *, more: int = 0) -> None:
        self.reasons = tuple((shorten(field), reason) for field, reason in reasons[:MAX_NAMED])
        told = [(field, reason.rstrip(".")) for field, reason in self.reasons]
        listed = "; ".join(f"{field}: {reason}" if field else reason for field, reason in told)
        more = max(more, 0) + len(reasons) - len(self.reasons)
        super().__init__(f"{listed}; y {more:,} más" if more else listed)


class NoneActiveError(NotFoundError):
    """Every active mostrador was asked for, and there is none."""

    code = "sin_mostradores_activos"


class CounterFailedError(IppError):
    """A completed job published nothing of a mostrador: it failed, and the others did not wait for it."""

    code = "mostrador_fallido"

    def __init__(self, mostrador: int, stage: str, cause: str | None) -> None:
        told = f"El mostrador {mostrador} falló en la etapa {stage}"
        super().__init__(
            f"{told}: {cause.rstrip('.')}." if cause else f"{told}.",
            hint="Corrija la causa y empiece otro proceso con este mostrador.",
        )


_STATUS_BY_ERROR: Final[Mapping[type[IppError], int]] = {
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    TooLargeError: 413,
    NotConfiguredError: 422,
    NotFoundError: 404,
    InvalidInputError: 400,
    IdempotencyConflictError: 422,
    TooManyJobsError: 429,
    JobEndedError: 409,
    ConfiguredError: 409,
    UnknownCounterError: 422,
    ChangedError: 412,
    NotCompletedError: 409,
    UnreadableJobError: 409,
    CounterFailedError: 409,
    BusyError: 503,
    UnavailableError: 503,
    RefusedError: 502,
}
"""HTTP status by class, the nearest one up its line counts; what is not here is 500."""

_TITLE_BY_STATUS: Final[Mapping[int, str]] = {
    400: "Petición inválida",
    401: "Sin identidad",
    403: "Sin permiso",
    404: "No encontrado",
    405: "Método no permitido",
    409: "Conflicto",
    412: "Precondición fallida",
    413: "Cuerpo demasiado grande",
    422: "No se puede procesar",
    429: "Demasiadas peticiones",
    500: "Error interno",
    502: "Respuesta no válida de otro servicio",
    503: "Servicio no disponible",
}


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    app.add_exception_handler(IppError, handle_known_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(Exception, _handle_unexpected_error)


def problem_response(
    request: Request,
    status: int,
    *,
    code: str,
    message: str,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """A problem's response: ``message`` is what was wrong, ``hint`` what to do.

    However much a request brings, its refusal is small: each text, and each value within it, has a longest length.
    """
    message, hint = bound_text(message), bound_text(hint, MAX_HINT_CHARS)
    whole = join_sentences(message, hint)
    content = {
        "type": f"urn:ipp:problema:{code}",
        "title": _TITLE_BY_STATUS.get(status, "Error"),
        "status": status,
        "detail": whole,
        "instance": shorten(request.url.path),
        "error": message,
        "message": whole,
        **more,
    }
    return JSONResponse(
        content, status_code=status, media_type=PROBLEM_MEDIA_TYPE, headers=dict(headers or {})
    )


def bound_text(text: str, most: int = MAX_TEXT_CHARS) -> str:
    """Return ``text`` in at most ``most`` characters that UTF-8 has, no word longer than a value may be repeated."""
    text = _LONG_WORD.sub(lambda found: shorten(found[0]), text)
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    return text.encode("utf-8", "replace").decode(
        "utf-8"
    )  # half a character of JSON cannot be sent back


def http_status(error: IppError) -> int:
    """The HTTP status of an error that IPP raised on purpose."""
    return next(
        (_STATUS_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _STATUS_BY_ERROR), 500
    )


async def handle_known_error(request: Request, error: Exception) -> JSONResponse:
    """The problem of an error that IPP raised on purpose."""
    assert isinstance(error, IppError)  # what the handler is registered for
    status = http_status(error)
    if status >= 500:
        _LOG.warning("%s: %s", request.url.path, error, exc_info=error.__cause__)
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    if isinstance(error, BodyError):
        more["errors"] = [
            {"field": bound_text(field), "reason": bound_text(reason, MAX_HINT_CHARS)}
            for field, reason in error.reasons
        ]
    if isinstance(error, NotCompletedError):
        more["job_status"] = error.job.status.value
    if isinstance(error, (TooManyJobsError, UnavailableError)) and not isinstance(
        error, IncompleteError
    ):
        headers["Retry-After"] = str(round(error.retry_after or 5))
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(
        request,
        status,
        code=error.code,
        message=error.message,
        hint=error.hint,
        headers=headers,
        **more,
    )


async def _handle_http_error(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: an address or a method that is not there."""
    assert isinstance(error, HTTPException)  # what the handler is registered for
    texts = {404: "No existe esa dirección.", 405: "Esa dirección no admite ese método."}
    message = texts.get(error.status_code, _TITLE_BY_STATUS.get(error.status_code, "Error"))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
    return problem_response(
        request, error.status_code, code="http", message=message, headers=headers
    )


def _allowed_methods(request: Request) -> set[str]:
    """Return the methods that the address of a request admits: the framework names those of its first route alone."""
    # A mount has put its own place before the rest of the address.
    scope = {
        **request.scope,
        "root_path": request.scope.get("app_root_path", request.scope.get("root_path", "")),
    }
    found: set[str] = set()
    for route in request.app.routes:
        admitted = _FILE_METHODS if isinstance(route, Mount) else _METHODS
        # Each is asked for as the router would: how routers hold their routes is the framework's own affair.
        found |= {
            method
            for method in admitted
            if route.matches({**scope, "method": method})[0] is Match.FULL
        }
    return found


async def _handle_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """Says nothing of the inside: the request's id leads to the log."""
    request_id = getattr(request.state, "request_id", "")
    _LOG.error("request %s failed", request_id, exc_info=error)
    return problem_response(
        request,
        500,
        code="interno",
        message="Algo falló que no se esperaba.",
        hint=f"Avise a quien mantiene IPP con el número {request_id}.",
        headers={"X-Request-Id": request_id},
        request_id=request_id,
    )
