"""What a store of jobs promises, whatever it is made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ipp.jobs.job import Job, JobStatus


@dataclass(frozen=True, slots=True)
class JobCursor:
    """A place in a list of jobs, newest first: the last one seen."""

    created_at: dt.datetime
    job_id: str


class JobStore(Protocol):
    """Jobs by id. A job whose time is over (`Job.expires_at` at or before ``now``) is not there, for any call.

    Every write checks the version it builds on, so of two writers at once one is told that it came late. No list
    reads jobs that it does not give back, beyond a page. A list leaves out, logs and counts what
    cannot be read.
    """

    instant: ClassVar[bool]
    """Whether `get` answers without waiting for a network or for somebody's write."""

    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        """The job as it was last written, None where there is none. Raises `UnreadableJobError`."""
        ...

    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        """Return the job whose id `claim_key` gave for ``key``, None where it is not there."""
        ...

    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        """Return the id of the job that ``key`` names, ``job_id`` from now on where it names none.

        It names one while that job is there, and for `CLAIM_KEPT` after the claim whether it is or
        not. Of several who claim a key at once all are given the same id.
        """
        ...

    def create_job(self, job: Job, now: dt.datetime) -> bool:
        """Store a new job; False where one with its id is there already, which is left as it is."""
        ...

    def replace_job(self, job: Job) -> bool:
        """Store ``job`` over version ``job.version - 1``; False where that is not the stored one."""
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
        """At most ``limit`` jobs, newest first, then by id; of one owner, or of all where it is None."""
        ...

    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        """At most ``limit`` jobs that have not ended, those changed longest ago first."""
        ...

    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        """How many jobs stand in each status that is not an end; none of them is read whole."""
        ...
