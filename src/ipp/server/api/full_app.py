"""The application with every route and its OpenAPI description, as one server runs it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response

from ipp.server.api import (
    change_routes,
    configuration_routes,
    curve_routes,
    docs_page,
    event_stream,
    job_routes,
    row_routes,
)
from ipp.server.api.app import create_app
from ipp.server.api.compression import Compression
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.metrics import Metrics
from ipp.server.api.openapi import describe_api
from ipp.server.api.query_parameter import StrictRoute


def create_full_app(
    services: Services, metrics: Metrics, downloads: APIRouter, *, origins: Sequence[str] = ()
) -> FastAPI:
    """Build the application over ``services``, with ``downloads`` as the download route.

    ``metrics`` is what ``services`` counts with, served at ``/metrics``. CORS allows ``origins``
    only.
    """
    parts = [
        part.router
        for part in (
            job_routes,
            event_stream,
            row_routes,
            curve_routes,
            configuration_routes,
            change_routes,
        )
    ]
    app = create_app(services, [*parts, downloads, _metrics_router(metrics)], origins=origins)
    app.add_middleware(Compression)
    app.openapi = lambda: describe_api(app)  # type: ignore[method-assign]  # as FastAPI documents
    docs_page.install_docs(app)
    return app


def _metrics_router(metrics: Metrics) -> APIRouter:
    router = APIRouter(route_class=StrictRoute)

    @router.get("/metrics", include_in_schema=False)
    def render_metrics(services: ServicesDep, _caller: CallerDep) -> Response:
        """Return the process's metrics and the number of jobs by status."""
        return metrics.render_metrics(services.jobs.count_by_status())

    return router
