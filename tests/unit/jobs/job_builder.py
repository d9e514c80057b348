"""Jobs for tests."""

from __future__ import annotations

import datetime as dt

from ipp.core.parameters import Parameters
from ipp.jobs.job import Job, JobOwner, Stage, new_stage_run

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)


def build_job(job_id: str = "ipp-1", *, sub: str = "ana", created_at: dt.datetime = NOW) -> Job:
    """Return a job as it is stored when it is started."""
    return Job(
        job_id=job_id,
        user=JobOwner(sub=sub, email=f"{sub}@example.com", username=sub, name=sub.title()),
        mostradores=(7_051_602, 7_051_603),
        parameters=Parameters(),
        cutoff=dt.date(2026, 6, 30),
        fingerprint="f",
        created_at=created_at,
        updated_at=created_at,
        stages=(new_stage_run(job_id, Stage.NORMALISER, created_at),),
    )
