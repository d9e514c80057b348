"""The whole contract in one application, with its description: what a server on one machine serves."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response

from ipp.server.api import configuration_routes, curve_routes, docs_page, event_stream, job_routes, row_routes
from ipp.server.api.app import create_app
from ipp.server.api.dependencies import Asked, By, Services
from ipp.server.api.metrics import Metrics
from ipp.server.api.openapi import describe


def create_whole_app(
    services: Services, metrics: Metrics, downloads: APIRouter, *, origins: Sequence[str] = ()
) -> FastAPI:
    """Build the application over ``services``; ``downloads`` is the operation that gives files.

    ``metrics`` is what ``services`` counts with; ``/metrics`` shows it. Pages of ``origins`` alone may call it from a
    browser.
    """
    parts = [part.router for part in (job_routes, event_stream, row_routes, curve_routes, configuration_routes)]
    app = create_app(services, [*parts, downloads, _shown(metrics)], origins=origins)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # the framework's own way to say more
    docs_page.install(app)
    return app


def _shown(metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    def shown(asked: Asked, _by: By) -> Response:
        """What the process counted, and how the jobs stand."""
        return metrics.response(asked.jobs.standing())

    return router
