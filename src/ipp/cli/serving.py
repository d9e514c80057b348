"""``ipp serve`` and ``ipp worker``: the service on one machine."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Annotated, Final

from cyclopts import Parameter

from ipp.api import download
from ipp.api.auth import TokenAuthenticator, authenticator
from ipp.api.claims import Authenticator
from ipp.api.metrics import Metrics
from ipp.api.whole import create_whole_app
from ipp.api.wiring import Services
from ipp.bootstrap.local import Control, control
from ipp.bootstrap.moments import utc_now
from ipp.cli import console
from ipp.cli.context import application
from ipp.cli.logs import log_as_json
from ipp.errors import InvalidInputError
from ipp.settings import Settings
from ipp.web import site
from ipp.web.issuer import Issuer
from ipp.web.session import Sessions

_LOG: Final = logging.getLogger("ipp.jobs")

_SWEEP: Final = 1.0
"""Seconds between two looks at every job that has not ended."""

_M_ARENA_MAX: Final = -8
"""What glibc's ``malloc.h`` calls the most arenas there may be."""
_ARENAS: Final = 2


def serve(
    *,
    host: Annotated[str, Parameter(help="Dirección en que se escucha.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Puerto; 0 toma uno libre.")] = 8_000,
) -> int:
    """Sirve IPP por HTTP en esta máquina, con un trabajador; Ctrl-C termina."""
    import uvicorn  # noqa: PLC0415  # 100 ms that a worker need not pay

    _keep_memory_together()
    app = application()
    settings = app.settings
    listening = _listen(host, port)
    with contextlib.closing(listening):
        bound = listening.getsockname()[1]
        identify, issuer = _identifying(settings, host, bound)
        log_as_json()
        metrics = Metrics()
        plane = control(app, metrics.moved)
        services = Services(plane.service, app.warehouse, app.workspace.files, identify, metrics)
        downloads = download.routes(app.workspace.lakehouse, app.workspace.scratch)
        whole = create_whole_app(services, metrics, downloads, origins=settings.origins)
        site.install(whole, app.workspace.scratch, app.workspace.lakehouse, issuer)
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
        console.say(f"IPP en http://{shown}:{bound} (Ctrl-C termina)")
        with _in_background(plane):
            server.run(sockets=[listening])
    return 0


def worker() -> int:
    """Añade un trabajador a esta máquina; Ctrl-C termina."""
    app = application()
    log_as_json()
    plane = control(app)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    console.say(f"Trabajador de {app.home} (Ctrl-C termina)")
    sweeper = threading.Thread(target=_sweep, args=(plane, stop), daemon=True)
    sweeper.start()
    plane.worker.run_until(stop)
    sweeper.join(timeout=5)
    return 0


def _identifying(settings: Settings, host: str, port: int) -> tuple[Authenticator, Issuer | None]:
    """What tells callers apart, and where people sign in, if they do. Raises `InvalidInputError` as `authenticator`."""
    found = authenticator(
        host=host, port=port, issuer=settings.issuer, audience=settings.audience, jwks=settings.jwks_url
    )
    if not isinstance(found, TokenAuthenticator):
        return found, None
    return Sessions(found), Issuer(settings.issuer, settings.audience, found, secret=settings.client_secret)


@contextlib.contextmanager
def _in_background(plane: Control) -> Iterator[None]:
    """A worker, and the steps of jobs that nobody looks at, while the block lasts."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=plane.worker.run_until, args=(stop,), daemon=True),
        threading.Thread(target=_sweep, args=(plane, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)


def _keep_memory_together() -> None:
    """Have all threads share two arenas, where glibc gives memory; elsewhere nothing.

    By itself it has eight for every core. Threads that read tables come and go by the dozen, each leaves its arena
    in pieces, and a server grew by a third in half an hour of the same work.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def _sweep(plane: Control, stop: threading.Event) -> None:
    while not stop.wait(_SWEEP):
        try:
            plane.reconciler.sweep(utc_now)
        except Exception:  # whatever one look met, the next is due in a second
            _LOG.exception("a look at the jobs failed")


def _listen(host: str, port: int) -> socket.socket:
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
            f"El puerto {port} de {host} ya está en uso." if taken else f"No se puede escuchar en {host}:{port}.",
            hint="Indique otro con --port (0 toma uno libre).",
        ) from None
    return listening
