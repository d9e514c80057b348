"""The whole contract in one application, with its description: what a server on one machine serves."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response

from ipp.api import configurations, curves, docs, events, operations, rows
from ipp.api.app import create_app
from ipp.api.description import describe
from ipp.api.metrics import Metrics
from ipp.api.wiring import Asked, By, Services


def create_whole_app(
    services: Services, metrics: Metrics, downloads: APIRouter, *, origins: Sequence[str] = ()
) -> FastAPI:
    """Build the application over ``services``; ``downloads`` is the operation that gives files.

    ``metrics`` is what ``services`` counts with; ``/metrics`` shows it. Pages of ``origins`` alone may call it from a
    browser.
    """
    parts = [part.router for part in (operations, events, rows, curves, configurations)]
    app = create_app(services, [*parts, downloads, _shown(metrics)], origins=origins)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # the framework's own way to say more
    docs.install(app)
    return app


def _shown(metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    def shown(asked: Asked, _by: By) -> Response:
        """What the process counted, and how the jobs stand."""
        return metrics.response(asked.jobs.standing())

    return router
