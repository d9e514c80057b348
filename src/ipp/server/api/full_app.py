"""The whole contract in one application, with its description: what a server on one machine serves."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response

from ipp.server.api import (
    configuration_routes,
    curve_routes,
    docs_page,
    event_stream,
    job_routes,
    row_routes,
)
from ipp.server.api.app import create_app
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.metrics import Metrics
from ipp.server.api.openapi import describe_api


def create_full_app(
    services: Services, metrics: Metrics, downloads: APIRouter, *, origins: Sequence[str] = ()
) -> FastAPI:
    """Build the application over ``services``; ``downloads`` is the operation that gives files.

    ``metrics`` is what ``services`` counts with; ``/metrics`` shows it. Pages of ``origins`` alone may call it from a
    browser.
    """
    parts = [
        part.router
        for part in (job_routes, event_stream, row_routes, curve_routes, configuration_routes)
    ]
    app = create_app(services, [*parts, downloads, _metrics_router(metrics)], origins=origins)
    app.openapi = lambda: describe_api(app)  # type: ignore[method-assign]  # the framework's own way to say more
    docs_page.install_docs(app)
    return app


def _metrics_router(metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    def shown(asked: ServicesDep, _by: CallerDep) -> Response:
        """What the process counted, and how the jobs stand."""
        return metrics.render_metrics(asked.jobs.count_by_status())

    return router
