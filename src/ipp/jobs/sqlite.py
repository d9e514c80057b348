"""Jobs as rows of one SQLite file, for any number of threads and processes of one machine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from ipp.database import Database
from ipp.jobs.item import from_item, horizon, moment, to_item
from ipp.jobs.model import RUNNING, Job, Status
from ipp.jobs.store import Cursor

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


class SqliteJobStore:
    """A `JobStore` in the file at ``path``, which is made where there is none.

    What a call wrote is on the disk when it returns. Every call raises sqlite3.Error where the file cannot be read
    or written, or another process keeps it for longer than ten seconds.
    """

    instant: ClassVar = True

    def __init__(self, path: Path) -> None:
        self._file = Database(path, _SCHEMA, busy=_BUSY)

    def get(self, job_id: str, now: dt.datetime) -> Job | None:
        """The job as it was last written, None where there is none."""
        found = self._select("job_id = :job_id AND updated_at > :horizon", job_id=job_id, horizon=horizon(now))
        return found[0] if found else None

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
            "AND updated_at > :horizon ORDER BY created_at DESC, job_id DESC LIMIT :limit",
            owner=owner,
            status=status,
            moment=_END if after is None else moment(after.created_at),
            id="" if after is None else after.job_id,
            horizon=horizon(now),
            limit=limit,
        )

    def unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        """At most ``limit`` jobs that have not ended, those changed longest ago first."""
        return self._select(
            f"{_is('owner', owner)} AND ended = 0 AND updated_at > :horizon ORDER BY updated_at, job_id LIMIT :limit",
            owner=owner,
            horizon=horizon(now),
            limit=limit,
        )

    def standing(self, now: dt.datetime) -> Mapping[Status, int]:
        """How many jobs stand in each status that is not an end."""
        counted = "SELECT status, COUNT(*) FROM jobs WHERE ended = 0 AND updated_at > ? GROUP BY status"
        with self._file.open() as db:
            found = dict(db.execute(counted, (horizon(now),)).fetchall())
        return {status: found.get(status.value, 0) for status in RUNNING}

    def _select(self, condition: str, **values: Any) -> list[Job]:
        with self._file.open() as db:
            rows = db.execute(f"SELECT item FROM jobs WHERE {condition}", values).fetchall()  # noqa: S608  # ours alone
        return [from_item(json.loads(item)) for (item,) in rows]


def _is(column: str, value: str | None) -> str:
    return "TRUE" if value is None else f"{column} = :{column}"


def _row(job: Job) -> dict[str, Any]:
    item = to_item(job)
    stored = {name: item[name] for name in ("job_id", "owner", "status", "created_at", "updated_at", "ttl", "version")}
    return stored | {"ended": job.status.ended, "item": json.dumps(item)}
