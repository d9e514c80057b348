"""The FastAPI application: routes, request ids, security headers, CORS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware

from ipp.server.api import problem_response
from ipp.server.api.dependencies import Services
from ipp.server.api.problem_response import BodyError
from ipp.server.api.request_log import RequestLog


def create_app(
    services: Services, routers: Iterable[APIRouter], *, origins: Sequence[str] = ()
) -> FastAPI:
    """Build an application that serves ``routers``; CORS allows ``origins`` only."""
    app = FastAPI(
        title="IPP, Inventario de Precisión Predictiva",
        version=version("ipp"),
        description="Cuántas piezas de cada producto conviene que tenga cada mostrador, y por qué.",
        openapi_url=None,  # Only the full application is described.
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    problem_response.install_problem_handlers(app)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
    app.add_middleware(RequestLog, counts=services.counts)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "Last-Event-ID",
            ],
            expose_headers=[
                "Content-Disposition",
                "ETag",
                "Location",
                "Retry-After",
                "X-Request-Id",
            ],
        )
    for router in routers:
        app.include_router(router)
    app.add_api_route("/healthz", _health_check, methods=["GET"])
    return app


async def _health_check() -> dict[str, str]:
    """Report that the process is up; async, so that it waits for no thread."""
    return {"status": "ok"}


async def _handle_invalid_request(request: Request, error: Exception) -> Response:
    """Answer an invalid URL parameter or header with a problem response."""
    assert isinstance(error, RequestValidationError)  # The handler is registered for this class.
    return await problem_response.handle_known_error(request, validation_problem(error))


def validation_problem(error: RequestValidationError) -> BodyError:
    """Translate FastAPI's validation error into a `BodyError` that names each field."""
    return BodyError(
        [(".".join(map(str, e["loc"][1:])), "no es un valor posible") for e in error.errors()]
    )
