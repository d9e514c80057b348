"""Jobs of every kind, for the laws of their stores."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from hypothesis import strategies as st

from ipp.core.parameters import Parameters
from ipp.jobs.job import Job, JobFailure, JobOwner, JobStatus, Stage, StageRun
from ipp.jobs.job_store import JobStore
from tests.parameters import parameters

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)

OWNERS = ["ana", "Ana"]
"""Two that some would take for one."""

_MS = dt.timedelta(milliseconds=1)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""What UTF-8 can write."""

moments = st.builds(
    lambda ms, hours: (NOW + ms * _MS).astimezone(dt.timezone(dt.timedelta(hours=hours))),
    st.integers(-(10**12), 10**12),
    st.sampled_from([0, -6, 14]),
)


def _runs(stage: Stage) -> st.SearchStrategy[StageRun]:
    return st.builds(
        StageRun,
        stage=st.just(stage),
        token=text,
        run_id=text,
        url=text,
        state=text,
        done=st.integers(0, 10_000),
        started_at=st.none() | moments,
        ended_at=st.none() | moments,
        warned=st.booleans(),
    )


_stages = st.integers(0, len(Stage)).flatmap(
    lambda count: st.tuples(*(_runs(stage) for stage in list(Stage)[:count]))
)


jobs = st.builds(
    Job,
    job_id=text.filter(bool),
    user=st.builds(JobOwner, sub=text.filter(bool), email=text, username=text, name=text),
    mostradores=st.lists(st.integers(0, 9_999_999_999), max_size=5).map(tuple),
    parameters=parameters,
    cutoff=st.dates(),
    fingerprint=text,
    created_at=moments,
    updated_at=moments,
    status=st.sampled_from(JobStatus),
    stages=_stages,
    failure=st.none() | st.builds(JobFailure, what=text, where=text, hint=text),
    cancel_requested=st.booleans(),
    refreshed_at=st.none() | moments,
    version=st.integers(1, 10**9),
    attempt=st.integers(1, 99),
    retried=st.lists(st.integers(0, 9_999_999_999), max_size=3).map(tuple),
)


def build_job(
    job_id: str,
    *,
    sub: str = "ana",
    status: JobStatus = JobStatus.JOB1_RUNNING,
    created_at: dt.datetime = NOW,
    updated_at: dt.datetime | None = None,
) -> Job:
    """Return a job with defaults for everything else; last changed when created, unless told."""
    return Job(
        job_id=job_id,
        user=JobOwner(sub=sub),
        mostradores=(7_051_602,),
        parameters=Parameters(),
        cutoff=dt.date(2026, 6, 30),
        fingerprint="f",
        created_at=created_at,
        updated_at=updated_at or created_at,
        status=status,
        stages=(StageRun(Stage.NORMALISER, "token"),),
    )


def job_crowds(size: int) -> st.SearchStrategy[list[Job]]:
    """Return jobs with unique ids, few owners and few moments, so that ties occur; some ended."""
    ago = st.sampled_from([0, 1, 2, 1_000, 10**9])  # ms; the last is eleven days
    one = st.tuples(st.sampled_from(OWNERS), st.sampled_from(JobStatus), ago, ago)
    return st.lists(one, max_size=size).flatmap(
        lambda rows: st.permutations(
            [
                build_job(
                    f"ipp-{place}",
                    sub=sub,
                    status=status,
                    created_at=NOW - born * _MS,
                    updated_at=NOW - changed * _MS,
                )
                for place, (sub, status, born, changed) in enumerate(rows)
            ]
        )
    )


def count_job(store: JobStore, job_id: str = "ipp-1") -> Job:
    """Return the stored job with one more done: the next version."""
    stored = store.get_job(job_id, NOW)
    assert stored is not None
    (run,) = stored.stages
    return stored.transition(NOW, stages=(replace(run, done=run.done + 1),))


def read_count(store: JobStore, job_id: str = "ipp-1") -> int:
    """Return how often a job was counted, all of it told by one version."""
    stored = store.get_job(job_id, NOW)
    assert stored is not None
    assert stored.version == stored.stages[0].done + 1
    return stored.stages[0].done
