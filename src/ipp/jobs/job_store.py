"""The protocol that every job store implements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ipp.jobs.job import Job, JobStatus


@dataclass(frozen=True, slots=True)
class JobCursor:
    """A cursor in a list of jobs, newest first: the last job of the previous page."""

    created_at: dt.datetime
    job_id: str


class JobStore(Protocol):
    """Jobs by id. For every call, an expired job (`Job.expires_at` <= ``now``) does not exist.

    No call deletes a job or a key that is less than `CLOCK_MARGIN` over: ``now`` may be ahead by
    hours, and what it hides meanwhile is there again once the clock is right.

    Writes use optimistic locking: each checks the version that it builds on, so of two concurrent
    writers one learns that it lost. No list reads more than a page of jobs that it does not return.
    A list leaves out, logs and counts jobs that cannot be read.
    """

    instant: ClassVar[bool]
    """Whether `get_job` answers without waiting for a network or for another writer."""

    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        """Return the job as last written, or None. Raises `UnreadableJobError`."""
        ...

    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        """Return the job whose id `claim_key` gave for ``key``, or None if it is not stored."""
        ...

    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        """Return the job id that ``key`` names; if it names none, make it name ``job_id``.

        A key names a job while that job is stored, and for `KEY_CLAIM_RETENTION` after the claim
        in any case. Concurrent claims of one key all return the same id.
        """
        ...

    def create_job(self, job: Job, now: dt.datetime) -> bool:
        """Store a new job; return False, changing nothing, if its id is already stored."""
        ...

    def replace_job(self, job: Job) -> bool:
        """Store ``job`` over version ``job.version - 1``; False if another version is stored."""
        ...

    def list_jobs(
        self,
        *,
        owner: str | None,
        status: JobStatus | None,
        limit: int,
        after: JobCursor | None,
        now: dt.datetime,
    ) -> Sequence[Job]:
        """Return at most ``limit`` jobs, newest first, then by id; ``owner`` None means all."""
        ...

    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        """Return at most ``limit`` jobs that have not ended, least recently changed first."""
        ...

    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        """Count the jobs in each status that is not final, without reading whole jobs."""
        ...
