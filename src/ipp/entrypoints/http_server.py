"""An HTTP server: its socket, who may call it, and the process that runs an application."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from ipp import console
from ipp.entrypoints.http_protocol import BoundedHttpProtocol, connection_limit
from ipp.errors import InvalidInputError
from ipp.server.api.auth import TokenAuthenticator, build_authenticator
from ipp.server.api.claims import Authenticator
from ipp.server.web.oidc import OidcClient
from ipp.server.web.session import SessionAuthenticator
from ipp.settings import WebSettings


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket at an address, bound before anything starts, so that a port in use is told.

    Port 0 takes a free one. Raises `InvalidInputError` if the address cannot be bound.
    """
    with contextlib.closing(_bind_socket(host, port)) as listening:
        yield listening


def build_server(app: FastAPI, keep_alive_seconds: int = 5) -> uvicorn.Server:
    """Return the server that runs ``app``, whose reader of files it starts.

    A connection without a request is closed after ``keep_alive_seconds``.
    """
    app.state.reader.warm_up()
    BoundedHttpProtocol.most = connection_limit()
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedHttpProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=5,
        )
    )


def announce_server(host: str, listening: socket.socket) -> None:
    """Print where the server is."""
    url_host = f"[{host}]" if ":" in host else host
    console.print_line(f"IPP en http://{url_host}:{bound_port(listening)} (Ctrl-C termina)")


def bound_port(listening: socket.socket) -> int:
    """Return the port of a bound socket."""
    port: int = listening.getsockname()[1]
    return port


def build_sign_in(
    settings: WebSettings, host: str, port: int
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
