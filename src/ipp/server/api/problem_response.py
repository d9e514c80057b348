"""Translate errors into ``application/problem+json`` responses (RFC 9457), only here.

Besides the RFC's members a problem carries the original contract's ``error`` (short text) and
``message`` (same text as ``detail``; some clients show only it), and, for several invalid fields,
``errors`` (field and reason).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final, NotRequired

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, with_config
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from typing_extensions import TypedDict

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
    is_machine_error,
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
from ipp.storage.storage_error import unavailable_error

_LOG: Final = logging.getLogger("ipp.server.api")

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

MAX_TEXT_CHARS: Final = 4_000
"""Longest message about what was wrong."""

MAX_HINT_CHARS: Final = 500
"""Longest hint about what to do, or reason why one field was rejected."""

KNOWN_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

_FILE_METHODS: Final = ("GET", "HEAD")
"""The methods of a static-file mount, which itself would match any method."""

_LONG_WORD: Final = re.compile(rf"\S{{{MAX_ECHO_CHARS + 1},}}")


class UnauthenticatedError(IppError):
    """The caller is unknown: no token, or an invalid one."""

    code = "sin_identidad"


class PanicError(Exception):
    """A library panicked; its own error, the cause, is no `Exception` that a handler sees."""


class ForbiddenError(IppError):
    """The caller, or the page that sent the request, is not allowed."""

    code = "sin_permiso"


class TooLargeError(IppError):
    """The body is larger than any request needs."""

    code = "cuerpo_demasiado_grande"


class BodyError(InvalidInputError):
    """The body, or a parameter of the URL, does not meet the contract.

    ``reasons`` holds (field, reason) pairs, the first `ipp.errors.MAX_NAMED` of those passed;
    ``more`` counts invalid fields that were not passed.
    """

    code = "peticion_invalida"

    def __init__(self, reasons: Sequence[tuple[str, str]], *, more: int = 0) -> None:
        self.reasons = tuple((shorten(field), reason) for field, reason in reasons[:MAX_NAMED])
        pairs = [(field, reason.rstrip(".")) for field, reason in self.reasons]
        listed = "; ".join(f"{field}: {reason}" if field else reason for field, reason in pairs)
        more = max(more, 0) + len(reasons) - len(self.reasons)
        super().__init__(f"{listed}; y {more:,} más" if more else listed)


class NoneActiveError(NotFoundError):
    """Every active counter was requested, and there is none."""

    code = "sin_mostradores_activos"


class CounterFailedError(IppError):
    """A counter failed in a completed job, so the job published no rows for it."""

    code = "mostrador_fallido"

    def __init__(self, mostrador: int, stage: str, cause: str | None) -> None:
        text = f"El mostrador {mostrador} falló en la etapa {stage}"
        super().__init__(
            f"{text}: {cause.rstrip('.')}." if cause else f"{text}.",
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
"""HTTP status by error class; the nearest ancestor in the MRO counts, and the default is 500."""

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
    """Make ``app`` answer every error with a problem response."""
    app.add_exception_handler(IppError, handle_known_error)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(OSError, _handle_unexpected_error)
    app.add_exception_handler(Exception, _handle_unexpected_error)


class FieldReason(TypedDict):
    """An invalid field, and why it is."""

    field: str
    reason: str


@with_config(
    ConfigDict(
        json_schema_extra={
            "description": "RFC 9457, con `error` y `message` del documento fundador."
        }
    )
)
class Problem(TypedDict):
    """The content of a problem response.

    ``errors`` are the invalid fields of a body, ``job_status`` the status of a job without results,
    ``request_id`` the number under which an unexpected error is logged.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error: str
    message: str
    errors: NotRequired[list[FieldReason]]
    job_status: NotRequired[str]
    request_id: NotRequired[str]


def build_problem(path: str, status: int, *, code: str, message: str, hint: str = "") -> Problem:
    """Build a problem of a request to ``path``: what was wrong, and what to do about it.

    It stays small however large the request: every text, and every value quoted in it, is
    truncated.
    """
    message, hint = bound_text(message), bound_text(hint, MAX_HINT_CHARS)
    whole = join_sentences(message, hint)
    return {
        "type": f"urn:ipp:problema:{code}",
        "title": _TITLE_BY_STATUS.get(status, "Error"),
        "status": status,
        "detail": whole,
        "instance": shorten(path),
        "error": message,
        "message": whole,
    }


def describe_error(error: IppError, path: str) -> Problem:
    """Build the problem of an `IppError` in a request to ``path``."""
    problem = build_problem(
        path, http_status(error), code=error.code, message=error.message, hint=error.hint
    )
    if isinstance(error, BodyError):
        problem["errors"] = [
            {"field": bound_text(field), "reason": bound_text(reason, MAX_HINT_CHARS)}
            for field, reason in error.reasons
        ]
    if isinstance(error, NotCompletedError):
        problem["job_status"] = error.job.status.value
    return problem


def _problem_response(problem: Problem, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(
        problem,
        status_code=problem["status"],
        media_type=PROBLEM_MEDIA_TYPE,
        headers=dict(headers),
    )


def bound_text(text: str, most: int = MAX_TEXT_CHARS) -> str:
    """Return ``text`` as valid UTF-8 of at most ``most`` characters, with overlong words cut."""
    text = _LONG_WORD.sub(lambda found: shorten(found[0]), text)
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    # A lone surrogate, which JSON may carry, cannot be encoded in the response.
    return text.encode("utf-8", "replace").decode("utf-8")


def http_status(error: IppError) -> int:
    """Return the HTTP status of an `IppError`."""
    return next(
        (_STATUS_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _STATUS_BY_ERROR), 500
    )


def retry_headers(error: IppError) -> dict[str, str]:
    """Return the header that says when to try again, where that may help."""
    passing = isinstance(error, (TooManyJobsError, UnavailableError, BusyError))
    if not passing or isinstance(error, IncompleteError):
        return {}
    return {"Retry-After": str(round(getattr(error, "retry_after", None) or 5))}


async def handle_known_error(request: Request, error: Exception) -> JSONResponse:
    """Return the problem response of an `IppError`."""
    assert isinstance(error, IppError)  # The handler is registered for this class.
    if http_status(error) >= 500:
        _LOG.warning("%s: %s", request.url.path, error, exc_info=error.__cause__)
    headers = retry_headers(error)
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    return _problem_response(describe_error(error, request.url.path), headers)


async def _handle_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that the framework raises, such as an unknown path or method."""
    assert isinstance(error, HTTPException)  # The handler is registered for this class.
    texts = {404: "No existe esa dirección.", 405: "Esa dirección no admite ese método."}
    message = texts.get(error.status_code, _TITLE_BY_STATUS.get(error.status_code, "Error"))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
    problem = build_problem(request.url.path, error.status_code, code="http", message=message)
    return _problem_response(problem, headers)


def _allowed_methods(request: Request) -> set[str]:
    """Return the methods that the request's path admits; the framework lists only one route's."""
    # A mount has added its own prefix to root_path, so the application's is restored first.
    scope = {
        **request.scope,
        "root_path": request.scope.get("app_root_path", request.scope.get("root_path", "")),
    }
    methods: set[str] = set()
    for route in request.app.routes:
        admitted = _FILE_METHODS if isinstance(route, Mount) else KNOWN_METHODS
        # Match each method as the router would, without relying on how it stores its routes.
        methods |= {
            method
            for method in admitted
            if route.matches({**scope, "method": method})[0] is Match.FULL
        }
    return methods


async def _handle_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """Answer 500 without internal details; the request id leads to the log entry.

    An error of the machine, such as a full disk, and a panic of a library are 503.
    """
    if isinstance(error, (PanicError, MemoryError)) or is_machine_error(error):
        known = unavailable_error("los archivos", error.__cause__ or error)
        known.__cause__ = error
        return await handle_known_error(request, known)
    request_id = getattr(request.state, "request_id", "")
    _LOG.error("request %s failed", request_id, exc_info=error)
    problem = build_problem(
        request.url.path,
        500,
        code="interno",
        message="Algo falló que no se esperaba.",
        hint=f"Avise a quien mantiene IPP con el número {request_id}.",
    )
    return _problem_response({**problem, "request_id": request_id}, {"X-Request-Id": request_id})
