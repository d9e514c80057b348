"""Rebuild jobs from their publications, once they are no longer stored."""

from __future__ import annotations

import datetime as dt
import json

from ipp.core.parameters import Parameters
from ipp.jobs.job import Job, JobOwner, JobStatus, Stage, StageRun
from ipp.jobs.job_spec import JobSpec
from ipp.storage.warehouse.warehouse import RowQuery, TableRow, Warehouse


def published_job(row: TableRow) -> Job:
    """Return the completed job that a row of `ipp.core.tables.PROCESSES` describes."""
    user = JobOwner(
        row["owner"] or "", row["email"] or "", row["username"] or "", row["user_name"] or ""
    )
    runs = ((Stage.NORMALISER, row["normaliser_run"]), (Stage.PUBLICATION, row["publication_run"]))
    return Job(
        job_id=row["job_id"],
        user=user,
        mostradores=tuple(map(int, row["mostradores"].split(","))),
        parameters=Parameters.from_document(json.loads(row["parameters"])),
        cutoff=row["cutoff"],
        fingerprint="",
        created_at=dt.datetime.fromisoformat(row["created_at"]),
        updated_at=dt.datetime.fromisoformat(row["published_at"]),
        status=JobStatus.COMPLETED,
        stages=tuple(StageRun(stage, "", run_id) for stage, run_id in runs if run_id),
    )


def reconstruct_job(job_id: str, warehouse: Warehouse, spec: JobSpec | None) -> Job | None:
    """Return a job published before owners were recorded, or None if it published nothing.

    Without its ``spec``, the day of its last sale stands for the moment of the request.
    """
    page = warehouse.query_rows(
        RowQuery(job_id, None, "", "mostrador", False, 0, 1, columns=("cutoff",))
    )
    if not page.total:
        return None
    if spec is None:
        rows = (*warehouse.job_summary(job_id), *warehouse.failed_counters(job_id))
        cutoff = page.rows[0]["cutoff"]
        created_at = dt.datetime.combine(cutoff, dt.time(), dt.UTC)
        mostradores = tuple(sorted(row["mostrador"] for row in rows))
        spec = JobSpec(job_id, mostradores, Parameters(), cutoff, created_at)
    return job_of_spec(spec, JobStatus.COMPLETED)


def job_of_spec(spec: JobSpec, status: JobStatus) -> Job:
    """Return the job of a specification, with the given status and no runs."""
    return Job(
        job_id=spec.job_id,
        user=JobOwner(**{"sub": "", **spec.user_info}),
        mostradores=spec.mostradores,
        parameters=spec.parameters,
        cutoff=spec.cutoff,
        fingerprint="",
        created_at=spec.created_at,
        updated_at=spec.created_at,
        status=status,
    )
