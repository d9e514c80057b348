"""``ipp worker``, and the background worker of ``ipp serve``."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Final

from ipp import console
from ipp.entrypoints.application import open_application
from ipp.entrypoints.clock import utc_now
from ipp.entrypoints.json_log import log_as_json
from ipp.entrypoints.local_wiring import ControlPlane, build_control_plane

_LOG: Final = logging.getLogger("ipp.jobs")

_SWEEP_SECONDS: Final = 1.0
"""Seconds between two sweeps of the jobs that have not ended."""


def worker() -> int:
    """Añade un trabajador a esta máquina; Ctrl-C termina."""
    app = open_application()
    log_as_json()
    plane = build_control_plane(app)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    console.print_line(f"Trabajador de {app.home} (Ctrl-C termina)")
    sweeper = threading.Thread(target=_sweep_jobs, args=(plane, stop), daemon=True)
    sweeper.start()
    plane.worker.run_until(stop)
    sweeper.join(timeout=5)
    return 0


@contextlib.contextmanager
def run_worker_in_background(plane: ControlPlane) -> Iterator[None]:
    """Run a worker and sweep the jobs in background threads while the block lasts."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=plane.worker.run_until, args=(stop,), daemon=True),
        threading.Thread(target=_sweep_jobs, args=(plane, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)


def _sweep_jobs(plane: ControlPlane, stop: threading.Event) -> None:
    while not stop.wait(_SWEEP_SECONDS):
        try:
            plane.reconciler.sweep_jobs(utc_now)
        except Exception:  # whatever one sweep met, the next is due in a second
            _LOG.exception("a look at the jobs failed")
