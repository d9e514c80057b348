"""What only the file store promises: to several processes, to a killed one, to one that waits."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import IO

import pytest

from ipp.errors import UnavailableError
from ipp.jobs.job import CLOCK_MARGIN, RETENTION, JobStatus
from ipp.jobs.job_store import JobCursor
from ipp.jobs.sqlite_job_store import SqliteJobStore
from tests.contract.jobs import NOW, build_job, count_job, read_count
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from ipp.jobs.sqlite_job_store import SqliteJobStore
from tests.contract.jobs import NOW, build_job, count_job

task, name, store = sys.argv[1], sys.argv[2], SqliteJobStore(Path(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
if task == "once":
    print(int(store.replace_job(replace(count_job(store), version=2, fingerprint=name))))
if task == "make":
    print(int(store.create_job(build_job(name), NOW)))
if task == "count":
    print(sum(store.replace_job(count_job(store)) for _ in range(60)))
number = 0
while task == "ever":
    number += 1
    job_id = f"ipp-{number % 3}"
    if store.replace_job(count_job(store, job_id)):
        print(job_id, flush=True)
"""


@contextmanager
def processes(task: str, names: list[str], path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Yield processes that do a task with the store at ``path``, released once all are ready."""
    made = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, task, name, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in names
    ]
    try:
        for process in made:
            assert pipe(process.stdout).readline() == "ready\n"
        for process in made:
            pipe(process.stdin).write("go\n")
            pipe(process.stdin).flush()
        yield made
    finally:
        for process in made:
            process.kill()
            process.communicate()


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def store(path: Path) -> SqliteJobStore:
    return SqliteJobStore(path)


def test_of_processes_that_replace_at_once_one_does(store: SqliteJobStore, path: Path) -> None:
    store.create_job(build_job("ipp-1"), NOW)
    names = [f"rival {number}" for number in range(4)]
    with processes("once", names, path) as rivals:
        answers = [int(rival.communicate(timeout=PATIENCE_SECONDS)[0]) for rival in rivals]
    assert sorted(answers) == [0, 0, 0, 1]
    stored = store.get_job("ipp-1", NOW)
    assert stored is not None
    assert stored.fingerprint == names[answers.index(1)]


def test_processes_that_write_the_same_job_lose_no_change(
    store: SqliteJobStore, path: Path
) -> None:
    store.create_job(build_job("ipp-1"), NOW)
    with processes("count", ["one", "two"], path) as writers:
        succeeded = [int(writer.communicate(timeout=PATIENCE_SECONDS)[0]) for writer in writers]
    assert min(succeeded) > 0
    assert read_count(store) == sum(succeeded)


def test_a_file_that_several_make_at_once_is_one_store(path: Path) -> None:
    names = [f"ipp-{number}" for number in range(5)]
    with processes("make", names, path) as makers:
        assert [int(maker.communicate(timeout=PATIENCE_SECONDS)[0]) for maker in makers] == [1] * 5
    found = SqliteJobStore(path).list_jobs(owner=None, status=None, limit=9, after=None, now=NOW)
    assert [made.job_id for made in found] == names[::-1]


@pytest.mark.parametrize("lines", [1, 7, 40])
def test_what_a_killed_process_wrote_is_there_and_nothing_else(
    store: SqliteJobStore, path: Path, lines: int
) -> None:
    ids = ["ipp-0", "ipp-1", "ipp-2"]
    for job_id in ids:
        store.create_job(build_job(job_id), NOW)
    with processes("ever", ["writer"], path) as (writer,):
        told = [pipe(writer.stdout).readline().strip() for _ in range(lines)]
        writer.kill()  # SIGKILL, wherever it is
        told += pipe(writer.stdout).read().split()
    written = {job_id: read_count(store, job_id) for job_id in ids}
    late = sum(written.values()) - len(told)
    assert late in {0, 1}  # one more may have been stored and not told
    assert all(written[job_id] - told.count(job_id) in {0, late} for job_id in ids)
    assert store.replace_job(count_job(store))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_write_waits_for_the_one_before(store: SqliteJobStore, path: Path) -> None:
    store.create_job(build_job("ipp-1"), NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.get_job("ipp-1", NOW) is not None  # readers wait for nobody
        with processes("count", ["one"], path) as (writer,):
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(timeout=0.3)
            other.execute("COMMIT")
            assert writer.communicate(timeout=PATIENCE_SECONDS)[0] == "60\n"


def test_what_was_written_is_on_the_disk(
    store: SqliteJobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with statements(monkeypatch) as ran:
        store.create_job(build_job("ipp-1"), NOW)
    assert "PRAGMA synchronous = FULL" in ran
    assert (
        ran.index("PRAGMA synchronous = FULL") < ran.index("BEGIN IMMEDIATE") < ran.index("COMMIT")
    )
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_no_call_reads_more_than_it_gives(
    store: SqliteJobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with statements(monkeypatch) as ran:
        store.create_job(build_job("ipp-1"), NOW)
        store.replace_job(build_job("ipp-1").transition(NOW))
        store.get_job("ipp-1", NOW)
        for _ in range(2):
            store.claim_key("key", "ipp-1", NOW)
        store.find_job("key", NOW)
        for owner, status, after in product(
            (None, "ana"), (None, JobStatus.FAILED), (None, JobCursor(NOW, "ipp-1"))
        ):
            store.list_jobs(owner=owner, status=status, limit=5, after=after, now=NOW)
        for owner in (None, "ana"):
            store.list_unfinished(owner=owner, limit=5, now=NOW)
    asked = [text for text in ran if text.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(asked) == 2 + 1 + 1 + 3 + 1 + 2 + 8 + 2
    with closing(sqlite3.connect(path)) as db:
        for text in asked:
            steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}")]
            assert steps
            assert not [step for step in steps if "SCAN" in step or "TEMP" in step], (text, steps)


OVER = RETENTION + CLOCK_MARGIN


def test_new_jobs_take_out_those_whose_time_is_over(store: SqliteJobStore, path: Path) -> None:
    ended = JobStatus.COMPLETED
    for number in range(120):
        store.create_job(build_job(f"ipp-{number}", status=ended), NOW)
    young = NOW + dt.timedelta(seconds=1)
    store.create_job(build_job("ipp-young", created_at=young, status=ended), NOW)
    store.create_job(waiting := build_job("ipp-waiting"), NOW)
    counts = []
    for number in (1, 2):
        store.create_job(build_job(f"ipp-new-{number}", created_at=NOW + OVER), NOW + OVER)
        with closing(sqlite3.connect(path)) as db:
            counts += db.execute("SELECT count(*) FROM jobs").fetchone()
    assert counts == [120 + 3 - 100, 4]
    assert store.get_job("ipp-young", NOW + RETENTION) is not None
    assert store.get_job("ipp-waiting", NOW + OVER) == waiting


def test_an_unfinished_job_of_the_version_before_stays(store: SqliteJobStore, path: Path) -> None:
    store.create_job(waiting := build_job("ipp-1"), NOW)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE jobs SET ttl = ?", (int((NOW + RETENTION).timestamp()),))
    store.create_job(build_job("ipp-2", created_at=NOW + 9 * RETENTION), NOW + 9 * RETENTION)
    assert store.get_job("ipp-1", NOW + 9 * RETENTION) == waiting


def test_new_keys_take_out_those_whose_jobs_are_forgotten(
    store: SqliteJobStore, path: Path
) -> None:
    for number in range(120):
        store.claim_key(f"key-{number}", f"ipp-{number}", NOW)
    store.create_job(build_job("ipp-7"), NOW)
    counts = []
    for number in (1, 2):
        store.claim_key(f"new-{number}", f"ipp-new-{number}", NOW + OVER)
        with closing(sqlite3.connect(path)) as db:
            counts += db.execute("SELECT count(*) FROM keys").fetchone()
    assert counts == [120 + 1 - 100, 3]
    assert store.claim_key("key-7", "ipp-other", NOW + OVER) == "ipp-7"


def test_a_file_that_is_no_store_is_said(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(UnavailableError, match="no es una base de datos"):
        SqliteJobStore(path).get_job("ipp-1", NOW)


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is run meanwhile on every connection, its values filled in."""
    ran: list[str] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def traced(*arguments: object, **options: object) -> sqlite3.Connection:
        db = connect(*arguments, **options)
        db.set_trace_callback(ran.append)
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        yield ran
