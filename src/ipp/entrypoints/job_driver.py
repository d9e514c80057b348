"""Drive a job to its end in this process, for a command that waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ipp.console import ReportProgress
from ipp.entrypoints.clock import utc_now
from ipp.entrypoints.exit_status import describe_error
from ipp.entrypoints.local_wiring import Application, ControlPlane
from ipp.errors import NotFoundError
from ipp.jobs.engines.in_process_worker import InProcessWorker
from ipp.jobs.engines.run_table import RunClaim
from ipp.jobs.job import Job, Stage
from ipp.jobs.job_spec import load_spec
from ipp.pipeline.runners.runner import Runner
from ipp.pipeline.stages import run_stage

_POLL_SECONDS: Final = 0.2
"""Seconds between two looks at a job that another worker computes."""


def drive_job(app: Application, plane: ControlPlane, job: Job, report: ReportProgress) -> Job:
    """Compute the stages that no other worker does, until the job ends; return it as it ended.

    A stage that another worker computes is watched. An error of a stage that is computed here is
    raised once the job has failed. Raises `NotFoundError` if the job is deleted meanwhile.
    """

    def compute(claim: RunClaim, count_done: Callable[[int], None]) -> None:
        stage, runner = Stage(claim.stage), app.fenced_runner(worker.fence(claim))
        compute_run(runner, stage, claim.job_id, claim.run_id, report, count_done)

    worker = InProcessWorker(app.settings.runs, compute, describe_error)
    shown: tuple[Stage, int] | None = None
    run_changed = True
    while True:
        settled = plane.reconciler.settle_job(job.job_id, utc_now, run_changed=run_changed)
        if settled is None:
            raise NotFoundError(f"Job no encontrado: {job.job_id}.", hint="Empiece otro.")
        if settled.status.ended:
            return settled
        try:
            run_changed = worker.run_once(job.job_id)
        except Exception:
            plane.reconciler.settle_job(job.job_id, utc_now, run_changed=True)
            raise
        run = settled.current_stage
        if not run_changed and run is not None:
            if shown != (run.stage, run.done):
                shown = run.stage, run.done
                report(run.stage.value, run.done, len(settled.computed_counters))
            time.sleep(_POLL_SECONDS)


def compute_run(
    runner: Runner,
    stage: Stage,
    job_id: str,
    run_id: str,
    report: ReportProgress,
    count_done: Callable[[int], None] = lambda _done: None,
) -> None:
    """Run a stage of a stored job, as the run ``run_id`` of its engine, and report progress.

    Raises `NotFoundError` if there is no such job, and as `run_stage` does.
    """
    spec = load_spec(job_id, runner.files).with_run(stage.value, run_id)
    total, done = len(spec.computed_counters), 0
    report(stage.value, 0, total)

    def advance(mostrador: int) -> None:
        nonlocal done
        done += 1
        count_done(done)
        report(stage.value, done, total, mostrador=mostrador)

    run_stage(stage, spec, runner, advance)
