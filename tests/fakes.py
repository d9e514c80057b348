"""The fakes we ship: an in-memory store, a simulated engine, and what makes either of them fail.

For tests of what is built on jobs, ours and others'.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import ClassVar

from typing_extensions import override

from ipp.errors import UnavailableError
from ipp.jobs.engines.engine import Engine, RunNotFoundError, RunState
from ipp.jobs.job import KEY_CLAIM_RETENTION, RUNNING_STATUSES, Job, JobStatus
from ipp.jobs.job_store import JobCursor, JobStore


class MemoryJobStore(JobStore):
    """A `JobStore` in a dictionary. ``written`` keeps every version of every job, oldest first."""

    instant: ClassVar = True

    def __init__(self) -> None:
        self.written: dict[str, list[Job]] = {}
        self._jobs: dict[str, Job] = {}
        self._keys: dict[str, tuple[str, dt.datetime]] = {}
        self._lock = threading.Lock()

    @override
    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job is not None and job.expires_at > now else None

    @override
    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        claim = self._keys.get(key)
        return None if claim is None else self.get_job(claim[0], now)

    @override
    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        with self._lock:
            named, claimed_at = self._keys.get(key, ("", None))
            if claimed_at is not None and (
                now - claimed_at < KEY_CLAIM_RETENTION or self.get_job(named, now) is not None
            ):
                return named
            self._keys[key] = (job_id, now)
            return job_id

    @override
    def create_job(self, job: Job, now: dt.datetime) -> bool:
        with self._lock:
            if self.get_job(job.job_id, now) is not None:
                return False
            self._store_job(job)
            return True

    @override
    def replace_job(self, job: Job) -> bool:
        with self._lock:
            stored = self._jobs.get(job.job_id)
            if stored is None or stored.version != job.version - 1:
                return False
            self._store_job(job)
            return True

    @override
    def list_jobs(
        self,
        *,
        owner: str | None,
        status: JobStatus | None,
        limit: int,
        after: JobCursor | None,
        now: dt.datetime,
    ) -> Sequence[Job]:

        def place(job: Job) -> tuple[dt.datetime, str]:
            return (job.created_at, job.job_id)

        found = sorted(
            (job for job in self._live_jobs(owner, now) if status in {None, job.status}),
            key=place,
            reverse=True,
        )
        if after is not None:
            found = [job for job in found if place(job) < (after.created_at, after.job_id)]
        return found[:limit]

    @override
    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        found = [job for job in self._live_jobs(owner, now) if not job.status.ended]
        return sorted(found, key=lambda job: (job.updated_at, job.job_id))[:limit]

    @override
    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        found = Counter(job.status for job in self._live_jobs(None, now))
        return {status: found[status] for status in RUNNING_STATUSES}

    def _live_jobs(self, owner: str | None, now: dt.datetime) -> list[Job]:
        with self._lock:
            jobs = list(self._jobs.values())
        return [job for job in jobs if job.expires_at > now and owner in {None, job.user.sub}]

    def _store_job(self, job: Job) -> None:
        self._jobs[job.job_id] = job
        self.written.setdefault(job.job_id, []).append(job)


class FakeEngine(Engine):
    """An `Engine` whose runs end after ``looks`` polls, as ``results`` says for a stage.

    ``effects`` lists every run that was really started, as (job_id, stage): the same token never
    adds a second. ``cancelled`` are the ids of runs that were stopped.
    """

    def __init__(
        self, *, looks: int = 2, results: Callable[[str, str], RunState] | None = None
    ) -> None:
        self.effects: list[tuple[str, str]] = []
        self.cancelled: set[str] = set()
        self.calls = 0
        self._looks = looks
        self.results = results or (lambda _job_id, _stage: RunState("TERMINATED", "SUCCESS"))
        self._runs: dict[str, tuple[str, str]] = {}
        self._seen: dict[str, int] = {}

    @override
    def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
        self.calls += 1
        run_id = f"run-{token}"
        if run_id not in self._runs:
            self._runs[run_id] = (job_id, stage)
            self.effects.append((job_id, stage))
        return run_id

    @override
    def run_state(self, run_id: str) -> RunState:
        self.calls += 1
        if run_id not in self._runs:
            raise RunNotFoundError(f"No existe la ejecución {run_id}.")
        if run_id in self.cancelled:
            return RunState("TERMINATED", "CANCELED")
        self._seen[run_id] = seen = self._seen.get(run_id, 0) + 1
        if seen <= self._looks:
            return RunState("PENDING" if seen == 1 else "RUNNING", done=seen - 1)
        return self.results(*self._runs[run_id])

    @override
    def cancel_run(self, run_id: str) -> None:
        self.calls += 1
        if self._seen.get(run_id, 0) <= self._looks:
            self.cancelled.add(run_id)


class CrashError(BaseException):
    """The process died here; like a kill, nothing between it and the top catches it."""


class FaultSchedule:
    """Faults chosen by a seed; ``meanwhile`` is what somebody else does at the same moment."""

    def __init__(
        self, seed: int, *, rate: float, meanwhile: Callable[[], object] | None = None
    ) -> None:
        self._random = Random(seed)  # repeatable, not secret
        self._rate = rate
        self._meanwhile = meanwhile
        self._inside = False

    def maybe_fail(self, *errors: Callable[[], BaseException]) -> None:
        """A boundary: maybe somebody else acts first, maybe one of ``errors`` is raised."""
        if self._meanwhile is not None and not self._inside and self._random.random() < self._rate:
            self._inside = True
            try:
                self._meanwhile()
            finally:
                self._inside = False
        if self._random.random() < self._rate:
            raise self._random.choice(errors)()


_LOST_ANSWER_ERRORS = (
    lambda: UnavailableError("Sin respuesta a tiempo."),
    lambda: UnavailableError("Demasiadas peticiones.", retry_after=1.0),
    lambda: UnavailableError("Error 500 del motor."),
    CrashError,
)


class FaultyEngine(Engine):
    """An engine that fails before the effect or after it, so that the answer is lost."""

    def __init__(self, engine: FakeEngine, faults: FaultSchedule) -> None:
        self._engine = engine
        self._faults = faults

    @override
    def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
        self._faults.maybe_fail(*_LOST_ANSWER_ERRORS)
        run_id = self._engine.submit_stage(stage, job_id, token, counters)
        self._faults.maybe_fail(*_LOST_ANSWER_ERRORS)
        return run_id

    @override
    def run_state(self, run_id: str) -> RunState:
        self._faults.maybe_fail(*_LOST_ANSWER_ERRORS)
        return self._engine.run_state(run_id)

    @override
    def cancel_run(self, run_id: str) -> None:
        self._faults.maybe_fail(*_LOST_ANSWER_ERRORS)
        self._engine.cancel_run(run_id)
        self._faults.maybe_fail(*_LOST_ANSWER_ERRORS)


class FaultyStore(JobStore):
    """A store whose caller dies before or after a write, and that may read what is no longer so."""

    instant: ClassVar = False

    def __init__(
        self, store: MemoryJobStore, faults: FaultSchedule, *, stale: Random | None = None
    ) -> None:
        self._store: JobStore = store
        self._history = store.written
        self._faults = faults
        self._stale = stale

    @override
    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        """The job, or a version of it that was written earlier."""
        job = self._store.get_job(job_id, now)
        if job is None or self._stale is None or self._stale.random() < 0.8:  # mostly fresh
            return job
        return self._stale.choice(self._history[job_id])

    @override
    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        return self._store.find_job(key, now)

    @override
    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        self._faults.maybe_fail(CrashError)
        named = self._store.claim_key(key, job_id, now)
        self._faults.maybe_fail(CrashError)
        return named

    @override
    def create_job(self, job: Job, now: dt.datetime) -> bool:
        self._faults.maybe_fail(CrashError)
        created = self._store.create_job(job, now)
        self._faults.maybe_fail(CrashError)
        return created

    @override
    def replace_job(self, job: Job) -> bool:
        self._faults.maybe_fail(CrashError)
        replaced = self._store.replace_job(job)
        self._faults.maybe_fail(CrashError)
        return replaced

    @override
    def list_jobs(
        self,
        *,
        owner: str | None,
        status: JobStatus | None,
        limit: int,
        after: JobCursor | None,
        now: dt.datetime,
    ) -> Sequence[Job]:
        return self._store.list_jobs(owner=owner, status=status, limit=limit, after=after, now=now)

    @override
    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        return self._store.list_unfinished(owner=owner, limit=limit, now=now)

    @override
    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        return self._store.count_by_status(now)
