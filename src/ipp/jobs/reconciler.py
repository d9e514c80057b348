"""The reconciler, the only place where a job moves on.

It is level-triggered: `Reconciler.step_job` reads the stored job and the state of its run, does at
most one thing, and writes with optimistic locking. Anyone may call it, at any time, any number of
times, concurrently, and after a crash between any two of its lines:

- a request to the engine is stored, with its idempotency token, before it is sent;
- the engine starts one run per token, however often it is sent;
- a status only moves forward, and only from the version that was read.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ipp.errors import RefusedError, UnavailableError
from ipp.jobs.engines.engine import Engine, RunOutcome, RunState
from ipp.jobs.job import Job, JobFailure, JobStatus, Stage, StageRun, new_stage_run
from ipp.jobs.job_store import JobStore

_LOG: Final = logging.getLogger("ipp.jobs")

STAGE_DEADLINES: Final = {
    Stage.NORMALISER: dt.timedelta(hours=6),
    Stage.FACTOR: dt.timedelta(hours=2),
    Stage.PUBLICATION: dt.timedelta(hours=2),
}
"""How long a stage may run, as its engine counts it.

Time in a queue, or while the machine is off or asleep, does not count against the stage.
"""

REFRESH_INTERVAL: Final = dt.timedelta(seconds=1)
"""Minimum time between two refreshes of a job: a thousand readers cost the engine one call."""

STUCK_AFTER: Final = dt.timedelta(minutes=10)
"""A stage not submitted within this time is stuck: somebody should look at its engine."""

_MAX_STEPS: Final = 6
"""Maximum steps for one job in one call; ending a stage and starting the next takes four."""


class Reconciler:
    """Moves the jobs of a store on, one step at a time.

    ``prepare`` writes a job's specification where its stages read it; it is idempotent. ``watch``
    is called with each job whose status this reconciler changed.
    """

    def __init__(
        self,
        store: JobStore,
        engine: Engine,
        prepare: Callable[[Job], None],
        watch: Callable[[Job], None] = lambda _job: None,
    ) -> None:
        self._store = store
        self._engine = engine
        self._prepare = prepare
        self._watch = watch

    def step_job(self, job_id: str, now: dt.datetime, *, run_changed: bool = False) -> Job | None:
        """Take the next step of a job, if one is due; return the job, or None if there is none.

        ``run_changed`` says that its run has just changed, so that its state is due at once. If the
        engine is temporarily unavailable, the step is left for the next call.
        """
        job = self._store.get_job(job_id, now)
        if job is None or job.status.ended:
            return job
        try:
            return self._next_step(replace(job, refreshed_at=None) if run_changed else job, now)
        except UnavailableError as error:
            _LOG.info("engine not available for %s: %s", job_id, error.message)
            return self._store.get_job(job_id, now)

    def is_due(self, job: Job, now: dt.datetime) -> bool:
        """Return whether `step_job` would do more than read the job."""
        run = job.current_stage
        if job.status.ended or run is None or not run.run_id or job.status is JobStatus.JOB1_DONE:
            return not job.status.ended
        # A moment in the future comes from a clock that was set back since: do not wait for it.
        return job.refreshed_at is None or abs(now - job.refreshed_at) >= REFRESH_INTERVAL

    def settle_job(
        self, job_id: str, clock: Callable[[], dt.datetime], *, run_changed: bool = False
    ) -> Job | None:
        """Step a job until nothing is due or nothing changes; None if there is no such job.

        ``run_changed`` is that of `step_job`, for the first step.
        """
        job, version = None, 0
        for step in range(_MAX_STEPS):
            job = self.step_job(job_id, clock(), run_changed=run_changed and step == 0)
            if job is None or job.version == version or not self.is_due(job, clock()):
                break
            version = job.version
        return job

    def sweep_jobs(
        self,
        clock: Callable[[], dt.datetime],
        *,
        limit: int = 100,
        within: dt.timedelta = dt.timedelta(minutes=10),
    ) -> list[Job]:
        """Settle the jobs that have not ended, least recently changed first, while time remains.

        Return those that still have not ended.
        """
        start = clock()
        unfinished = []
        for waiting in self._store.list_unfinished(owner=None, limit=limit, now=start):
            if clock() - start > within:
                unfinished.append(waiting)
                continue
            try:
                job = self.settle_job(waiting.job_id, clock)
            except Exception:  # a job that cannot be moved must not block those behind it
                _LOG.exception("job %s could not be moved", waiting.job_id)
                unfinished.append(waiting)
                continue
            if job is not None and not job.status.ended:
                unfinished.append(job)
        return unfinished

    def _next_step(self, job: Job, now: dt.datetime) -> Job | None:
        run = job.current_stage
        if run is None:
            first = new_stage_run(job.job_id, Stage.NORMALISER, now, job.attempt)
            return self._write_step(job, job.transition(now, stages=(first,)), now)
        if job.status is JobStatus.JOB1_DONE:
            if job.cancel_requested:
                return self._write_step(job, _cancel_job(job, job.stages, now), now)
            return self._store_stage(job, Stage.FACTOR, now)
        if not run.run_id:
            return self._submit_stage(job, run, now)
        return self._refresh_run(job, run, now)

    def _store_stage(self, job: Job, stage: Stage, now: dt.datetime) -> Job | None:
        """Store that a stage is about to be submitted, before submitting it."""
        return self._write_step(
            job,
            job.transition(
                now,
                stage.running_status,
                stages=job.stages_with_run(new_stage_run(job.job_id, stage, now, job.attempt)),
                refreshed_at=None,
            ),
            now,
        )

    def _submit_stage(self, job: Job, run: StageRun, now: dt.datetime) -> Job | None:
        """Submit a stage without a known run; if it has started, the engine returns that run.

        Submit even if the job is to be cancelled: without a run id, a run that may have started
        could not be stopped.
        """
        stored = self._store.get_job(job.job_id, now)
        if stored is None or stored.version != job.version:
            return stored  # Somebody moved it on while this process slept: write nothing.
        self._prepare(job)
        try:
            run_id = self._engine.submit_stage(
                run.stage.value, job.job_id, run.token, len(job.computed_counters)
            )
        except RefusedError as error:
            return self._write_step(job, _fail_job(job, run, now, str(error)), now)
        return self._write_step(
            job, job.transition(now, stages=job.stages_with_run(replace(run, run_id=run_id))), now
        )

    def _refresh_run(self, job: Job, run: StageRun, now: dt.datetime) -> Job | None:
        """Read the state of the run, unless it was read recently, and move the job on."""
        if not self.is_due(job, now):
            return job
        claimed = job.transition(now, refreshed_at=now)
        if not self._store.replace_job(claimed):
            return self._store.get_job(job.job_id, now)
        if job.cancel_requested:
            self._engine.cancel_run(run.run_id)
        try:
            state = self._engine.run_state(run.run_id)
        except RefusedError as error:
            return self._write_step(claimed, _fail_job(claimed, run, now, str(error)), now)
        return self._write_step(claimed, self._apply_run_state(claimed, run, state, now), now)

    def _apply_run_state(self, job: Job, run: StageRun, state: RunState, now: dt.datetime) -> Job:
        """Return the job after its run was seen in ``state``."""
        seen = replace(run, state=state.state, url=state.url, done=max(run.done, state.done))
        match state.outcome:
            case RunOutcome.DONE:
                return _complete_stage(
                    job, replace(seen, ended_at=now, done=len(job.computed_counters)), now
                )
            case RunOutcome.FAILED if job.cancel_requested:
                return _cancel_job(job, job.stages_with_run(replace(seen, ended_at=now)), now)
            case RunOutcome.FAILED:
                return _fail_job(
                    job,
                    seen,
                    now,
                    state.message or f"La etapa terminó como {state.result or state.state}.",
                )
        if dt.timedelta(seconds=state.ran) > STAGE_DEADLINES[run.stage]:
            self._engine.cancel_run(run.run_id)
            hours = STAGE_DEADLINES[run.stage] // dt.timedelta(hours=1)
            return _fail_job(
                job, seen, now, f"La etapa pasó de {hours} horas en marcha y se detuvo."
            )
        if state.outcome is RunOutcome.UNKNOWN and not run.warned:
            _LOG.warning("job %s: its engine says %r, which nobody knows", job.job_id, state.state)
            seen = replace(seen, warned=True)
        return job.transition(now, stages=job.stages_with_run(seen))

    def _write_step(self, before: Job, after: Job, now: dt.datetime) -> Job | None:
        """Store a step; if another writer came first, return their version instead."""
        if not self._store.replace_job(after):
            return self._store.get_job(after.job_id, now)
        if after.status is not before.status:
            _LOG.info("job moved", extra={"job_id": after.job_id, "status": after.status.value})
            self._watch(after)
        return after


def is_stuck(job: Job, now: dt.datetime) -> bool:
    """Return whether an unfinished job has waited longer than it should, so somebody should look.

    Queueing time counts as well: being stuck does not make a job fail.
    """
    run = job.current_stage
    if run is None or run.started_at is None:
        return now - job.created_at > STUCK_AFTER
    return now - run.started_at > (STAGE_DEADLINES[run.stage] if run.run_id else STUCK_AFTER)


def _complete_stage(job: Job, run: StageRun, now: dt.datetime) -> Job:
    stages = job.stages_with_run(run)
    # Published results cannot be undone, so the job completes even if it was to be cancelled.
    if run.stage is Stage.PUBLICATION:
        return job.transition(now, JobStatus.COMPLETED, stages=stages)
    if job.cancel_requested:
        return _cancel_job(job, stages, now)
    if run.stage is Stage.NORMALISER:
        return job.transition(now, JobStatus.JOB1_DONE, stages=stages)
    following = new_stage_run(job.job_id, Stage.PUBLICATION, now, job.attempt)
    return job.transition(
        now, JobStatus.JOB2_RUNNING, stages=(*stages, following), refreshed_at=None
    )


def _cancel_job(job: Job, stages: tuple[StageRun, ...], now: dt.datetime) -> Job:
    """Return the job as cancelled; if it was a retry, its earlier results stay published."""
    status = JobStatus.COMPLETED if job.retried else JobStatus.CANCELLED
    return job.transition(now, status, stages=stages)


def _fail_job(job: Job, run: StageRun, now: dt.datetime, what: str) -> Job:
    """Return the job as failed; if it was a retry, its earlier results stay published."""
    status = JobStatus.COMPLETED if job.retried else JobStatus.FAILED
    failure = JobFailure(
        what=what,
        where=f"Etapa {run.stage.value}, ejecución {run.run_id}",
        hint="Corrija lo que dice el error y empiece el proceso otra vez; "
        "si se repite, avise a quien mantiene IPP.",
    )
    return job.transition(
        now,
        status,
        stages=job.stages_with_run(replace(run, ended_at=now)),
        failure=failure,
    )
