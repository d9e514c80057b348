"""The one place where a job moves on.

Level-triggered: `Reconciler.step` looks at a job as it is stored and at its run as its engine tells it, does at
most one thing, and writes on condition that nobody wrote meanwhile. It may be called by anyone, at any time, any
number of times, by several at once, and after a crash between any two of its lines:

- what is about to be asked of the engine, with its token, is stored before it is asked;
- the engine gives one run for a token, however often it is asked;
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
from ipp.jobs.job import Job, JobFailure, JobStatus, Stage, StageRun, stage_token
from ipp.jobs.job_store import JobStore

_LOG: Final = logging.getLogger("ipp.jobs")

STAGE_DEADLINES: Final = {
    Stage.NORMALISER: dt.timedelta(hours=6),
    Stage.FACTOR: dt.timedelta(hours=2),
    Stage.PUBLICATION: dt.timedelta(hours=2),
}
"""How long a stage may run, as its engine counts it.

Waiting for its turn, and a machine that is off or asleep, are no fault of the stage.
"""

REFRESH_INTERVAL: Final = dt.timedelta(seconds=1)
"""A job that was refreshed this recently is not asked for again: a thousand readers cost the engine one call."""


STUCK_AFTER: Final = dt.timedelta(minutes=10)
"""A stage that was not asked for within so long is stuck: somebody should look at its engine."""

_MAX_STEPS: Final = 6
"""Things that are done for one job in one go, at most: the end of one stage and the start of the next are four."""


class Reconciler:
    """Moves the jobs of a store on, one thing at a time.

    ``prepare`` lays out what a job was asked where its stages find it, and may be called again. ``watch`` is told
    each job that this reconciler brought to another status.
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

    def step_job(self, job_id: str, now: dt.datetime) -> Job | None:
        """Do what is next for a job, if anything is, and give it back as it then is; None where there is none.

        What the engine cannot answer just now is left for the next call.
        """
        job = self._store.get_job(job_id, now)
        if job is None or job.status.ended:
            return job
        try:
            return self._next_step(job, now)
        except UnavailableError as error:
            _LOG.info("engine not available for %s: %s", job_id, error.message)
            return self._store.get_job(job_id, now)

    def is_due(self, job: Job, now: dt.datetime) -> bool:
        """Whether `step` would do anything but read the job again."""
        run = job.current_stage
        if job.status.ended or run is None or not run.run_id or job.status is JobStatus.JOB1_DONE:
            return not job.status.ended
        # A moment that lies ahead is of a clock that was set back since: it is not waited for.
        return job.refreshed_at is None or abs(now - job.refreshed_at) >= REFRESH_INTERVAL

    def settle_job(self, job_id: str, clock: Callable[[], dt.datetime]) -> Job | None:
        """Step a job until there is nothing to do for it just now, or nothing comes of it; None where there is none."""
        job, version = None, 0
        for _ in range(_MAX_STEPS):
            job = self.step_job(job_id, clock())
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
        """Settle every job that has not ended, those changed longest ago first, as many as there is time for.

        Gives those that have still not ended.
        """
        start = clock()
        found = []
        for waiting in self._store.list_unfinished(owner=None, limit=limit, now=start):
            if clock() - start > within:
                found.append(waiting)
                continue
            try:
                job = self.settle_job(waiting.job_id, clock)
            except (
                Exception
            ):  # one that cannot be moved, whatever the reason, is not to hold up those behind it
                _LOG.exception("job %s could not be moved", waiting.job_id)
                found.append(waiting)
                continue
            if job is not None and not job.status.ended:
                found.append(job)
        return found

    def _next_step(self, job: Job, now: dt.datetime) -> Job | None:
        run = job.current_stage
        if run is None:
            return self._write_step(
                job,
                job.transition(now, stages=(new_stage_run(job.job_id, Stage.NORMALISER, now),)),
                now,
            )
        if job.status is JobStatus.JOB1_DONE:
            if job.cancel_requested:
                return self._write_step(job, job.transition(now, JobStatus.CANCELLED), now)
            return self._store_stage(job, Stage.FACTOR, now)
        if not run.run_id:
            return self._submit_stage(job, run, now)
        return self._refresh_run(job, run, now)

    def _store_stage(self, job: Job, stage: Stage, now: dt.datetime) -> Job | None:
        """Store that a stage is about to be asked for, before it is."""
        return self._write_step(
            job,
            job.transition(
                now,
                stage.running_status,
                stages=job.stages_with_run(new_stage_run(job.job_id, stage, now)),
                refreshed_at=None,
            ),
            now,
        )

    def _submit_stage(self, job: Job, run: StageRun, now: dt.datetime) -> Job | None:
        """Ask for a stage whose run is not known: it may have been started already, and then it is that one.

        Also where the job is to be cancelled: only its run's id can stop what may have been started.
        """
        self._prepare(job)
        try:
            run_id = self._engine.submit_stage(run.stage.value, job.job_id, run.token)
        except RefusedError as error:
            return self._write_step(job, _fail_job(job, run, now, str(error)), now)
        return self._write_step(
            job, job.transition(now, stages=job.stages_with_run(replace(run, run_id=run_id))), now
        )

    def _refresh_run(self, job: Job, run: StageRun, now: dt.datetime) -> Job | None:
        """Ask how the run stands, if nobody has just now, and move the job on by the answer."""
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
        """The job after its run was seen in ``state``."""
        seen = replace(run, state=state.state, url=state.url, done=max(run.done, state.done))
        match state.outcome:
            case RunOutcome.DONE:
                return _complete_stage(
                    job, replace(seen, ended_at=now, done=len(job.mostradores)), now
                )
            case RunOutcome.FAILED if job.cancel_requested:
                return job.transition(
                    now,
                    JobStatus.CANCELLED,
                    stages=job.stages_with_run(replace(seen, ended_at=now)),
                )
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
        """Store a step; where somebody wrote meanwhile, it is theirs that counts."""
        if not self._store.replace_job(after):
            return self._store.get_job(after.job_id, now)
        if after.status is not before.status:
            _LOG.info("job moved", extra={"job_id": after.job_id, "status": after.status.value})
            self._watch(after)
        return after


def is_stuck(job: Job, now: dt.datetime) -> bool:
    """Whether a job that has not ended waits for longer than it should, so that somebody should look.

    All time counts, that in a queue as well: nothing fails by it.
    """
    run = job.current_stage
    if run is None or run.started_at is None:
        return now - job.created_at > STUCK_AFTER
    return now - run.started_at > (STAGE_DEADLINES[run.stage] if run.run_id else STUCK_AFTER)


def new_stage_run(job_id: str, stage: Stage, now: dt.datetime) -> StageRun:
    """A stage as it is stored before its engine is asked for it."""
    return StageRun(stage=stage, token=stage_token(job_id, stage), started_at=now)


def _complete_stage(job: Job, run: StageRun, now: dt.datetime) -> Job:
    stages = job.stages_with_run(run)
    if (
        run.stage is Stage.PUBLICATION
    ):  # what is published is published, also where it was to be cancelled
        return job.transition(now, JobStatus.COMPLETED, stages=stages)
    if job.cancel_requested:
        return job.transition(now, JobStatus.CANCELLED, stages=stages)
    if run.stage is Stage.NORMALISER:
        return job.transition(now, JobStatus.JOB1_DONE, stages=stages)
    following = new_stage_run(job.job_id, Stage.PUBLICATION, now)
    return job.transition(
        now, JobStatus.JOB2_RUNNING, stages=(*stages, following), refreshed_at=None
    )


def _fail_job(job: Job, run: StageRun, now: dt.datetime, what: str) -> Job:
    failure = JobFailure(
        what=what,
        where=f"Etapa {run.stage.value}, ejecución {run.run_id}",
        hint="Corrija lo que dice el error y empiece el proceso otra vez; si se repite, avise a quien mantiene IPP.",
    )
    return job.transition(
        now,
        JobStatus.FAILED,
        stages=job.stages_with_run(replace(run, ended_at=now)),
        failure=failure,
    )
