"""The use cases of jobs: validate, start, look up, list, cancel and read results."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ipp.core.parameters import Parameters
from ipp.errors import InvalidInputError, IppError, NotFoundError, shorten
from ipp.jobs.job import (
    Job,
    JobOwner,
    JobStatus,
    Stage,
    idempotency_key_id,
    new_stage_run,
    request_fingerprint,
)
from ipp.jobs.job_plan import Validation, plan_job, validate_counters
from ipp.jobs.job_spec import JobSpec, is_job_id, load_spec, save_spec
from ipp.jobs.job_store import JobCursor, JobStore
from ipp.jobs.published_job import job_of_spec, published_job, reconstruct_job
from ipp.jobs.reconciler import Reconciler
from ipp.jobs.unreadable_job import UnreadableJobError
from ipp.storage.files.file_store import FileStore
from ipp.storage.warehouse.warehouse import Warehouse

MAX_RUNNING_JOBS = 5
"""Default number of jobs that one caller may have running at a time."""


class IdempotencyConflictError(IppError):
    """The caller's idempotency key was already used for another request, that of ``job``."""

    code = "clave_repetida"

    def __init__(self, job: Job) -> None:
        super().__init__(
            "La clave Idempotency-Key ya se usó con otra petición.",
            hint="Use otra clave para otra petición.",
        )
        self.job = job


class TooManyJobsError(IppError):
    """The caller already has the maximum number of running jobs."""

    code = "demasiados_procesos"

    def __init__(self, running: int, *, retry_after: int) -> None:
        super().__init__(
            f"Ya tiene {running} procesos en marcha.",
            hint="Espere a que termine uno, o cancélelo, y repita.",
        )
        self.retry_after = retry_after


class JobEndedError(IppError):
    """The job has ended, so the operation is no longer possible."""

    code = "proceso_terminado"


class NotCompletedError(IppError):
    """The job has no results yet, or will have none."""

    code = "proceso_no_completado"

    def __init__(self, job: Job) -> None:
        super().__init__("Proceso no completado", hint=f"Su estado es {job.status}.")
        self.job = job


@dataclass(frozen=True, slots=True)
class Caller:
    """The user making a call.

    ``admin`` sees everybody's jobs; ``editor`` changes what everybody shares; ``local`` is the
    person at this machine.
    """

    user: JobOwner
    admin: bool = False
    local: bool = False
    editor: bool = False

    @property
    def may_edit(self) -> bool:
        """Whether the caller may change what everybody shares, such as the configurations."""
        return self.editor or self.admin or self.local

    @property
    def visible_owner(self) -> str | None:
        """The owner whose jobs the caller sees, None for all."""
        return None if self.admin else self.user.sub

    def may_see(self, owner: str) -> bool:
        """Return whether the caller sees a job of ``owner``; if empty, admin and local do."""
        return self.admin or (owner == self.user.sub if owner else self.local)


class JobService:
    """Jobs as callers see them: their own, refreshed from the engine when read.

    ``clock`` returns the moment in UTC, ``new_id`` an id never used before, ``recall`` the
    specification of a job, or None if it is gone. ``max_running`` is the number of jobs that one
    caller may have running at a time, None for any.
    """

    def __init__(
        self,
        store: JobStore,
        reconciler: Reconciler,
        warehouse: Warehouse,
        *,
        clock: Callable[[], dt.datetime],
        new_id: Callable[[], str],
        max_running: int | None = MAX_RUNNING_JOBS,
        recall: Callable[[str], JobSpec | None] = lambda _job_id: None,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._warehouse = warehouse
        self._clock = clock
        self._new_id = new_id
        self._max_running = max_running
        self._recall = recall

    def validate_counters(self, mostradores: tuple[int, ...] | None) -> Validation:
        """Split mostradores by whether they have a configuration; None requests all that do."""
        return validate_counters(mostradores, self._warehouse)

    def start_job(
        self,
        caller: Caller,
        mostradores: tuple[int, ...],
        parameters: Parameters,
        *,
        key: str | None = None,
        cutoff: dt.date | None = None,
    ) -> Job:
        """Store a job and submit its first stage; the same ``key`` and request return the same job.

        ``cutoff`` is the last day of sell-out that counts, None for the last there is. A crash at
        any point loses nothing and starts nothing twice: first the key is stored with the id of its
        job, then the job with the idempotency token of its first stage. Raises
        `NotConfiguredError`, `TooManyJobsError`, and `IdempotencyConflictError` for a key that was
        used for another request.
        """
        now = self._clock()
        fingerprint = request_fingerprint(mostradores, parameters)
        key_id = None if key is None else idempotency_key_id(caller.user.sub, key)
        known = None if key_id is None else self._store.find_job(key_id, now)
        if known is not None:
            return self._check_same_request(known, fingerprint, now)
        spec = plan_job(
            mostradores,
            parameters,
            self._warehouse,
            job_id=self._new_id(),
            created_at=now,
            cutoff=cutoff,
        )
        self._check_running(caller, now)
        job_id = spec.job_id if key_id is None else self._store.claim_key(key_id, spec.job_id, now)
        job = replace(
            job_of_spec(spec, JobStatus.JOB1_RUNNING),
            job_id=job_id,
            user=caller.user,
            fingerprint=fingerprint,
            stages=(new_stage_run(job_id, Stage.NORMALISER, now),),
        )
        if not self._store.create_job(job, now):
            stored = self._store.get_job(job_id, now)
            if stored is None:
                return job
            return self._check_same_request(stored, fingerprint, now)
        return self._reconciler.step_job(job_id, now) or job

    def resume_job(self, caller: Caller, job_id: str) -> Job:
        """Return the job so that it goes on: a failed one starts over, an unfinished one waits.

        A completed job is returned unchanged. A job that is no longer stored, such as one that an
        older version began on the command line, is stored again. Raises `NotFoundError`, and
        `JobEndedError` if it was cancelled.
        """
        job = self._recall_stored(caller, job_id)
        if job.status is JobStatus.CANCELLED:
            raise JobEndedError(
                f"El proceso {job_id} se canceló.", hint="Empiece otro con los mismos mostradores."
            )
        if job.status is not JobStatus.FAILED:
            return job
        return self._reopen(caller, job, ())

    def retry_job(self, caller: Caller, job_id: str) -> Job:
        """Start a completed job again for the mostradores that failed in it.

        Raises `NotFoundError`, `NotCompletedError`, and `InvalidInputError` if none failed.
        """
        job = self._recall_stored(caller, job_id)
        if job.status is not JobStatus.COMPLETED:
            raise NotCompletedError(job)
        failed = {int(row["mostrador"]) for row in self._warehouse.failed_counters(job_id)}
        # A retry that failed may have replaced the list of failures, but not the results.
        failed |= set(job.retried) if job.failure is not None else set()
        if not failed:
            raise InvalidInputError(
                f"Ningún mostrador de {job_id} falló.", hint="No hay nada que reintentar."
            )
        return self._reopen(caller, job, tuple(sorted(failed)))

    def job_status(self, caller: Caller, job_id: str) -> Job:
        """Return the job, advanced by one step if one is due.

        Raises `NotFoundError`, alike for a missing job and for another caller's, and
        `UnreadableJobError`.
        """
        job = self._visible_job(caller, job_id)
        return (
            job
            if job.status.ended
            else self._reconciler.step_job(job_id, self._clock()) or self._not_found_error(job_id)
        )

    def peek_status(self, caller: Caller, job_id: str) -> Job | None:
        """Return the job as `job_status` would, but without waiting, or None if that must wait.

        It must wait if a step may be due, or if the store is not ``instant``. Raises
        `NotFoundError`.
        """
        if not self._store.instant:
            return None
        now = self._clock()
        job = self._visible_job(caller, job_id)
        return None if self._reconciler.is_due(job, now) else job

    def list_jobs(
        self, caller: Caller, *, status: JobStatus | None, limit: int, after: JobCursor | None
    ) -> Sequence[Job]:
        """Return the caller's jobs, newest first."""
        return self._store.list_jobs(
            owner=caller.visible_owner, status=status, limit=limit, after=after, now=self._clock()
        )

    def count_by_status(self) -> Mapping[JobStatus, int]:
        """Count all callers' jobs in each status that is not final."""
        return self._store.count_by_status(self._clock())

    def cancel_job(self, caller: Caller, job_id: str) -> Job:
        """Request the cancellation of a job and take the first step towards it; idempotent.

        Raises `NotFoundError`, and `JobEndedError` if the job has already completed or failed.
        """
        job = self._visible_job(caller, job_id)
        while not job.cancel_requested:
            if job.status is JobStatus.CANCELLED:
                return job
            if job.status.ended:
                raise JobEndedError(
                    f"El proceso {job_id} ya terminó: {job.status}.",
                    hint="No hay nada que cancelar.",
                )
            cancelling = job.transition(self._clock(), cancel_requested=True, refreshed_at=None)
            if self._store.replace_job(cancelling):
                job = cancelling
            else:
                job = self._visible_job(caller, job_id)
        return self._reconciler.step_job(job_id, self._clock()) or self._not_found_error(job_id)

    def completed_job(self, caller: Caller, job_id: str) -> Job:
        """Return a job with results, even if expired.

        Raises `NotFoundError` or `NotCompletedError`.
        """
        # `job_status` reports an unreadable job to callers who may see it.
        with contextlib.suppress(UnreadableJobError):
            if self._store.get_job(job_id, self._clock()) is None:
                return self._forgotten(caller, job_id)
        job = self.job_status(caller, job_id)
        if job.status is not JobStatus.COMPLETED:
            raise NotCompletedError(job)
        return job

    def published(self, caller: Caller, job_id: str) -> Job:
        """Return the job as published, the same before and after it expires.

        Raises as `completed_job` does.
        """
        job = self.completed_job(caller, job_id)
        row = self._warehouse.publication(job_id)
        return job if row is None else published_job(row)

    def _reopen(self, caller: Caller, job: Job, retried: tuple[int, ...]) -> Job:
        """Store that the job starts again; if another caller came first, return their version."""
        if self._store.replace_job(job.reopen(self._clock(), retried)):
            return self.job_status(caller, job.job_id)
        return self._visible_job(caller, job.job_id)

    def _recall_stored(self, caller: Caller, job_id: str) -> Job:
        """Return a job, stored again if it is no longer stored. Raises `NotFoundError`."""
        now = self._clock()
        if self._store.get_job(job_id, now) is not None:
            return self.job_status(caller, job_id)
        try:
            job = self._forgotten(caller, job_id)
        except NotFoundError:
            job = self._unpublished(caller, job_id)
        owner = job.user if job.user.sub else caller.user
        self._store.create_job(replace(job, user=owner, updated_at=now), now)
        return self.job_status(caller, job_id)

    def _unpublished(self, caller: Caller, job_id: str) -> Job:
        """Return a job that left only its specification. Raises `NotFoundError`."""
        spec = self._recall(job_id) if is_job_id(job_id) else None
        if spec is None or not caller.may_see(spec.user_info.get("sub", "")):
            return self._not_found_error(job_id)
        return job_of_spec(spec, JobStatus.JOB1_RUNNING)

    def _forgotten(self, caller: Caller, job_id: str) -> Job:
        """Return a job that is no longer stored, rebuilt from its publication."""
        row = self._warehouse.publication(job_id) if is_job_id(job_id) else None
        if row is not None:
            job = published_job(row)
            return job if caller.may_see(job.user.sub) else self._not_found_error(job_id)
        if not caller.may_see("") or not is_job_id(job_id):
            return self._not_found_error(job_id)
        return reconstruct_job(
            job_id, self._warehouse, self._recall(job_id)
        ) or self._not_found_error(job_id)

    def _visible_job(self, caller: Caller, job_id: str) -> Job:
        try:
            job = self._store.get_job(job_id, self._clock())
        except UnreadableJobError as error:
            if caller.visible_owner in {None, error.owner}:
                raise
            return self._not_found_error(job_id)
        if job is None or caller.visible_owner not in {None, job.user.sub}:
            return self._not_found_error(job_id)
        return job

    def _check_same_request(self, job: Job, fingerprint: str, now: dt.datetime) -> Job:
        if job.fingerprint != fingerprint:
            raise IdempotencyConflictError(job)
        return self._reconciler.step_job(job.job_id, now) or job

    def _check_running(self, caller: Caller, now: dt.datetime) -> None:
        if self._max_running is None:
            return
        running = self._store.list_unfinished(
            owner=caller.user.sub, limit=self._max_running, now=now
        )
        if len(running) >= self._max_running:
            raise TooManyJobsError(len(running), retry_after=5)

    def _not_found_error(self, job_id: str) -> Job:
        raise NotFoundError("Job no encontrado", hint=f"Revise el job_id {shorten(job_id)}.")


def job_preparer(files: FileStore) -> Callable[[Job], None]:
    """Return the ``prepare`` of a `Reconciler`: write a job's specification beside its files."""

    def prepare(job: Job) -> None:
        save_spec(spec_of_job(job), files)

    return prepare


def spec_of_job(job: Job) -> JobSpec:
    """Return the specification that the stages of a job read."""
    return JobSpec(
        job_id=job.job_id,
        mostradores=job.mostradores,
        parameters=job.parameters,
        cutoff=job.cutoff,
        created_at=job.created_at,
        user_info=asdict(job.user),
        run_ids={run.stage.value: run.run_id for run in job.stages if run.run_id},
        retried=job.retried,
    )


def recalling(files: FileStore) -> Callable[[str], JobSpec | None]:
    """Return a function that loads a job's specification, or None if it is gone."""

    def recall(job_id: str) -> JobSpec | None:
        try:
            return load_spec(job_id, files)
        except NotFoundError:
            return None

    return recall
