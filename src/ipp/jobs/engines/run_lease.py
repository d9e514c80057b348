"""A run that a worker holds: its heartbeats, and how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from ipp.errors import UnavailableError
from ipp.jobs.engines.run_table import HEARTBEAT_TIMEOUT_SECONDS, TERMINATING, RunClaim, RunTable

_LOG: Final = logging.getLogger("ipp.jobs.engines")

_WRITE_ATTEMPTS: Final = 3


class LeaseState(Enum):
    """Whether a worker still holds its run."""

    HELD = auto()
    CANCELLED = auto()
    """The run is being cancelled."""
    LOST = auto()
    """The run belongs to another worker, or may do so."""


class RunLease:
    """The run of ``claim`` in ``runs``, held by a worker from now on.

    Without a heartbeat for ``silence`` seconds another worker takes it over. ``clock`` returns
    epoch seconds.
    """

    def __init__(
        self,
        runs: RunTable,
        claim: RunClaim,
        *,
        clock: Callable[[], float] = time.time,
        silence: float = HEARTBEAT_TIMEOUT_SECONDS,
    ) -> None:
        self.claim = claim
        self._runs = runs
        self._clock = clock
        self._silence = silence
        # The monotonic clock stops while the machine sleeps and ignores changes of the time.
        self._started = self._heard = time.monotonic()

    def record_heartbeat(self, done: int) -> LeaseState:
        """Record that ``done`` mostradores are ready; return whether the run is still held."""
        now = time.monotonic()
        try:
            state = self._runs.record_heartbeat(
                self.claim, done, self._clock(), ran=now - self._started
            )
        except UnavailableError as error:
            _LOG.warning("run %s: no heartbeat: %s", self.claim.run_id, error)
            return (
                LeaseState.LOST
                if time.monotonic() - self._heard > self._silence
                else LeaseState.HELD
            )
        self._heard = now
        if state is None:
            return LeaseState.LOST
        return LeaseState.CANCELLED if state == TERMINATING else LeaseState.HELD

    def end(self, *, succeeded: bool, done: int, message: str = "") -> None:
        """End the run as succeeded, cancelled (if requested) or failed with a ``message``."""
        self._retry_write(
            lambda: self._runs.end_run(
                self.claim, succeeded=succeeded, message=message, done=done, now=self._clock()
            )
        )

    def release(self, *, died: bool = False, waits: bool = False) -> None:
        """Return the run to the queue, or end it if it is being cancelled.

        ``died`` says that a signal killed the process of its stage, ``waits`` that the machine had
        no room for it.
        """
        self._retry_write(
            lambda: self._runs.release_run(self.claim, self._clock(), died=died, waits=waits)
        )

    def _retry_write(self, write: Callable[[], None]) -> None:
        """Write how the run ended; if every attempt fails, another worker will take it over."""
        for attempt in range(_WRITE_ATTEMPTS):
            try:
                write()
            except UnavailableError as error:
                _LOG.warning("end of run %s not written: %s", self.claim.run_id, error)
                time.sleep(0.1 * attempt)
            else:
                return
