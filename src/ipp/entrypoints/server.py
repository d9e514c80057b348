"""The HTTP server of one machine, with its worker."""

from __future__ import annotations

import contextlib
import errno
import socket

import uvicorn

from ipp import console
from ipp.entrypoints.application import open_application
from ipp.entrypoints.home_rights import warn_of_open_home
from ipp.entrypoints.http_protocol import BoundedHttpProtocol, connection_limit
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
    """Serve at ``host`` until interrupted; port 0 takes a free one.

    Raises `InvalidInputError` for an invalid setting, or if the address cannot be bound, and
    `LoopFailedError` if its worker failed for good.
    """
    app = open_application()
    settings = app.settings
    listening = _bind_socket(host, port)
    with contextlib.closing(listening):
        bound = listening.getsockname()[1]
        identify, issuer = _build_authenticator(settings, host, bound)
        log_as_json()
        warn_of_open_home(app.home)
        unreadable = UnreadableJobs()
        metrics = Metrics(unreadable)
        plane = build_control_plane(app, metrics.count_transition, unreadable)
        services = Services(plane.service, app.warehouse, app.runner.files, identify, metrics)
        downloads = download_routes.download_router(app.runner.scratch)
        full_app = create_full_app(services, metrics, downloads, origins=settings.origins)
        site.install_pages(full_app, app.runner.scratch, issuer)
        full_app.state.reader.warm_up()
        BoundedHttpProtocol.most = connection_limit()
        server = uvicorn.Server(
            uvicorn.Config(
                full_app,
                http=BoundedHttpProtocol,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        url_host = f"[{host}]" if ":" in host else host
        console.print_line(f"IPP en http://{url_host}:{bound} (Ctrl-C termina)")

        def give_up() -> None:
            server.should_exit = True

        with run_worker_in_background(plane, give_up):
            server.run(sockets=[listening])


def _build_authenticator(
    settings: Settings, host: str, port: int
) -> tuple[Authenticator, OidcClient | None]:
    """Return the authenticator, and the OIDC client if people sign in.

    Raises `InvalidInputError` as `build_authenticator` does.
    """
    authenticator = build_authenticator(
        host=host,
        port=port,
        issuer=settings.issuer,
        audience=settings.audience,
        jwks=settings.jwks_url,
    )
    if not isinstance(authenticator, TokenAuthenticator):
        return authenticator, None
    return SessionAuthenticator(authenticator), OidcClient(
        settings.issuer, settings.audience, authenticator, secret=settings.client_secret
    )


def _bind_socket(host: str, port: int) -> socket.socket:
    """Bind before anything starts, so that a port in use is reported at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is IPPROTO_TCP; without it, the last part of a
    # response waits 40 ms (Nagle's algorithm).
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
