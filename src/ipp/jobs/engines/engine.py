"""What an engine promises, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ipp.errors import RefusedError


class RunOutcome(Enum):
    """What an engine's word for the state of a run means to a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """A word nobody knows yet: the run goes on, and is reported once."""


_RUNNING_STATES = frozenset(
    {"PENDING", "QUEUED", "BLOCKED", "WAITING_FOR_RETRY", "RUNNING", "TERMINATING"}
)
_FAILED_STATES = frozenset({"SKIPPED", "INTERNAL_ERROR"})


@dataclass(frozen=True, slots=True)
class RunState:
    """What an engine says of a run: its life cycle word, its result once ended, and where to look.

    ``ran`` is for how many seconds its stage has been running without a break, by a clock that
    stands still while the stage does: queueing does not count, nor does a machine that is off or
    asleep. It is no part of what makes two states equal.
    """

    state: str
    result: str = ""
    message: str = ""
    url: str = ""
    done: int = 0
    ran: float = field(default=0.0, compare=False)

    @property
    def outcome(self) -> RunOutcome:
        """What it means: TERMINATED with SUCCESS alone is done, SUCCESS_WITH_FAILURES is not."""
        if self.state == "TERMINATED":
            return RunOutcome.DONE if self.result == "SUCCESS" else RunOutcome.FAILED
        if self.state in _FAILED_STATES:
            return RunOutcome.FAILED
        return RunOutcome.RUNNING if self.state in _RUNNING_STATES else RunOutcome.UNKNOWN


class RunNotFoundError(RefusedError):
    """The engine does not know the run: definite, it will not come back."""

    code = "ejecucion_no_encontrada"


class Engine(Protocol):
    """Runs a stage of a job, once for each token. What a job was asked lies beside its files, under its id."""

    def submit_stage(self, stage: str, job_id: str, token: str) -> str:
        """Start ``stage`` of a job and give the run's id; the same token gives the same run again.

        Raises `UnavailableError` where it is not known whether it was started: ask again with the same token; and
        `RefusedError` where it was not, and will not be.
        """
        ...

    def run_state(self, run_id: str) -> RunState:
        """How the run stands. Raises `UnavailableError`, or `RunNotFoundError` where there is no such run."""
        ...

    def cancel_run(self, run_id: str) -> None:
        """Stop the run and whatever it started; a run that has ended stays as it is. Raises `UnavailableError`."""
        ...
