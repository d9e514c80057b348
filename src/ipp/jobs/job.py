"""A job as a frozen value: its status, its three stages, and which status may follow which."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Any, Final

from ipp.core.parameters import Parameters

RETENTION: Final = dt.timedelta(days=7)
"""How long a job is stored after its last change."""

KEY_CLAIM_RETENTION: Final = RETENTION / 2
"""How long an idempotency key keeps the id of a job that is not there.

Whoever claimed it may still store the job. A job that was forgotten was claimed longer ago, even
by clocks that differ.
"""

MAX_TOKEN_CHARACTERS: Final = 64
"""Longest idempotency token that every engine takes."""


class JobStatus(StrEnum):
    """Where a job stands."""

    JOB1_RUNNING = "JOB1_RUNNING"
    """The normaliser is queued or running."""
    JOB1_DONE = "JOB1_DONE"
    """The normaliser has ended well."""
    PROCESSING = "PROCESSING"
    """The rounding factor is being applied."""
    JOB2_RUNNING = "JOB2_RUNNING"
    """Budget fit and publication."""
    COMPLETED = "COMPLETED"
    """Results are published."""
    FAILED = "FAILED"
    """A stage failed; the job's error says what, where and what to do."""
    CANCELLED = "CANCELLED"
    """Someone cancelled it."""

    @property
    def progress(self) -> int:
        """Percent, as the contract sets it."""
        return _PROGRESS_PERCENT[self]

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
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
"""Which status may follow which: a status only moves forward."""

RUNNING_STATUSES: Final = tuple(status for status in JobStatus if NEXT_STATUSES[status])
"""The statuses that are not an end, in the order a job has them."""


class Stage(Enum):
    """The three stages, by the word people read."""

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

    ``stage_token`` is decided and stored before the engine is called, ``run_id`` is what the engine answered.
    ``state`` is the engine's own word; ``warned`` that it was one nobody knows. ``done`` counts mostradores.
    Moments are UTC.
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
    """Why a job failed: what, where, and what to do about it, in Spanish."""

    what: str
    where: str
    hint: str


@dataclass(frozen=True, slots=True)
class JobOwner:
    """Who started a job. ``sub`` is the identity, the others are for people."""

    sub: str
    email: str = ""
    username: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored; every change is a new value with the next ``version``.

    ``request_fingerprint`` is of the request that made it. ``refreshed_at`` is when its engine was last asked.
    ``unknown`` is what another release stores with it, which is written back as it came.
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
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def expires_at(self) -> dt.datetime:
        """When the job may be forgotten."""
        return self.updated_at + RETENTION

    @property
    def current_stage(self) -> StageRun | None:
        """The stage that was begun last, None before the first."""
        return self.stages[-1] if self.stages else None

    def run_of(self, stage: Stage) -> StageRun | None:
        """The run of ``stage``, None where it was not begun."""
        return next((run for run in self.stages if run.stage is stage), None)

    def transition(self, now: dt.datetime, status: JobStatus | None = None, **changes: Any) -> Job:
        """The job with ``changes`` and, where given, a status that may follow; the version is one higher.

        Raises ValueError for a status that may not follow.
        """
        if (
            status is not None
            and status is not self.status
            and status not in NEXT_STATUSES[self.status]
        ):
            raise ValueError(f"{status} may not follow {self.status}")
        return replace(
            self, status=status or self.status, updated_at=now, version=self.version + 1, **changes
        )

    def stages_with_run(self, run: StageRun) -> tuple[StageRun, ...]:
        """The stages with ``run`` in the place of the one of the same stage, or after the last."""
        others = tuple(old for old in self.stages if old.stage is not run.stage)
        return (*others, run)


def stage_token(job_id: str, stage: Stage, attempt: int = 1) -> str:
    """The idempotency token of a stage of a job: the same for the same, at most `MAX_TOKEN_CHARACTERS` characters."""
    text = f"{job_id}-{stage.value}-{attempt}"
    if len(text) <= MAX_TOKEN_CHARACTERS:
        return text
    return f"ipp-{hashlib.sha256(text.encode()).hexdigest()[: MAX_TOKEN_CHARACTERS - 4]}"


_JOB_ID_NAMESPACE: Final = uuid.UUID("6f3c1c52-0b3b-5f0e-9c39-2a1f6a1f7b51")


def idempotency_key_id(sub: str, idempotency_key: str) -> str:
    """Return the name by which a store keeps a caller's idempotency key."""
    return str(uuid.uuid5(_JOB_ID_NAMESPACE, json.dumps([sub, idempotency_key])))


def request_fingerprint(mostradores: tuple[int, ...], parameters: Parameters) -> str:
    """Tells one request from another: of equal requests it is equal."""
    content = json.dumps([sorted(mostradores), parameters.to_labels()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
