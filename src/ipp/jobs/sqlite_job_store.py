"""Jobs as rows of one SQLite file, for any number of threads and processes of one machine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from ipp.jobs.job import (
    CLOCK_MARGIN,
    KEY_CLAIM_RETENTION,
    RUNNING_STATUSES,
    UNFINISHED_RETENTION,
    Job,
    JobStatus,
)
from ipp.jobs.job_record import expiry_cutoff, format_moment, job_from_item, job_to_item
from ipp.jobs.job_store import JobCursor, JobStore
from ipp.jobs.unreadable_job import UnreadableJobError, UnreadableJobs
from ipp.storage.sqlite import SqliteDatabase

_BUSY_TIMEOUT_SECONDS: Final = 10.0
"""Seconds to wait for another writer's lock before giving up."""

_SWEEP_BATCH_JOBS: Final = 100
"""Expired jobs that creating one deletes: more leave than arrive, and no write takes long."""

_AFTER_EVERY_MOMENT: Final = "~"
"""A string that sorts after every stored moment."""

_JOBS_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS jobs (
        job_id TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        status TEXT NOT NULL,
        ended INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        ttl INTEGER NOT NULL,
        version INTEGER NOT NULL,
        item TEXT NOT NULL
    )
    """,
    # One index per kind of query, so that no list reads rows that it does not return.
    "CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_owner ON jobs (owner, created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_status ON jobs (status, created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_owner_status ON jobs (owner, status, created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (updated_at, job_id) WHERE ended = 0",
    "CREATE INDEX IF NOT EXISTS jobs_owner_unfinished ON jobs (owner, updated_at, job_id) "
    "WHERE ended = 0",
    "CREATE INDEX IF NOT EXISTS jobs_ttl ON jobs (ttl)",
    """
    CREATE TABLE IF NOT EXISTS keys (
        key TEXT NOT NULL PRIMARY KEY,
        job_id TEXT NOT NULL,
        claimed_at TEXT NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS keys_claimed ON keys (claimed_at)",
)

_INSERT_JOB_SQL: Final = (
    "INSERT INTO jobs (job_id, owner, status, ended, created_at, updated_at, ttl, version, item) "
    "VALUES (:job_id, :owner, :status, :ended, :created_at, :updated_at, :ttl, :version, :item) "
    "ON CONFLICT (job_id) DO NOTHING"
)

_UPDATE_JOB_SQL: Final = (
    "UPDATE jobs SET owner = :owner, status = :status, ended = :ended, created_at = :created_at, "
    "updated_at = :updated_at, ttl = :ttl, version = :version, item = :item "
    "WHERE job_id = :job_id AND version = :version - 1"
)

_CLAIM_KEY_SQL: Final = (
    "INSERT INTO keys (key, job_id, claimed_at) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, claimed_at = excluded.claimed_at"
)

_UNEXPIRED_SQL: Final = (
    "(jobs.updated_at > :ended_horizon OR (jobs.ended = 0 AND jobs.updated_at > :horizon))"
)
"""Condition of a job that has not expired, with the parameters of `_horizons`."""

_SELECT_JOB_SQL: Final = f"SELECT item FROM jobs WHERE job_id = :job_id AND {_UNEXPIRED_SQL}"  # noqa: S608  # only constants of this module

_DELETE_EXPIRED_SQL: Final = f"DELETE FROM jobs WHERE job_id = :job_id AND NOT {_UNEXPIRED_SQL}"  # noqa: S608  # only constants of this module

_SWEEP_JOBS_SQL: Final = (
    # The ttl of a job that has not ended is that of an ended one.
    "DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs WHERE ttl <= :moment "  # noqa: S608  # only constants of this module
    f"AND NOT {_UNEXPIRED_SQL} AND job_id <> :job_id LIMIT :most)"
)

_RELEASE_KEYS_SQL: Final = (
    "DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE claimed_at <= :ended_horizon "  # noqa: S608  # only constants of this module
    "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.job_id = keys.job_id AND "
    f"{_UNEXPIRED_SQL}) LIMIT :most)"
)


class SqliteJobStore(JobStore):
    """A `JobStore` in the SQLite file at ``path``, which is created if missing.

    Writes are on disk when a call returns. Every call raises `UnavailableError` if the file cannot
    be read or written, or if another process locks it for longer than ten seconds. ``unreadable``
    records the jobs that cannot be read.
    """

    instant: ClassVar = True

    def __init__(self, path: Path, unreadable: UnreadableJobs | None = None) -> None:
        self._file = SqliteDatabase(path, _JOBS_SCHEMA, busy=_BUSY_TIMEOUT_SECONDS)
        self._unreadable = UnreadableJobs() if unreadable is None else unreadable

    @override
    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        with self._file.connection() as db:
            row = db.execute(_SELECT_JOB_SQL, {"job_id": job_id, **_horizons(now)}).fetchone()
        return None if row is None else self._read_row(job_id, row[0])

    @override
    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        with self._file.connection() as db:
            row = db.execute("SELECT job_id FROM keys WHERE key = ?", (key,)).fetchone()
        return None if row is None else self.get_job(row[0], now)

    @override
    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        """Claim a key, and delete some keys whose jobs have expired."""
        with self._file.write_transaction() as db:
            query = "SELECT job_id, claimed_at FROM keys WHERE key = ?"
            named, claimed_at = db.execute(query, (key,)).fetchone() or ("", "")
            if claimed_at > expiry_cutoff(now, KEY_CLAIM_RETENTION):
                return str(named)
            values = {"job_id": named, **_horizons(now)}
            if db.execute(_SELECT_JOB_SQL, values).fetchone() is not None:
                return str(named)
            db.execute(_CLAIM_KEY_SQL, (key, job_id, format_moment(now)))
            swept = {"most": _SWEEP_BATCH_JOBS, **_horizons(now - CLOCK_MARGIN)}
            db.execute(_RELEASE_KEYS_SQL, swept)
        return job_id

    @override
    def create_job(self, job: Job, now: dt.datetime) -> bool:
        """Store a new job, and delete some expired ones."""
        row = _job_row(job)
        with self._file.write_transaction() as db:
            db.execute(_DELETE_EXPIRED_SQL, {"job_id": job.job_id, **_horizons(now)})
            created = db.execute(_INSERT_JOB_SQL, row).rowcount == 1
            moment = now - CLOCK_MARGIN
            swept = {"moment": int(moment.timestamp()), "most": _SWEEP_BATCH_JOBS}
            db.execute(_SWEEP_JOBS_SQL, {"job_id": job.job_id, **swept, **_horizons(moment)})
        return created

    @override
    def replace_job(self, job: Job) -> bool:
        row = _job_row(job)
        with self._file.write_transaction() as db:
            return db.execute(_UPDATE_JOB_SQL, row).rowcount == 1

    @override
    def list_jobs(
        self,
        *,
        owner: str | None,
        status: JobStatus | None,
        limit: int,
        after: JobCursor | None,
        now: dt.datetime,
    ) -> Sequence[Job]:
        return self._select_jobs(
            f"{_equals_condition('owner', owner)} AND {_equals_condition('status', status)} "
            "AND (created_at, job_id) < (:moment, :id) "
            f"AND {_UNEXPIRED_SQL} ORDER BY created_at DESC, job_id DESC",
            limit,
            owner=owner,
            status=status,
            moment=_AFTER_EVERY_MOMENT if after is None else format_moment(after.created_at),
            id="" if after is None else after.job_id,
            **_horizons(now),
        )

    @override
    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        return self._select_jobs(
            f"{_equals_condition('owner', owner)} AND ended = 0 AND updated_at > :horizon "
            "ORDER BY updated_at, job_id",
            limit,
            owner=owner,
            horizon=_horizons(now)["horizon"],
        )

    @override
    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        query = (
            "SELECT status, COUNT(*) FROM jobs WHERE ended = 0 AND updated_at > :horizon "
            "GROUP BY status"
        )
        with self._file.connection() as db:
            counts = dict(db.execute(query, _horizons(now)).fetchall())
        return {status: counts.get(status.value, 0) for status in RUNNING_STATUSES}

    def copy_to(self, path: Path) -> frozenset[str]:
        """Copy the jobs, as they are at one moment, to a new file; return their ids."""
        self._file.copy_to(path)
        copy = SqliteDatabase(path, (), busy=_BUSY_TIMEOUT_SECONDS)
        with closing(copy), copy.connection() as db:
            return frozenset(job_id for (job_id,) in db.execute("SELECT job_id FROM jobs"))

    def _select_jobs(self, condition: str, limit: int, **values: Any) -> list[Job]:
        query = f"SELECT job_id, item FROM jobs WHERE {condition}"  # noqa: S608  # only constants of this module
        # Rows are read one by one: some may be unreadable, so a LIMIT could return a short page.
        with self._file.connection() as db, closing(db.execute(query, values)) as rows:
            return list(islice(self._read_rows(rows), limit))

    def _read_rows(self, rows: Iterator[tuple[str, str]]) -> Iterator[Job]:
        for job_id, item in rows:
            try:
                yield self._read_row(job_id, item)
            except UnreadableJobError:
                continue

    def _read_row(self, job_id: str, item: str) -> Job:
        try:
            return job_from_item(_row_attributes(job_id, item))
        except UnreadableJobError as error:
            self._unreadable.record_error(error)
            raise


def _row_attributes(job_id: str, item: str) -> dict[str, Any]:
    """Return the attributes of a row; only the id if its item is not valid JSON."""
    try:
        return dict(json.loads(item)) | {"job_id": job_id}
    except (ValueError, TypeError, RecursionError):
        return {"job_id": job_id}


def _horizons(now: dt.datetime) -> dict[str, str]:
    """Return the last moments of change at which a job has expired, if it ended and if not."""
    return {
        "ended_horizon": expiry_cutoff(now),
        "horizon": expiry_cutoff(now, UNFINISHED_RETENTION),
    }


def _equals_condition(column: str, value: str | None) -> str:
    return "TRUE" if value is None else f"{column} = :{column}"


def _job_row(job: Job) -> dict[str, Any]:
    item = job_to_item(job)
    stored = {
        name: item[name]
        for name in ("job_id", "owner", "status", "created_at", "updated_at", "ttl", "version")
    }
    return stored | {"ended": job.status.ended, "item": json.dumps(item)}
