"""The application: routes, request ids, security headers, CORS."""

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
    """Build an application that serves ``routers``; pages of ``origins`` alone may call it from a browser."""
    app = FastAPI(
        title="IPP, Inventario de Precisión Predictiva",
        version=version("ipp"),
        description="Cuántas piezas de cada producto conviene que tenga cada mostrador, y por qué.",
        openapi_url=None,  # described by whoever serves the whole of it
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


def _health_check() -> dict[str, str]:
    """That the process answers."""
    return {"status": "ok"}


async def _handle_invalid_request(request: Request, error: Exception) -> Response:
    """A parameter of the address or a header that is not as it should be."""
    assert isinstance(error, RequestValidationError)  # what the handler is registered for
    return await problem_response.handle_known_error(request, validation_problem(error))


def validation_problem(error: RequestValidationError) -> BodyError:
    """What the framework refuses of a request, as an error of ours that names each field."""
    return BodyError(
        [(".".join(map(str, e["loc"][1:])), "no es un valor posible") for e in error.errors()]
    )
