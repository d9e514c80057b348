"""A job as a frozen value: its status, its three stages, and which status may follow which."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from ipp.core.parameters import Parameters

RETENTION: Final = dt.timedelta(days=7)
"""How long a job that has ended is stored after its last change."""

UNFINISHED_RETENTION: Final = dt.timedelta(days=365)
"""How long one that has not is: a machine may be off for weeks, and its jobs go on after that."""

CLOCK_MARGIN: Final = dt.timedelta(days=1)
"""How long what has expired is left in place: a clock set forward by hours deletes nothing."""

KEY_CLAIM_RETENTION: Final = RETENTION / 2
"""How long an idempotency key keeps the id of a job that is not stored.

Its claimant may still store the job. The claim of an expired job is always older than this, even
if clocks differ.
"""

MAX_TOKEN_CHARACTERS: Final = 64
"""The longest idempotency token that every engine accepts."""


class JobStatus(StrEnum):
    """The status of a job."""

    JOB1_RUNNING = "JOB1_RUNNING"
    """The normaliser is queued or running."""
    JOB1_DONE = "JOB1_DONE"
    """The normaliser has succeeded."""
    PROCESSING = "PROCESSING"
    """The rounding factor is being applied."""
    JOB2_RUNNING = "JOB2_RUNNING"
    """The budget is being fitted and the results published."""
    COMPLETED = "COMPLETED"
    """Results are published."""
    FAILED = "FAILED"
    """A stage failed; the job's error says what, where and what to do."""
    CANCELLED = "CANCELLED"
    """Someone cancelled it."""

    @property
    def progress(self) -> int:
        """Progress in percent, as the contract defines it."""
        return _PROGRESS_PERCENT[self]

    @property
    def ended(self) -> bool:
        """True if no other status follows, unless someone starts the job again."""
        return not NEXT_STATUSES[self]


_PROGRESS_PERCENT: Final[Mapping[JobStatus, int]] = {
    JobStatus.JOB1_RUNNING: 25,
    JobStatus.JOB1_DONE: 40,
    JobStatus.PROCESSING: 60,
    JobStatus.JOB2_RUNNING: 80,
    JobStatus.COMPLETED: 100,
    JobStatus.FAILED: 0,
    JobStatus.CANCELLED: 0,
}

_STOPPED_STATUSES: Final = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})

NEXT_STATUSES: Final[Mapping[JobStatus, frozenset[JobStatus]]] = {
    JobStatus.JOB1_RUNNING: frozenset({JobStatus.JOB1_DONE}) | _STOPPED_STATUSES,
    JobStatus.JOB1_DONE: frozenset({JobStatus.PROCESSING}) | _STOPPED_STATUSES,
    JobStatus.PROCESSING: frozenset({JobStatus.JOB2_RUNNING}) | _STOPPED_STATUSES,
    JobStatus.JOB2_RUNNING: frozenset({JobStatus.COMPLETED}) | _STOPPED_STATUSES,
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
"""The statuses that may follow each status, which only moves forward within an attempt."""

RUNNING_STATUSES: Final = tuple(status for status in JobStatus if NEXT_STATUSES[status])
"""The statuses that are not final, in the order that a job passes through them."""


class Stage(StrEnum):
    """The three stages of a job, by the word that people read."""

    NORMALISER = "normalizador"
    FACTOR = "factor"
    PUBLICATION = "publicacion"

    @property
    def running_status(self) -> JobStatus:
        """The status of a job while this stage runs."""
        return _RUNNING_STATUS_BY_STAGE[self]


_RUNNING_STATUS_BY_STAGE: Final[Mapping[Stage, JobStatus]] = {
    Stage.NORMALISER: JobStatus.JOB1_RUNNING,
    Stage.FACTOR: JobStatus.PROCESSING,
    Stage.PUBLICATION: JobStatus.JOB2_RUNNING,
}


@dataclass(frozen=True, slots=True)
class StageRun:
    """One stage of a job on its engine.

    ``token`` is the idempotency token, stored before the engine is called; ``run_id`` is the
    engine's answer. ``state`` is the engine's own word, and ``warned`` says that an unknown word
    was already reported. ``done`` counts mostradores. Moments are UTC.
    """

    stage: Stage
    token: str
    run_id: str = ""
    url: str = ""
    state: str = "PENDING"
    done: int = 0
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    warned: bool = False


@dataclass(frozen=True, slots=True)
class JobFailure:
    """The reason why a job failed: what, where, and what to do about it, in Spanish."""

    what: str
    where: str
    hint: str


@dataclass(frozen=True, slots=True)
class JobOwner:
    """The user who started a job. ``sub`` is the identity, the other fields are for people."""

    sub: str
    email: str = ""
    username: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored; every change is a new value with the next ``version``.

    ``fingerprint`` is the `request_fingerprint` of its request. ``refreshed_at`` is when its engine
    was last queried. ``attempt`` counts how often it was started, from 1. ``retried`` are the
    mostradores that this attempt computes, those that had failed in a completed job; empty if it
    computes all. ``unknown`` holds attributes of another release, written back unchanged.
    """

    job_id: str
    user: JobOwner
    mostradores: tuple[int, ...]
    parameters: Parameters
    cutoff: dt.date
    fingerprint: str
    created_at: dt.datetime
    updated_at: dt.datetime
    status: JobStatus = JobStatus.JOB1_RUNNING
    stages: tuple[StageRun, ...] = ()
    failure: JobFailure | None = None
    cancel_requested: bool = False
    refreshed_at: dt.datetime | None = None
    version: int = 1
    attempt: int = 1
    retried: tuple[int, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def expires_at(self) -> dt.datetime:
        """The moment when the job expires."""
        return self.updated_at + (RETENTION if self.status.ended else UNFINISHED_RETENTION)

    @property
    def current_stage(self) -> StageRun | None:
        """The run of the stage that started last, None before the first."""
        return self.stages[-1] if self.stages else None

    @property
    def computed_counters(self) -> tuple[int, ...]:
        """The mostradores that this attempt computes."""
        return self.retried or self.mostradores

    def run_of(self, stage: Stage) -> StageRun | None:
        """Return the run of ``stage``, or None if it has not started."""
        return next((run for run in self.stages if run.stage is stage), None)

    def transition(self, now: dt.datetime, status: JobStatus | None = None, **changes: Any) -> Job:
        """Return the job with ``changes``, the next version and, if given, a new ``status``.

        Raises ValueError for a status that may not follow.
        """
        if status not in {None, self.status} | NEXT_STATUSES[self.status] and not (
            # A retry that fails or is cancelled leaves the results that were there.
            status is JobStatus.COMPLETED and self.retried and not self.status.ended
        ):
            raise ValueError(f"{status} may not follow {self.status}")
        return replace(
            self, status=status or self.status, updated_at=now, version=self.version + 1, **changes
        )

    def reopen(self, now: dt.datetime, retried: tuple[int, ...] = ()) -> Job:
        """Return the ended job as it starts again, for all or only the ``retried`` mostradores.

        Raises ValueError for a job that is running or was cancelled.
        """
        if self.status not in {JobStatus.FAILED, JobStatus.COMPLETED}:
            raise ValueError(f"a job that is {self.status} is not started again")
        attempt = self.attempt + 1
        return replace(
            self,
            status=JobStatus.JOB1_RUNNING,
            stages=(new_stage_run(self.job_id, Stage.NORMALISER, now, attempt),),
            failure=None,
            cancel_requested=False,
            refreshed_at=None,
            updated_at=now,
            version=self.version + 1,
            attempt=attempt,
            retried=retried,
        )

    def stages_with_run(self, run: StageRun) -> tuple[StageRun, ...]:
        """Return the runs with ``run`` last, replacing any earlier run of its stage."""
        others = tuple(old for old in self.stages if old.stage is not run.stage)
        return (*others, run)


def new_stage_run(job_id: str, stage: Stage, now: dt.datetime, attempt: int = 1) -> StageRun:
    """Return the run of a stage as stored before it is submitted."""
    return StageRun(stage=stage, token=stage_token(job_id, stage, attempt), started_at=now)


def stage_token(job_id: str, stage: Stage, attempt: int = 1) -> str:
    """Return the deterministic idempotency token of a stage, within `MAX_TOKEN_CHARACTERS`."""
    text = f"{job_id}-{stage.value}-{attempt}"
    if len(text) <= MAX_TOKEN_CHARACTERS:
        return text
    return f"ipp-{hashlib.sha256(text.encode()).hexdigest()[: MAX_TOKEN_CHARACTERS - 4]}"


_JOB_ID_NAMESPACE: Final = uuid.UUID("6f3c1c52-0b3b-5f0e-9c39-2a1f6a1f7b51")


def idempotency_key_id(sub: str, idempotency_key: str) -> str:
    """Return the name under which a store keeps a caller's idempotency key."""
    return str(uuid.uuid5(_JOB_ID_NAMESPACE, json.dumps([sub, idempotency_key])))


_HASHED_AS_NULL: Final[Mapping[str, None]] = {"factor_forzado": None, "monto_deseado": None}
"""The parameters that a fingerprint has as null where they were not given.

The first release hashed every parameter, so its keys are recognised by this one, and after a
rollback those of this one by it. Later parameters are left out where they were not given.
"""


def request_fingerprint(mostradores: tuple[int, ...], parameters: Parameters) -> str:
    """Return a hash of a request, equal for equal requests whatever the order of mostradores.

    Releases that have further optional parameters return the same for a request without them.
    """
    document = {**_HASHED_AS_NULL, **parameters.to_document()}
    content = json.dumps([sorted(mostradores), document], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
