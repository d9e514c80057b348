"""A worker that takes runs of the local engine, one at a time, and executes them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final

from ipp.errors import UnavailableError, describe_os_error, is_temporary
from ipp.jobs.engines.engine import TEMPORARY_STATUS
from ipp.jobs.engines.run_lease import LeaseState, RunLease
from ipp.jobs.engines.run_table import HEARTBEAT_TIMEOUT_SECONDS, RunTable, new_worker_name
from ipp.jobs.engines.stage_process import StageProcess

_LOG: Final = logging.getLogger("ipp.jobs.engines")

_POLL_SECONDS: Final = 0.2
"""Seconds between two checks of whether the worker should stop."""

_TERMINATION_GRACE_SECONDS: Final = 2.0
"""Seconds that a process has to end after SIGTERM, before SIGKILL."""

_SHUTDOWN_WINDOW_SECONDS: Final = 0.5
"""Seconds within which a shutdown that killed the stage also signals the worker."""

MOST_DEATHS: Final = 5
"""How many processes of a stage a signal kills before it fails; deaths of workers do not count."""

MOST_WAITS: Final = 720
"""How often a stage waits for room before it fails: at one pause each, an hour."""

_WAIT_PAUSE_SECONDS: Final = 5.0
"""Seconds to wait for room, such as on the disk, before a stage is tried again."""


class _WatchResult(Enum):
    """The reason why watching a process ended."""

    EXITED = auto()
    """The process ended."""
    CANCELLED = auto()
    """The run is being cancelled."""
    STOPPED = auto()
    """The worker should stop."""
    LOST = auto()
    """The run belongs to another worker, or may do so."""


class StageWorker:
    """Executes ``command STAGE JOB_ID RUN_ID CLAIM PATH`` for each run it claims from ``path``.

    A run whose worker has sent no heartbeat for ``silence`` seconds is taken over and run again. A
    heartbeat is written every ``beat`` seconds whatever the process does; an idle worker polls the
    file every ``poll`` seconds. The process's stderr is read for progress (JSON lines with
    ``hechos``) and for its error. ``clock`` returns epoch seconds.
    """

    def __init__(
        self,
        path: Path,
        command: Sequence[str],
        *,
        clock: Callable[[], float] = time.time,
        silence: float = HEARTBEAT_TIMEOUT_SECONDS,
        beat: float = 1.0,
        poll: float = 0.2,
    ) -> None:
        self._path = path.absolute()
        self._runs = RunTable(path, silence=silence)
        self._command = tuple(command)
        self._clock = clock
        self._silence = silence
        self._beat = beat
        self._poll = poll
        self._name = new_worker_name()

    def run_until(self, stop: threading.Event) -> None:
        """Execute runs until ``stop`` is set; an unfinished run returns to the queue.

        ``stop`` may be set by a signal handler of the same thread. A file that is temporarily
        unavailable is tried again.
        """
        while not stop.is_set():
            try:
                busy = self.run_once(stop)
            except UnavailableError as error:
                _LOG.warning("worker %s: %s", self._name, error)
                busy = False
            if not busy:
                # Not stop.wait: a signal handler of this thread that sets it would deadlock.
                time.sleep(self._poll)

    def run_once(self, stop: threading.Event | None = None) -> bool:
        """Execute one run; return False if there was none. Raises `UnavailableError`.

        If ``stop`` is set or an exception such as KeyboardInterrupt is raised, its process is
        stopped and the run returns to the queue.
        """
        claim = self._runs.claim_run(self._name, self._clock())
        if claim is None:
            return False
        _LOG.info(
            "worker %s: %s of %s, claim %d", self._name, claim.stage, claim.job_id, claim.number
        )
        run = RunLease(self._runs, claim, clock=self._clock, silence=self._silence)
        arguments = (
            claim.stage, claim.job_id, claim.run_id, str(claim.number), str(self._path)
        )  # fmt: skip
        try:
            process = StageProcess((*self._command, *arguments))
        except OSError as error:
            message = f"No se pudo iniciar la etapa: {describe_os_error(error)}."
            if is_temporary(error):
                _wait_for_room(run, 0, message, stop or threading.Event())
            else:
                run.end(succeeded=False, done=0, message=message)
            return True
        try:
            self._supervise_run(run, process, stop or threading.Event())
        except BaseException:
            process.stop(_TERMINATION_GRACE_SECONDS)
            run.release()
            raise
        finally:
            process.close()
        return True

    def _supervise_run(self, run: RunLease, process: StageProcess, stop: threading.Event) -> None:
        end = self._watch_process(run, process, stop)
        if end is _WatchResult.LOST:
            process.close()
            _LOG.warning("worker %s: lost run %s", self._name, run.claim)
            return
        if end is not _WatchResult.EXITED:
            process.stop(_TERMINATION_GRACE_SECONDS)
        process.close()
        stopped = end is _WatchResult.STOPPED
        exited = end is _WatchResult.EXITED and process.status != 0
        if process.status and (stopped or (exited and _is_shutting_down(stop))):
            run.release()
        elif exited and process.status < 0 and run.claim.deaths + 1 < MOST_DEATHS:
            run.release(died=True)
        elif exited and process.status == TEMPORARY_STATUS:
            _wait_for_room(run, process.done, process.failure_message(), stop)
        elif process.status:
            run.end(succeeded=False, done=process.done, message=process.failure_message())
        else:
            run.end(succeeded=True, done=process.done)

    def _watch_process(
        self, run: RunLease, process: StageProcess, stop: threading.Event
    ) -> _WatchResult:
        # The monotonic clock stops while the machine sleeps and ignores changes of the time.
        following = time.monotonic() + self._beat
        while not process.wait_for_end(min(_POLL_SECONDS, self._beat)):
            if stop.is_set():
                return _WatchResult.STOPPED
            if time.monotonic() < following:
                continue
            lease_state = run.record_heartbeat(process.done)
            if lease_state is not LeaseState.HELD:
                lost = lease_state is LeaseState.LOST
                return _WatchResult.LOST if lost else _WatchResult.CANCELLED
            following = time.monotonic() + self._beat
        return _WatchResult.EXITED


def _wait_for_room(run: RunLease, done: int, message: str, stop: threading.Event) -> None:
    """Return a run that the machine has no room for to the queue; end it if it waited too often."""
    if run.claim.waits + 1 >= MOST_WAITS:
        run.end(succeeded=False, done=done, message=message)
        return
    _LOG.warning("run %s of %s waits: %s", run.claim.run_id, run.claim.job_id, message)
    run.release(waits=True)
    give_up = time.monotonic() + _WAIT_PAUSE_SECONDS
    while not stop.is_set() and time.monotonic() < give_up:
        time.sleep(_POLL_SECONDS)


def _is_shutting_down(stop: threading.Event) -> bool:
    """Return whether the worker is told to stop right after its stage failed, as in a shutdown."""
    give_up = time.monotonic() + _SHUTDOWN_WINDOW_SECONDS
    while not stop.is_set() and time.monotonic() < give_up:
        time.sleep(0.02)
    return stop.is_set()
