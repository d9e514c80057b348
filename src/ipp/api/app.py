"""The application: routes, request ids, security headers, CORS."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware

from ipp.api import configurations, curves, docs, events, operations, problems, rows
from ipp.api.description import describe
from ipp.api.problems import BodyError
from ipp.api.tracing import Traced
from ipp.api.wiring import Asked, By, Services


def create_app(services: Services, downloads: APIRouter, *, origins: Sequence[str] = ()) -> FastAPI:
    """Build the application over ``services``; pages of ``origins`` alone may call it from a browser.

    ``downloads`` is the operation that gives files, which are made here or lie elsewhere.
    """
    app = FastAPI(
        title="IPP, Inventario de Precisión Predictiva",
        version=version("ipp"),
        description="Cuántas piezas de cada producto conviene que tenga cada mostrador, y por qué.",
        docs_url=None,  # the framework's page takes its parts from another server
        redoc_url=None,
    )
    app.state.services = services
    problems.install(app)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Traced, metrics=services.metrics)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID"],
            expose_headers=["Content-Disposition", "ETag", "Location", "Retry-After", "X-Request-Id"],
        )
    for router in (*(part.router for part in (operations, events, rows, curves, configurations)), downloads):
        app.include_router(router)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # the framework's own way to say more
    docs.install(app)
    app.add_api_route("/healthz", _healthy, methods=["GET"])
    app.add_api_route("/metrics", _metrics, methods=["GET"], include_in_schema=False)
    return app


def _healthy() -> dict[str, str]:
    """That the process answers."""
    return {"status": "ok"}


def _metrics(asked: Asked, _by: By) -> Response:
    """What the process counted, and how the jobs stand."""
    return asked.metrics.response(asked.jobs.standing())


async def _invalid(request: Request, error: Exception) -> Response:
    """A parameter of the address or a header that is not as it should be."""
    assert isinstance(error, RequestValidationError)  # what the handler is registered for
    reasons = [(".".join(map(str, e["loc"][1:])), "no es un valor posible") for e in error.errors()]
    return await problems.known(request, BodyError(reasons))
