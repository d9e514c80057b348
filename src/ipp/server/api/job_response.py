"""Build the JSON responses on jobs: the original contract's exact fields, then ours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ipp.core.tables import RESULTS
from ipp.errors import join_sentences
from ipp.jobs.job import Job, JobStatus, Stage

STARTED_MESSAGE: Final = "Proceso IPP iniciado exitosamente"

QUERY_EXAMPLE: Final = "SELECT * FROM {table} WHERE job_id = '{job_id}'"
"""A query for people to run; the server never runs it."""

STATUS_MESSAGES: Final[Mapping[JobStatus, str]] = {
    JobStatus.JOB1_RUNNING: "Databricks Job 1 en ejecución...",
    JobStatus.JOB1_DONE: "Normalización terminada",
    JobStatus.PROCESSING: "Aplicando el factor de redondeo...",
    JobStatus.JOB2_RUNNING: "Databricks Job 2 en ejecución...",
    JobStatus.COMPLETED: "Proceso completado",
    JobStatus.FAILED: "El proceso falló",
    JobStatus.CANCELLED: "Proceso cancelado",
}


def start_document(job: Job) -> dict[str, Any]:
    """Return the response to a start request, new or repeated with its idempotency key."""
    run = job.run_of(Stage.NORMALISER)
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "message": STARTED_MESSAGE,
        "mostradores_count": len(job.mostradores),
        "databricks_run_id": run.run_id if run else "",
    }


def status_document(job: Job) -> dict[str, Any]:
    """Return the status of a job and of each of its stages."""
    run = job.current_stage
    document: dict[str, Any] = {
        "job_id": job.job_id,
        "status": job.status.value,
        "message": STATUS_MESSAGES[job.status],
        "databricks_state": run.state if run else "PENDING",
        "databricks_run_url": run.url if run else "",
        "mostradores_count": len(job.mostradores),
        "progress": job.status.progress,
        "created_at": moment_text(job.created_at),
        "updated_at": moment_text(job.updated_at),
        "stages": [_stage_document(job, stage) for stage in Stage],
    }
    if (failure := job.failure) is not None:
        document["message"] = join_sentences(
            STATUS_MESSAGES[job.status], f"{failure.where}: {failure.what}", failure.hint
        )
        document["failure"] = {
            "que": failure.what,
            "donde": failure.where,
            "que_hacer": failure.hint,
        }
    return document


def results_document(
    job: Job,
    summary: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    notices: Sequence[Mapping[str, Any]],
    *,
    raw: str,
    processed: str,
) -> dict[str, Any]:
    """Return a job's results: locations, summary by counter, failures and notices."""
    ids = {stage: run.run_id for stage in Stage if (run := job.run_of(stage)) is not None}
    user = job.user
    return {
        "job_id": job.job_id,
        "status": job.status.value,
        "mostradores": list(map(str, job.mostradores)),
        "mostradores_count": len(job.mostradores),
        "process_info": {
            "created_at": moment_text(job.created_at),
            "updated_at": moment_text(job.updated_at),
            "user_info": {
                "email": user.email,
                "username": user.username,
                "sub": user.sub,
                "name": user.name,
            },
        },
        "databricks_info": {
            "job1_run_id": ids.get(Stage.NORMALISER, ""),
            "job2_run_id": ids.get(Stage.PUBLICATION, ""),
            "results_table": RESULTS.name,
            "query_example": QUERY_EXAMPLE.format(table=RESULTS.name, job_id=job.job_id),
        },
        "s3_locations": {"raw": raw, "processed": processed},
        "summary": {
            "mostradores_processed": len(job.mostradores) - len(failures),
            # If the clock was set back meanwhile the difference is negative; report 0.
            "total_time_seconds": max(0, round((job.updated_at - job.created_at).total_seconds())),
            "success": job.status is JobStatus.COMPLETED and not failures,
            "mostradores": [{**row, "mostrador": str(row["mostrador"])} for row in summary],
            "mostradores_failed": [
                {"mostrador": str(row["mostrador"]), "stage": row["stage"], "error": row["cause"]}
                for row in failures
            ],
            "notices": [
                {"mostrador": str(row["mostrador"]), "notice": row["notice"]} for row in notices
            ],
        },
    }


def moment_text(when: dt.datetime | None) -> str | None:
    """Return a UTC timestamp such as 2024-12-09T10:30:00.000Z; None stays None."""
    return (
        None
        if when is None
        else when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{when.microsecond // 1000:03}Z"
    )


def _stage_document(job: Job, stage: Stage) -> dict[str, Any]:
    run = job.run_of(stage)
    return {
        "stage": stage.value,
        "state": run.state if run else "NOT_STARTED",
        "started_at": moment_text(run.started_at) if run else None,
        "ended_at": moment_text(run.ended_at) if run else None,
        "done": run.done if run else 0,
        "total": len(job.mostradores),
    }
