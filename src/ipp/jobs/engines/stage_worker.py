"""A worker: takes runs of the local engine, one at a time, and runs each in a process of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final

from ipp.errors import UnavailableError, reason_of
from ipp.jobs.engines.run_table import SILENCE, TERMINATING, Claim, Runs, worker_name
from ipp.jobs.engines.stage_process import StageProcess

_LOG: Final = logging.getLogger("ipp.jobs.engines")

_TICK: Final = 0.2
"""Seconds between two looks at whether the worker is to end."""
_GRACE: Final = 2.0
"""Seconds that a process which is asked to end has for it."""
_TOGETHER: Final = 0.5
"""Seconds within which whoever ends a machine's processes has told the worker too."""
_ATTEMPTS: Final = 3


MOST_CLAIMS: Final = 5
"""A stage that something kills is run again, until it has been begun this often: then that is how it fails."""


class _End(Enum):
    """How the watch over a process came to its end."""

    EXITED = auto()
    """It ended."""
    CANCELLED = auto()
    """Its run is to be cancelled."""
    STOPPED = auto()
    """The worker is to end."""
    LOST = auto()
    """The run is another worker's, or may be."""


class Worker:
    """Runs ``command STAGE JOB_ID`` for each run it takes from the file at ``path``.

    A run whose worker has not been heard of for ``silence`` seconds is taken over and run again. A heartbeat is
    written every ``beat`` seconds whatever the process does; while there is nothing to do, the file is looked at
    every ``poll`` seconds. The process's stderr is read for progress (JSON lines with ``hechos``) and for its
    error. ``clock`` gives epoch seconds.
    """

    def __init__(
        self,
        path: Path,
        command: Sequence[str],
        *,
        clock: Callable[[], float] = time.time,
        silence: float = SILENCE,
        beat: float = 1.0,
        poll: float = 0.2,
    ) -> None:
        self._runs = Runs(path, silence=silence)
        self._command = tuple(command)
        self._clock = clock
        self._silence = silence
        self._beat = beat
        self._poll = poll
        self._name = worker_name()

    def run_until(self, stop: threading.Event) -> None:
        """Run what there is to run until ``stop`` is set; a run that then is not done waits for another worker.

        ``stop`` may be set by a signal handler of the same thread. A file that cannot be used just now is tried
        again.
        """
        while not stop.is_set():
            try:
                busy = self.run_once(stop)
            except UnavailableError as error:
                _LOG.warning("worker %s: %s", self._name, error)
                busy = False
            if not busy:
                time.sleep(self._poll)  # not stop.wait: a signal handler that sets it would lock this thread up

    def run_once(self, stop: threading.Event | None = None) -> bool:
        """Take one run and see it through; False where there was none. Raises `UnavailableError`.

        Where ``stop`` is set, or an exception such as KeyboardInterrupt comes, its process is ended and the run
        waits again.
        """
        claim = self._runs.claim(self._name, self._clock())
        if claim is None:
            return False
        _LOG.info("worker %s: %s of %s, claim %d", self._name, claim.stage, claim.job_id, claim.number)
        try:
            process = StageProcess((*self._command, claim.stage, claim.job_id, claim.run_id))
        except OSError as error:
            self._end(claim, succeeded=False, message=f"No se pudo iniciar la etapa: {reason_of(error)}.", done=0)
            return True
        try:
            self._see_through(claim, process, stop or threading.Event())
        except BaseException:
            process.stop(_GRACE)
            self._give_back(claim)
            raise
        finally:
            process.close()
        return True

    def _see_through(self, claim: Claim, process: StageProcess, stop: threading.Event) -> None:
        end = self._watch(claim, process, stop)
        if end is _End.LOST:
            process.close()
            _LOG.warning("worker %s: lost run %s, claim %d", self._name, claim.run_id, claim.number)
            return
        if end is not _End.EXITED:
            process.stop(_GRACE)
        process.close()
        killed = process.status < 0 and claim.number < MOST_CLAIMS
        if process.status and (end is _End.STOPPED or (end is _End.EXITED and (killed or _told_too(stop)))):
            self._give_back(claim)
        elif process.status:
            self._end(claim, succeeded=False, message=process.failure(), done=process.done)
        else:
            self._end(claim, succeeded=True, message="", done=process.done)

    def _watch(self, claim: Claim, process: StageProcess, stop: threading.Event) -> _End:
        # A clock that does not go on while the machine sleeps, nor changes when its time is set.
        began = heard = time.monotonic()
        following = heard + self._beat
        while not process.ended(min(_TICK, self._beat)):
            if stop.is_set():
                return _End.STOPPED
            if time.monotonic() < following:
                continue
            asked = time.monotonic()
            try:
                state = self._runs.beat(claim, process.done, self._clock(), ran=asked - began)
            except UnavailableError as error:
                _LOG.warning("worker %s: no heartbeat: %s", self._name, error)
                if time.monotonic() - heard > self._silence:
                    return _End.LOST
            else:
                heard = asked
                if state is None:
                    return _End.LOST
                if state == TERMINATING:
                    return _End.CANCELLED
            following = time.monotonic() + self._beat
        return _End.EXITED

    def _end(self, claim: Claim, *, succeeded: bool, message: str, done: int) -> None:
        self._insist(
            lambda: self._runs.end(claim, succeeded=succeeded, message=message, done=done, now=self._clock()), claim
        )

    def _give_back(self, claim: Claim) -> None:
        self._insist(lambda: self._runs.give_back(claim, self._clock()), claim)

    def _insist(self, write: Callable[[], None], claim: Claim) -> None:
        """Write how a run ended; where that cannot be, it is taken over in a while and runs again."""
        for attempt in range(_ATTEMPTS):
            try:
                write()
            except UnavailableError as error:
                _LOG.warning("worker %s: end of run %s not written: %s", self._name, claim.run_id, error)
                time.sleep(0.1 * attempt)
            else:
                return


def _told_too(stop: threading.Event) -> bool:
    """Whether a worker whose stage failed is told to end just after: then both were, as in a shutdown."""
    give_up = time.monotonic() + _TOGETHER
    while not stop.is_set() and time.monotonic() < give_up:
        time.sleep(0.02)
    return stop.is_set()
