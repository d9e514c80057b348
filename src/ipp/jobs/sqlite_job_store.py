"""Jobs as rows of one SQLite file, for any number of threads and processes of one machine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

from ipp.jobs.job import CLAIM_KEPT, RUNNING, Job, Status
from ipp.jobs.job_record import from_item, horizon, moment, to_item
from ipp.jobs.job_store import Cursor
from ipp.jobs.unreadable_job import UnreadableJobError, UnreadableJobs
from ipp.storage.sqlite import Database

_BUSY: Final = 10.0
"""Seconds to wait for another's write before giving up."""

_SWEPT: Final = 100
"""Jobs whose time is over that a new one takes out with it: more leave than come, and no write is long."""

_END: Final = "~"
"""Sorts after every moment."""

_SCHEMA: Final = (
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
    # One for each way to ask, so that no list reads what it does not give back.
    "CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_owner ON jobs (owner, created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_status ON jobs (status, created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_owner_status ON jobs (owner, status, created_at, job_id)",
    "CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (updated_at, job_id) WHERE ended = 0",
    "CREATE INDEX IF NOT EXISTS jobs_owner_unfinished ON jobs (owner, updated_at, job_id) WHERE ended = 0",
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

_INSERT: Final = (
    "INSERT INTO jobs (job_id, owner, status, ended, created_at, updated_at, ttl, version, item) "
    "VALUES (:job_id, :owner, :status, :ended, :created_at, :updated_at, :ttl, :version, :item) "
    "ON CONFLICT (job_id) DO NOTHING"
)

_UPDATE: Final = (
    "UPDATE jobs SET owner = :owner, status = :status, ended = :ended, created_at = :created_at, "
    "updated_at = :updated_at, ttl = :ttl, version = :version, item = :item "
    "WHERE job_id = :job_id AND version = :version - 1"
)

_CLAIM: Final = (
    "INSERT INTO keys (key, job_id, claimed_at) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, claimed_at = excluded.claimed_at"
)

_STORED: Final = "SELECT 1 FROM jobs WHERE job_id = ? AND updated_at > ?"

_RELEASE: Final = (
    "DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE claimed_at <= ? AND NOT EXISTS "
    "(SELECT 1 FROM jobs WHERE jobs.job_id = keys.job_id AND jobs.updated_at > ?) LIMIT ?)"
)


class SqliteJobStore:
    """A `JobStore` in the file at ``path``, which is made where there is none.

    What a call wrote is on the disk when it returns. Every call raises sqlite3.Error where the file cannot be read
    or written, or another process keeps it for longer than ten seconds. ``unreadable`` is told which
    jobs cannot be read.
    """

    instant: ClassVar = True

    def __init__(self, path: Path, unreadable: UnreadableJobs | None = None) -> None:
        self._file = Database(path, _SCHEMA, busy=_BUSY)
        self._unreadable = UnreadableJobs() if unreadable is None else unreadable

    def get(self, job_id: str, now: dt.datetime) -> Job | None:
        """The job as it was last written, None where there is none. Raises `UnreadableJobError`."""
        asked = "SELECT item FROM jobs WHERE job_id = ? AND updated_at > ?"
        with self._file.open() as db:
            row = db.execute(asked, (job_id, horizon(now))).fetchone()
        return None if row is None else self._read(job_id, row[0])

    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        """Return the job whose id `claim_key` gave for ``key``, None where it is not there."""
        with self._file.open() as db:
            row = db.execute("SELECT job_id FROM keys WHERE key = ?", (key,)).fetchone()
        return None if row is None else self.get(row[0], now)

    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        """Return the id of the job that ``key`` names, ``job_id`` from now on where it names none.

        Takes out some keys whose jobs are forgotten.
        """
        with self._file.writing() as db:
            asked = "SELECT job_id, claimed_at FROM keys WHERE key = ?"
            named, claimed_at = db.execute(asked, (key,)).fetchone() or ("", "")
            if claimed_at > horizon(now, CLAIM_KEPT):
                return str(named)
            if db.execute(_STORED, (named, horizon(now))).fetchone() is not None:
                return str(named)
            db.execute(_CLAIM, (key, job_id, moment(now)))
            db.execute(_RELEASE, (horizon(now), horizon(now), _SWEPT))
        return job_id

    def create(self, job: Job, now: dt.datetime) -> bool:
        """Store a new job; False where one with its id is there already, which is left as it is.

        Takes out some of the jobs whose time is over.
        """
        row = _row(job)
        with self._file.writing() as db:
            db.execute("DELETE FROM jobs WHERE job_id = ? AND updated_at <= ?", (job.job_id, horizon(now)))
            created = db.execute(_INSERT, row).rowcount == 1
            db.execute(
                "DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs WHERE ttl <= ? AND job_id <> ? LIMIT ?)",
                (int(now.timestamp()), job.job_id, _SWEPT),
            )
        return created

    def replace(self, job: Job) -> bool:
        """Store ``job`` over version ``job.version - 1``; False where that is not the stored one."""
        row = _row(job)
        with self._file.writing() as db:
            return db.execute(_UPDATE, row).rowcount == 1

    def page(
        self, *, owner: str | None, status: Status | None, limit: int, after: Cursor | None, now: dt.datetime
    ) -> Sequence[Job]:
        """At most ``limit`` jobs, newest first, then by id; of one owner, or of all where it is None."""
        return self._select(
            f"{_is('owner', owner)} AND {_is('status', status)} AND (created_at, job_id) < (:moment, :id) "
            "AND updated_at > :horizon ORDER BY created_at DESC, job_id DESC",
            limit,
            owner=owner,
            status=status,
            moment=_END if after is None else moment(after.created_at),
            id="" if after is None else after.job_id,
            horizon=horizon(now),
        )

    def unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        """At most ``limit`` jobs that have not ended, those changed longest ago first."""
        return self._select(
            f"{_is('owner', owner)} AND ended = 0 AND updated_at > :horizon ORDER BY updated_at, job_id",
            limit,
            owner=owner,
            horizon=horizon(now),
        )

    def standing(self, now: dt.datetime) -> Mapping[Status, int]:
        """How many jobs stand in each status that is not an end."""
        counted = "SELECT status, COUNT(*) FROM jobs WHERE ended = 0 AND updated_at > ? GROUP BY status"
        with self._file.open() as db:
            found = dict(db.execute(counted, (horizon(now),)).fetchall())
        return {status: found.get(status.value, 0) for status in RUNNING}

    def _select(self, condition: str, limit: int, **values: Any) -> list[Job]:
        asked = f"SELECT job_id, item FROM jobs WHERE {condition}"  # noqa: S608  # ours alone
        # Taken one by one: some may be unreadable, so how many rows make a page is not known.
        with self._file.open() as db, closing(db.execute(asked, values)) as rows:
            return list(islice(self._readable(rows), limit))

    def _readable(self, rows: Iterator[tuple[str, str]]) -> Iterator[Job]:
        for job_id, item in rows:
            try:
                yield self._read(job_id, item)
            except UnreadableJobError:
                continue

    def _read(self, job_id: str, item: str) -> Job:
        try:
            return from_item(_attributes(job_id, item))
        except UnreadableJobError as error:
            self._unreadable.note(error)
            raise


def _attributes(job_id: str, item: str) -> dict[str, Any]:
    """Return the attributes of a row, of one that is no JSON the id alone."""
    try:
        return dict(json.loads(item)) | {"job_id": job_id}
    except (ValueError, TypeError, RecursionError):
        return {"job_id": job_id}


def _is(column: str, value: str | None) -> str:
    return "TRUE" if value is None else f"{column} = :{column}"


def _row(job: Job) -> dict[str, Any]:
    item = to_item(job)
    stored = {name: item[name] for name in ("job_id", "owner", "status", "created_at", "updated_at", "ttl", "version")}
    return stored | {"ended": job.status.ended, "item": json.dumps(item)}
