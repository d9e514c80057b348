"""The runs of the local engine: rows of one SQLite file, for any number of processes and threads.

A run belongs to the worker that claimed it last. Its ``claim`` is a fencing token: it grows with
each claim, and a worker's write takes effect only if its claim is still current, so a worker that
was wrongly presumed dead changes nothing. The process that computes the run is named in its row:
the next worker kills that process before it starts, if it is on the same machine.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Container
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ipp.jobs.engines.engine import RunState
from ipp.jobs.engines.process_identity import end_process, process_place
from ipp.jobs.engines.silence import SilenceObserver
from ipp.storage.sqlite import SqliteDatabase

HEARTBEAT_TIMEOUT_SECONDS: Final = 10.0
"""Seconds without a heartbeat after which a worker counts as dead and its run is taken over."""

RETENTION_SECONDS: Final = 7 * 86_400.0
"""Seconds that a run is stored after its end: as long as its job."""

TERMINATING: Final = "TERMINATING"
"""The state of a run that is being cancelled but that its worker has not stopped yet."""

_CANCELLED_MESSAGE: Final = "La ejecución se canceló."

_BUSY_TIMEOUT_SECONDS: Final = 5.0
"""Seconds to wait for another writer's lock before giving up."""

_RUN_ID_NAMESPACE: Final = uuid.UUID("6f1c2f0e-5d0b-4a53-9c53-0f6a6b6f7b51")

_RUNS_SCHEMA: Final = (
    """
    CREATE TABLE IF NOT EXISTS runs (
        run_id TEXT NOT NULL PRIMARY KEY,
        token TEXT NOT NULL UNIQUE,
        stage TEXT NOT NULL,
        job_id TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'PENDING'
            CHECK (state IN ('PENDING', 'RUNNING', 'TERMINATING', 'TERMINATED')),
        result TEXT NOT NULL DEFAULT '' CHECK (result IN ('', 'SUCCESS', 'FAILED', 'CANCELED')),
        message TEXT NOT NULL DEFAULT '',
        done INTEGER NOT NULL DEFAULT 0,
        claim INTEGER NOT NULL DEFAULT 0,
        worker TEXT NOT NULL DEFAULT '',
        heartbeat REAL NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        started REAL,
        ended REAL
    )
    """,
    # ran: how many seconds the process of the last claim has run, as its worker counts them.
    "ALTER TABLE runs ADD COLUMN ran REAL NOT NULL DEFAULT 0",
    # deaths: how many processes of the stage a signal killed while their worker watched.
    "ALTER TABLE runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",
    # waits: how often the stage ended because the machine had no room for it.
    "ALTER TABLE runs ADD COLUMN waits INTEGER NOT NULL DEFAULT 0",
    # process: the identity of the process that computes the last claim, if it is one of its own.
    "ALTER TABLE runs ADD COLUMN process TEXT NOT NULL DEFAULT ''",
    # Workers look for work among the open runs only, however many have ended.
    "CREATE INDEX IF NOT EXISTS runs_open ON runs (created) WHERE state <> 'TERMINATED'",
    "CREATE INDEX IF NOT EXISTS runs_ended ON runs (ended) WHERE state = 'TERMINATED'",
)


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A run as held by the worker that claimed it; ``number`` is its fencing token.

    ``deaths`` counts the processes of its stage that a signal killed, ``waits`` those for which the
    machine had no room.
    """

    run_id: str
    stage: str
    job_id: str
    number: int
    deaths: int = 0
    waits: int = 0


class RunTable:
    """The runs in the SQLite file at ``path``, which is created if missing.

    Times are epoch seconds, passed in by the caller; no decision but the deletion of runs that
    ended long ago rests on them. A worker is dead if its process is gone, or once this object has
    watched it for ``silence`` seconds without a heartbeat. Every call raises `UnavailableError` if
    the file is temporarily unreadable or unwritable; it is then unknown whether a write was stored.
    """

    def __init__(self, path: Path, *, silence: float = HEARTBEAT_TIMEOUT_SECONDS) -> None:
        self._path = path
        self._observer = SilenceObserver(silence)
        self._file = SqliteDatabase(
            path,
            _RUNS_SCHEMA,
            busy=_BUSY_TIMEOUT_SECONDS,
            functions={"gone": _is_process_gone, "silent": self._observer.is_silent},
        )

    def add_run(self, token: str, stage: str, job_id: str, now: float) -> str:
        """Store a run for ``token``, unless it has one; return its id."""
        run_id = str(uuid.uuid5(_RUN_ID_NAMESPACE, token))
        with self._file.write_transaction() as db:
            db.execute(
                # Never before a waiting run: setting the clock back must not change the queue.
                "INSERT INTO runs (run_id, token, stage, job_id, created) VALUES (?, ?, ?, ?, "
                "max(?, coalesce((SELECT max(created) FROM runs WHERE state <> 'TERMINATED'), 0))) "
                "ON CONFLICT (token) DO NOTHING",
                (run_id, token, stage, job_id, now),
            )
        return run_id

    def has_open_run(self, job_id: str) -> bool:
        """Return whether a run of the job has not ended."""
        with self._file.connection() as db:
            query = "SELECT 1 FROM runs WHERE job_id = ? AND state <> 'TERMINATED' LIMIT 1"
            return db.execute(query, (job_id,)).fetchone() is not None

    def delete_ended(self, now: float, is_live: Callable[[str], bool]) -> int:
        """Delete the expired runs of jobs that are not live; return how many there were."""
        limit = now - RETENTION_SECONDS
        with self._file.connection() as db:
            query = "SELECT DISTINCT job_id FROM runs WHERE state = 'TERMINATED' AND ended <= ?"
            jobs = [job_id for (job_id,) in db.execute(query, (limit,)).fetchall()]
        deleted = 0
        for job_id in jobs:
            if is_live(job_id):
                continue
            with self._file.write_transaction() as db:
                query = "DELETE FROM runs WHERE state = 'TERMINATED' AND ended <= ? AND job_id = ?"
                deleted += db.execute(query, (limit, job_id)).rowcount
        return deleted

    def get_run(self, run_id: str) -> RunState | None:
        """Return the state of the run, or None if there is no such run."""
        with self._file.connection() as db:
            query = "SELECT state, result, message, done, ran FROM runs WHERE run_id = ?"
            row = db.execute(query, (run_id,)).fetchone()
        if row is None:
            return None
        return RunState(state=row[0], result=row[1], message=row[2], done=row[3], ran=row[4])

    def cancel_run(self, run_id: str, now: float) -> None:
        """End a waiting run, mark a running one for its worker to stop, leave an ended one."""
        with self._file.write_transaction() as db:
            db.execute(
                "UPDATE runs SET state = 'TERMINATED', result = 'CANCELED', message = ?, ended = ? "
                "WHERE run_id = ? AND state = 'PENDING'",
                (_CANCELLED_MESSAGE, now, run_id),
            )
            db.execute(
                "UPDATE runs SET state = 'TERMINATING' WHERE run_id = ? AND state = 'RUNNING'",
                (run_id,),
            )
            ended = self._end_abandoned(db, now)
        _end_processes(ended)

    def claim_run(self, worker: str, now: float, job_id: str | None = None) -> RunClaim | None:
        """Claim the oldest run that waits or whose worker is dead; return None if there is none.

        If ``job_id`` is given, only runs of that job are claimed. The process that computed the run
        before has ended when this returns, if it was on this machine.
        """
        claimable = (
            "FROM runs WHERE state <> 'TERMINATED' AND (? IS NULL OR job_id = ?) "
            "AND (state = 'PENDING' OR gone(worker) OR silent(run_id)) "
            "ORDER BY created, rowid LIMIT 1"
        )
        # Look with a read first, so that idle workers do not compete for the write lock.
        with self._file.connection() as db:
            self._observe_workers(db)
            if db.execute(f"SELECT 1 {claimable}", (job_id, job_id)).fetchone() is None:
                return None
        with self._file.write_transaction() as db:
            ended = self._end_abandoned(db, now)
            query = f"SELECT run_id, stage, job_id, claim, deaths, waits, process {claimable}"
            row = db.execute(query, (job_id, job_id)).fetchone()
            if row is not None:
                claim = RunClaim(row[0], row[1], row[2], row[3] + 1, row[4], row[5])
                ended.append(row[6])
                db.execute(
                    "UPDATE runs SET state = 'RUNNING', claim = ?, worker = ?, heartbeat = ?, "
                    "done = 0, ran = 0, process = '', started = coalesce(started, ?) "
                    "WHERE run_id = ?",
                    (claim.number, worker, now, now, claim.run_id),
                )
        _end_processes(ended)
        return None if row is None else claim

    def register_process(self, run_id: str, claim: int, identity: str) -> bool:
        """Name the process that computes a claim of a run; return False if the run was lost."""
        with self._file.write_transaction() as db:
            query = (
                "UPDATE runs SET process = ? "
                "WHERE run_id = ? AND claim = ? AND state IN ('RUNNING', 'TERMINATING')"
            )
            return db.execute(query, (identity, run_id, claim)).rowcount == 1

    def is_held(self, run_id: str, claim: int) -> bool:
        """Return whether a claim of a run is its last and the run has not ended."""
        with self._file.connection() as db:
            query = (
                "SELECT 1 FROM runs "
                "WHERE run_id = ? AND claim = ? AND state IN ('RUNNING', 'TERMINATING')"
            )
            return db.execute(query, (run_id, claim)).fetchone() is not None

    def record_heartbeat(self, claim: RunClaim, done: int, now: float, *, ran: float) -> str | None:
        """Record a heartbeat and progress; return the run's state, or None if it was lost.

        ``ran`` is how many seconds the run's process has been running.
        """
        with self._file.write_transaction() as db:
            ended = self._end_abandoned(db, now, besides=claim.run_id)
            row = db.execute(
                "UPDATE runs SET heartbeat = ?, done = ?, ran = ? WHERE run_id = ? AND claim = ? "
                "AND state IN ('RUNNING', 'TERMINATING') RETURNING state",
                (now, done, ran, claim.run_id, claim.number),
            ).fetchone()
        _end_processes(ended)
        return None if row is None else str(row[0])

    def end_run(
        self, claim: RunClaim, *, succeeded: bool, message: str, done: int, now: float
    ) -> None:
        """End a run as succeeded, cancelled (if requested) or failed; do nothing if it was lost."""
        with self._file.write_transaction() as db:
            db.execute(
                "UPDATE runs SET state = 'TERMINATED', done = ?, ended = ?, "
                "result = CASE WHEN ? THEN 'SUCCESS' WHEN state = 'TERMINATING' THEN 'CANCELED' "
                "ELSE 'FAILED' END, "
                "message = CASE WHEN ? THEN '' WHEN state = 'TERMINATING' THEN ? ELSE ? END "
                "WHERE run_id = ? AND claim = ? AND state IN ('RUNNING', 'TERMINATING')",
                (
                    done,
                    now,
                    succeeded,
                    succeeded,
                    _CANCELLED_MESSAGE,
                    message,
                    claim.run_id,
                    claim.number,
                ),
            )

    def release_run(
        self, claim: RunClaim, now: float, *, died: bool = False, waits: bool = False
    ) -> None:
        """Requeue a run, or end it if it is being cancelled; do nothing if it was lost.

        ``died`` says that a signal killed the process of its stage, ``waits`` that the machine had
        no room for it.
        """
        with self._file.write_transaction() as db:
            db.execute(
                "UPDATE runs SET state = 'PENDING', worker = '', ran = 0, deaths = deaths + ?, "
                "waits = waits + ? WHERE run_id = ? AND claim = ? AND state = 'RUNNING'",
                (died, waits, claim.run_id, claim.number),
            )
            db.execute(
                "UPDATE runs SET state = 'TERMINATED', result = 'CANCELED', message = ?, ended = ? "
                "WHERE run_id = ? AND claim = ? AND state = 'TERMINATING'",
                (_CANCELLED_MESSAGE, now, claim.run_id, claim.number),
            )

    def copy_to(self, path: Path) -> None:
        """Copy the runs, as they are at one moment, to a new file."""
        self._file.copy_to(path)

    def detach_workers(
        self, jobs: Container[str], last_claim: Callable[[str], int], now: float
    ) -> None:
        """Let the open runs of a copy wait for its own workers: those of the original are not here.

        Were they still named, a worker of the copy would end their processes. Runs of other jobs
        than ``jobs`` are deleted, those being cancelled end. The claims go on from ``last_claim``,
        which returns a run's last in the copy's tables: they refuse smaller ones.
        """
        with closing(self._file), self._file.write_transaction() as db:
            query = "SELECT run_id, job_id, claim FROM runs WHERE state <> 'TERMINATED'"
            for run_id, job_id, claim in db.execute(query).fetchall():
                if job_id not in jobs:
                    db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
                    continue
                db.execute(
                    "UPDATE runs SET state = 'PENDING', worker = '', process = '', ran = 0, "
                    "done = 0, heartbeat = 0, claim = ? "
                    "WHERE run_id = ? AND state <> 'TERMINATING'",
                    (max(claim, last_claim(run_id)), run_id),
                )
            db.execute(
                "UPDATE runs SET state = 'TERMINATED', result = 'CANCELED', message = ?, "
                "ended = ?, worker = '', process = '' WHERE state = 'TERMINATING'",
                (_CANCELLED_MESSAGE, now),
            )

    def _observe_workers(self, db: sqlite3.Connection) -> None:
        """Take in the heartbeats of all runs that are held."""
        query = (
            "SELECT run_id, claim, worker, heartbeat, ran FROM runs "
            "WHERE state <> 'TERMINATED' AND state <> 'PENDING'"
        )
        self._observer.observe({row[0]: tuple(row[1:]) for row in db.execute(query)})

    def _end_abandoned(self, db: sqlite3.Connection, now: float, *, besides: str = "") -> list[str]:
        """End the runs being cancelled whose worker died; every writer does this in passing.

        Return the identities of the processes that computed them, to be ended.
        """
        self._observe_workers(db)
        return [
            process
            for (process,) in db.execute(
                "UPDATE runs SET state = 'TERMINATED', "
                "result = 'CANCELED', message = ?, ended = ?, claim = claim + 1 "
                "WHERE state = 'TERMINATING' AND run_id <> ? "
                "AND (gone(worker) OR silent(run_id)) RETURNING process",
                (_CANCELLED_MESSAGE, now, besides),
            )
        ]


def new_worker_name() -> str:
    """Return a unique name for this process as a worker: place, process id and random hex."""
    return f"{process_place()}:{os.getpid()}:{secrets.token_hex(3)}"


def _end_processes(identities: list[str]) -> None:
    """End processes whose runs were taken from them, once that is stored."""
    for identity in identities:
        end_process(identity)


def _is_process_gone(worker: str) -> bool:
    """Return whether a worker of this place has no process, so no timeout is needed."""
    place, _, rest = worker.rpartition(":")[0].rpartition(":")
    if os.name != "posix" or place != process_place() or not rest.isdecimal():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
