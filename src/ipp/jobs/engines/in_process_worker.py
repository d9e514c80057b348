"""A worker that computes the runs of one job in its own process, for a command that waits."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ipp.errors import is_temporary
from ipp.jobs.engines.run_fence import RunFence
from ipp.jobs.engines.run_lease import LeaseState, RunLease
from ipp.jobs.engines.run_table import RunClaim, RunTable, new_worker_name
from ipp.storage.fence import SupersededError

_LOG: Final = logging.getLogger("ipp.jobs.engines")

_BEAT_SECONDS: Final = 1.0
"""Seconds between two heartbeats."""

ComputeRun = Callable[[RunClaim, Callable[[int], None]], None]
"""Compute the stage of a run, calling back with the number of mostradores that are done."""


class InProcessWorker:
    """Computes runs of the file at ``path`` by calling ``compute`` in the main thread.

    A heartbeat is written every second by another thread. A computation whose run is cancelled or
    lost is interrupted as Ctrl-C would, by a signal of our own. ``describe_error`` returns what to
    store of an error that a computation raises.
    """

    def __init__(
        self, path: Path, compute: ComputeRun, describe_error: Callable[[BaseException], str]
    ) -> None:
        self._path = path
        self._runs = RunTable(path)
        self._compute = compute
        self._describe_error = describe_error
        self._name = new_worker_name()

    def fence(self, claim: RunClaim) -> RunFence:
        """Return the fence of a run that this worker computes.

        This process is not registered in the run: it shows the job on, if another worker takes the
        run over, and so must not be ended.
        """
        return RunFence(self._path, claim.run_id, claim.number)

    def run_once(self, job_id: str) -> bool:
        """Compute the next run of a job; return False if none waits, or if it was cut short.

        An error of the computation ends the run as failed and is raised. KeyboardInterrupt, a
        machine without room and whatever else ends the process return the run to the queue and are
        raised.
        """
        claim = self._runs.claim_run(self._name, time.time(), job_id)
        if claim is None:
            return False
        heartbeat = _Heartbeat(RunLease(self._runs, claim))
        try:
            with heartbeat:
                self._compute(claim, heartbeat.count_done)
        except SupersededError:
            return False
        except BaseException as error:
            if heartbeat.lease_state is LeaseState.HELD:
                self._end_interrupted(heartbeat, error)
                raise
        if heartbeat.lease_state is LeaseState.HELD:
            heartbeat.run.end(succeeded=True, done=heartbeat.done)
        elif heartbeat.lease_state is LeaseState.CANCELLED:
            heartbeat.run.end(succeeded=False, done=heartbeat.done)
        return heartbeat.lease_state is LeaseState.HELD

    def _end_interrupted(self, heartbeat: _Heartbeat, error: BaseException) -> None:
        if isinstance(error, Exception) and not is_temporary(error):
            message = self._describe_error(error)
            heartbeat.run.end(succeeded=False, done=heartbeat.done, message=message)
        else:
            heartbeat.run.release()


class _Heartbeat:
    """Beats for a run while the block lasts; interrupts the main thread once it is not held."""

    def __init__(self, run: RunLease) -> None:
        self.run = run
        self.done = 0
        self.lease_state = LeaseState.HELD
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, daemon=True)

    def count_done(self, done: int) -> None:
        """Count the mostradores done. Raises KeyboardInterrupt if the run is no longer held.

        The signal alone is not enough: what it raises inside a library's callback is lost there.
        """
        if self.lease_state is not LeaseState.HELD:
            raise KeyboardInterrupt
        self.done = done

    def __enter__(self) -> None:
        self._previous = signal.signal(signal.SIGUSR1, signal.default_int_handler)
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        signal.signal(signal.SIGUSR1, self._previous)

    def _beat_until_stopped(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            try:
                self.lease_state = self.run.record_heartbeat(self.done)
            except BaseException:  # Without heartbeats another worker takes the run.
                _LOG.exception("run %s: its heartbeat failed", self.run.claim.run_id)
                self.lease_state = LeaseState.LOST
            if self.lease_state is not LeaseState.HELD:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                return
