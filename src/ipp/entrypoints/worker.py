"""``ipp worker``, and the background worker of ``ipp serve``."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from ipp import console
from ipp.entrypoints.application import open_application
from ipp.entrypoints.clock import utc_now
from ipp.entrypoints.home_rights import warn_of_open_home
from ipp.entrypoints.json_log import log_as_json
from ipp.entrypoints.local_wiring import ControlPlane, build_control_plane
from ipp.entrypoints.supervised_loop import SupervisedLoop
from ipp.errors import IppError

_LOG: Final = logging.getLogger("ipp.jobs")

_SWEEP_SECONDS: Final = 1.0
"""Seconds between two sweeps of the jobs that have not ended."""


def worker() -> int:
    """Añade un trabajador a esta máquina; Ctrl-C termina."""
    app = open_application()
    log_as_json()
    warn_of_open_home(app.home)
    plane = build_control_plane(app)
    stop, failed = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    console.print_line(f"Trabajador de {app.home} (Ctrl-C termina)")

    def give_up() -> None:
        failed.set()
        stop.set()

    working, sweeping = _supervised_loops(plane, stop, give_up)
    sweeper = sweeping.start()
    working.run()
    sweeper.join(timeout=5)
    if failed.is_set():
        raise LoopFailedError
    return 0


class LoopFailedError(IppError):
    """The worker, or what moves jobs on, failed again and again, so its process ends."""

    code = "trabajador_detenido"

    def __init__(self) -> None:
        super().__init__(
            "El trabajador falló varias veces seguidas, así que este proceso termina.",
            hint="La causa está en el registro; los procesos siguen en cuanto haya otro.",
        )


@contextlib.contextmanager
def run_worker_in_background(plane: ControlPlane, give_up: Callable[[], None]) -> Iterator[None]:
    """Run a worker and sweep the jobs in background threads while the block lasts.

    If one of them fails for good, ``give_up`` is called, and `LoopFailedError` is raised at the end
    of the block.
    """
    stop = threading.Event()
    loops = _supervised_loops(plane, stop, give_up)
    threads = [loop.start() for loop in loops]
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
    if any(loop.failed.is_set() for loop in loops):
        raise LoopFailedError


def _supervised_loops(
    plane: ControlPlane, stop: threading.Event, give_up: Callable[[], None]
) -> tuple[SupervisedLoop, SupervisedLoop]:
    """Return the loop that executes runs and the one that moves jobs on."""
    return (
        SupervisedLoop("worker", plane.worker.run_until, stop, give_up),
        SupervisedLoop("sweep", partial(_sweep_jobs, plane), stop, give_up),
    )


def _sweep_jobs(plane: ControlPlane, stop: threading.Event) -> None:
    while not stop.wait(_SWEEP_SECONDS):
        try:
            plane.reconciler.sweep_jobs(utc_now)
        except Exception:  # whatever one sweep met, the next is due in a second
            _LOG.exception("a look at the jobs failed")
