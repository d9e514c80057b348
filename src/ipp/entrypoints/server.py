"""The HTTP server of one machine, with its worker."""

from __future__ import annotations

from ipp.entrypoints.application import open_application
from ipp.entrypoints.home_rights import warn_of_open_home
from ipp.entrypoints.http_server import (
    announce_server,
    bound_port,
    build_server,
    build_sign_in,
    listen,
)
from ipp.entrypoints.json_log import log_as_json
from ipp.entrypoints.local_wiring import build_control_plane
from ipp.entrypoints.worker import run_worker_in_background
from ipp.jobs.unreadable_job import UnreadableJobs
from ipp.server.api import download_routes
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.server.web import site


def serve_http(host: str, port: int) -> None:
    """Serve this machine at ``host`` until interrupted; port 0 takes a free one.

    Raises `InvalidInputError` for an invalid setting, or if the address cannot be bound, and
    `LoopFailedError` if its worker failed for good.
    """
    app = open_application()
    with listen(host, port) as listening:
        identify, issuer = build_sign_in(app.settings.web, host, bound_port(listening))
        log_as_json()
        warn_of_open_home(app.home)
        unreadable = UnreadableJobs()
        metrics = Metrics(unreadable)
        plane = build_control_plane(app, metrics.count_transition, unreadable)
        services = Services(plane.service, app.warehouse, app.runner.files, identify, metrics)
        scratch = app.runner.scratch
        downloads = download_routes.download_router(scratch)
        full_app = create_full_app(services, metrics, downloads, origins=app.settings.web.origins)
        site.install_pages(full_app, scratch, issuer)
        server = build_server(full_app)
        announce_server(host, listening)

        def give_up() -> None:
            server.should_exit = True

        with run_worker_in_background(plane, give_up):
            server.run(sockets=[listening])
