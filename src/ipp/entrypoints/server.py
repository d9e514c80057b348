"""The service on one machine: every part of it, put together and listening."""

from __future__ import annotations

import contextlib
import errno
import socket

import uvicorn

from ipp import console
from ipp.entrypoints.application import open_application
from ipp.entrypoints.json_log import log_as_json
from ipp.entrypoints.local_wiring import build_control_plane
from ipp.entrypoints.worker import run_worker_in_background
from ipp.errors import InvalidInputError
from ipp.jobs.unreadable_job import UnreadableJobs
from ipp.server.api import download_routes
from ipp.server.api.auth import TokenAuthenticator, build_authenticator
from ipp.server.api.claims import Authenticator
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.server.web import site
from ipp.server.web.oidc import OidcClient
from ipp.server.web.session import SessionAuthenticator
from ipp.settings import Settings


def serve_http(host: str, port: int) -> None:
    """Serve at ``host`` until it is interrupted; port 0 takes a free one.

    Raises `InvalidInputError` for a setting that cannot be used, or where nothing can listen there.
    """
    app = open_application()
    settings = app.settings
    listening = _bind_socket(host, port)
    with contextlib.closing(listening):
        bound = listening.getsockname()[1]
        identify, issuer = _build_authenticator(settings, host, bound)
        log_as_json()
        unreadable = UnreadableJobs()
        metrics = Metrics(unreadable)
        plane = build_control_plane(app, metrics.count_transition, unreadable)
        services = Services(plane.service, app.warehouse, app.runner.files, identify, metrics)
        downloads = download_routes.download_router(app.runner.lakehouse, app.runner.scratch)
        whole = create_full_app(services, metrics, downloads, origins=settings.origins)
        site.install_pages(whole, app.runner.scratch, app.runner.lakehouse, issuer)
        server = uvicorn.Server(
            uvicorn.Config(
                whole,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        shown = f"[{host}]" if ":" in host else host
        console.print_line(f"IPP en http://{shown}:{bound} (Ctrl-C termina)")
        with run_worker_in_background(plane):
            server.run(sockets=[listening])


def _build_authenticator(
    settings: Settings, host: str, port: int
) -> tuple[Authenticator, OidcClient | None]:
    """What tells callers apart, and where people sign in, if they do. Raises `InvalidInputError` as `build_authenticator`."""
    found = build_authenticator(
        host=host,
        port=port,
        issuer=settings.issuer,
        audience=settings.audience,
        jwks=settings.jwks_url,
    )
    if not isinstance(found, TokenAuthenticator):
        return found, None
    return SessionAuthenticator(found), OidcClient(
        settings.issuer, settings.audience, found, secret=settings.client_secret
    )


def _bind_socket(host: str, port: int) -> socket.socket:
    """Bind before anything starts, so that a port that is taken is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, for only then does asyncio send an answer's last part without waiting 40 ms for company.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        raise InvalidInputError(
            f"El puerto {port} de {host} ya está en uso."
            if taken
            else f"No se puede escuchar en {host}:{port}.",
            hint="Indique otro con --port (0 toma uno libre).",
        ) from None
    return listening
