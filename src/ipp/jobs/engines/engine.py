"""The protocol that every engine implements."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from ipp.errors import RefusedError

TEMPORARY_STATUS: Final = 75
"""Exit status of a stage for which the machine has no room now (EX_TEMPFAIL of sysexits.h)."""


class RunOutcome(Enum):
    """The meaning of a run's state for its job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """An unknown state: the run continues, and it is reported once."""


_RUNNING_STATES = frozenset(
    {"PENDING", "QUEUED", "BLOCKED", "WAITING_FOR_RETRY", "RUNNING", "TERMINATING"}
)
_FAILED_STATES = frozenset({"SKIPPED", "INTERNAL_ERROR"})


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of a run: its life cycle word, its result once ended, and where to look.

    ``ran`` is how many seconds its stage has been running without interruption, by a clock that
    stops while the stage does: neither queueing nor a machine that is off or asleep counts. It is
    ignored when comparing states.
    """

    state: str
    result: str = ""
    message: str = ""
    url: str = ""
    done: int = 0
    ran: float = field(default=0.0, compare=False)

    @property
    def outcome(self) -> RunOutcome:
        """The outcome: of TERMINATED runs only SUCCESS is done, SUCCESS_WITH_FAILURES is not."""
        if self.state == "TERMINATED":
            return RunOutcome.DONE if self.result == "SUCCESS" else RunOutcome.FAILED
        if self.state in _FAILED_STATES:
            return RunOutcome.FAILED
        return RunOutcome.RUNNING if self.state in _RUNNING_STATES else RunOutcome.UNKNOWN


class RunNotFoundError(RefusedError):
    """The engine does not know the run, and never will."""

    code = "ejecucion_no_encontrada"


class Engine(Protocol):
    """Runs a stage of a job, once per token. A stage reads its job's specification by job id."""

    def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
        """Start ``stage`` of a job and return the run's id; the same token returns the same run.

        ``counters`` is how many mostradores it computes: of few, starting takes most of the time.

        Raises `UnavailableError` if it is unknown whether it started (retry with the same token),
        and `RefusedError` if it did not start and never will.
        """
        ...

    def run_state(self, run_id: str) -> RunState:
        """Return the state of the run. Raises `UnavailableError` or `RunNotFoundError`."""
        ...

    def cancel_run(self, run_id: str) -> None:
        """Stop the run and its children; do nothing if it has ended or does not exist.

        Raises `UnavailableError`.
        """
        ...
