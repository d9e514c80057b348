"""Homes are backed up while servers, workers and imports write to them, and restored whole."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from ipp.backup.manifest import Manifest, read_manifest
from ipp.core.tables import CONFIGURATIONS, COUNTERS, IMPORTABLE_TABLES, PROCESSES, RESULTS
from ipp.jobs.job import JobStatus
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.settings import DEFAULT_CATALOG, Settings
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.table_cache import StoredTable
from tests.e2e.chaos import EVILS, Machine, build_clock, mount_disk, run_machine
from tests.e2e.command import IPP
from tests.e2e.server import FIRST, SECOND, Server, find_stages, run_server, wait_for_end
from tests.waiting import PATIENCE_SECONDS, wait_until

SHORT_ROUNDS = 2
LONG_ROUNDS = 12


def run_command(home: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IPP, *arguments],
        env=os.environ | {"IPP_HOME": str(home)},
        check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS, **options,
    )  # fmt: skip


def run_ok(home: Path, *arguments: str) -> None:
    done = run_command(home, *arguments)
    assert done.returncode == 0, done.stderr


@contextmanager
def keep_importing(home: Path) -> Iterator[None]:
    """Write the counters and their configurations again and again while the block lasts."""
    stop = threading.Event()
    lakehouse = DeltaLakehouse(home / "lakehouse")
    computed = pl.col("mostrador").is_in([int(FIRST), int(SECOND)])
    counters = lakehouse.scan_table(COUNTERS).collect().lazy()
    configurations = lakehouse.scan_table(CONFIGURATIONS).collect().lazy()

    def change(column: str, value: object) -> pl.Expr:
        # Of the counters that no job computes, so that its rows are those of a quiet day.
        return pl.when(computed).then(column).otherwise(pl.lit(value)).alias(column)

    def write() -> None:
        number = 0
        while not stop.wait(0.2):
            number += 1
            named = counters.with_columns(change("counter_name", f"Sucursal {number}"))
            lakehouse.replace_table(COUNTERS, named)
            aimed = configurations.with_columns(change("target_investment", number))
            lakehouse.replace_table(CONFIGURATIONS, aimed)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def rows_by_job(home: Path) -> dict[str, pl.DataFrame]:
    rows = DeltaLakehouse(home / "lakehouse").scan_table(RESULTS).sort(*RESULTS.key).collect()
    parts = rows.partition_by("job_id", as_dict=True, include_key=False)
    return {str(job_id): part for (job_id,), part in parts.items()}


def stored_table(home: Path, name: str, version: int | None = None) -> StoredTable:
    folder = (home / "lakehouse").joinpath(*name.split("."))
    return StoredTable(folder.absolute().as_uri(), version=version)


def table_rows(table: StoredTable) -> pl.DataFrame:
    rows = pl.scan_delta(table).collect()
    return rows.sort(rows.columns)


def check_tables(source: Path, restored: Path, manifest: Manifest) -> None:
    """Every table opens, at a version of the source and with the rows that it had then."""
    stored = [*IMPORTABLE_TABLES.values(), RESULTS, PROCESSES]
    names = {t.full_name(DEFAULT_CATALOG) for t in stored if t.title != "pronostico-cp"}
    assert names <= set(manifest.tables)
    for name, copied in manifest.tables.items():
        table = stored_table(restored, name)
        assert (str(table.metadata().id), table.version()) == (copied.table_id, copied.version)
        assert table_rows(table).equals(table_rows(stored_table(source, name, copied.version)))


def check_jobs(restored: Path, expected: pl.DataFrame) -> set[str]:
    """Every completed job has all its rows; return the jobs that have not ended."""
    settings, now = Settings(restored), dt.datetime.now(dt.UTC)
    jobs = SqliteJobStore(settings.jobs).list_jobs(
        owner=None, status=None, limit=1_000, after=None, now=now
    )
    rows = rows_by_job(restored)
    lakehouse = DeltaLakehouse(settings.lakehouse)
    published = set(lakehouse.scan_table(PROCESSES).collect()["job_id"].to_list())
    completed = {job.job_id for job in jobs if job.status is JobStatus.COMPLETED}
    assert completed
    assert completed <= published <= set(rows)
    assert [job_id for job_id in published if not rows[job_id].equals(expected)] == []
    return {job.job_id for job in jobs if not job.status.ended}


def check_unfinished_jobs_end(restored: Path, unfinished: set[str], expected: pl.DataFrame) -> None:
    """A server over the restored home takes every unfinished job to the rows of a quiet day."""
    with (
        run_server(restored) as server,
        httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client,
    ):
        for job_id in unfinished:
            assert wait_for_end(client, job_id)["status"] == "COMPLETED"
    rows = rows_by_job(restored)
    assert [job_id for job_id in unfinished if not rows[job_id].equals(expected)] == []


def begin(server: Server, count: int) -> None:
    for _ in range(count):
        body = {"mostradores": [FIRST, SECOND]}
        answer = httpx2.post(f"{server.address}/ipp/start", json=body, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 202, answer.text


def keep_busy(server: Server) -> None:
    """Start jobs until two are under way, and a stage of one runs."""

    def look() -> bool:
        answer = httpx2.get(f"{server.address}/ipp/jobs?limit=200", timeout=PATIENCE_SECONDS)
        under_way = sum(job["progress"] not in {0, 100} for job in answer.json()["jobs"])
        begin(server, max(0, 2 - under_way))
        return bool(find_stages(server.home))

    wait_until(look, bool)


def quiet_rows(home: Path) -> pl.DataFrame:
    """Compute a job while nothing else happens; return its rows."""
    run_ok(home, "run", "--mostradores", f"{FIRST},{SECOND}")
    (rows,) = rows_by_job(home).values()
    return rows


def test_a_home_is_backed_up_under_load_and_its_copy_goes_on(chain: Path, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "backup"
    shutil.copytree(chain, home)
    expected = quiet_rows(home)
    with run_server(home, IPP_MAX_JOBS="1000") as server, keep_importing(home):
        for _ in range(SHORT_ROUNDS):
            keep_busy(server)
            run_ok(home, "backup", str(folder))
    restored = tmp_path / "restored"
    run_ok(restored, "restore", str(folder))
    check_tables(home, restored, read_manifest(folder))
    unfinished = check_jobs(restored, expected)
    assert unfinished
    check_unfinished_jobs_end(restored, unfinished, expected)


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which("cc") is None, reason="the clock is moved by a library that is compiled"
)
def test_a_home_is_backed_up_on_bad_days(chain: Path, tmp_path: Path) -> None:
    """Three servers and a worker, which are killed and stopped, and a backup in each round."""
    folder, preload = tmp_path / "backup", build_clock(tmp_path)
    evils = [evil for evil in EVILS if evil not in {"clock", "full disk"}]
    with run_machine(chain, tmp_path, seed=5, longest_stop=12.0, preload=preload) as machine:
        expected = quiet_rows(machine.home)
        with keep_importing(machine.home):
            for number in range(LONG_ROUNDS):
                backing_up = start_backup(machine, folder)
                machine.play_round(number, evils[number % len(evils)])
                wait_until(backing_up.poll, lambda status: status is not None)
                assert backing_up.returncode == 0
                restored = tmp_path / f"restored-{number}"
                run_ok(restored, "restore", str(folder))
                check_tables(machine.home, restored, read_manifest(folder))
                unfinished = check_jobs(restored, expected)
                if number % 4 == 3:
                    check_unfinished_jobs_end(restored, unfinished, expected)
                shutil.rmtree(restored)


def start_backup(machine: Machine, folder: Path) -> subprocess.Popen[bytes]:
    machine.keep_busy(by_command=False)
    return subprocess.Popen(
        [*IPP, "backup", str(folder)],
        env=os.environ | {"IPP_HOME": str(machine.home)},
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(params=["disk", "limit"])
def small_disk(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Yield a folder, and what a process that finds no room there is started with."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if request.param == "limit":
        limit = (2**16, resource.RLIM_INFINITY)
        yield disk, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        return
    unmount = mount_disk(disk, 4 * 2**20)
    if not os.path.ismount(disk):
        pytest.skip("only root may mount a disk")
    try:
        yield disk, lambda: None
    finally:
        unmount()


def test_a_full_disk_leaves_the_earlier_backup_and_no_half_home(
    chain: Path, tmp_path: Path, small_disk: tuple[Path, Callable[[], None]]
) -> None:
    disk, limit = small_disk
    home, folder, target = tmp_path / "home", disk / "backup", disk / "home"
    shutil.copytree(chain, home)
    run_ok(home, "backup", str(folder))
    before = (folder / "respaldo.json").read_bytes()
    (home / "rechazos").mkdir(exist_ok=True)
    (home / "rechazos" / "largo.csv").write_bytes(os.urandom(8 * 2**20))
    failed = run_command(home, "backup", str(folder), preexec_fn=limit)
    assert failed.returncode == 1, failed.stderr
    assert "lleno" in failed.stderr or "tamaño" in failed.stderr
    assert (folder / "respaldo.json").read_bytes() == before
    assert [path.name for path in disk.iterdir()] == ["backup"]
    run_ok(home, "backup", "--verificar", str(folder))
    run_ok(home, "backup", str(tmp_path / "larger"))
    failed = run_command(target, "restore", str(tmp_path / "larger"), preexec_fn=limit)
    assert failed.returncode == 1, failed.stderr
    assert [*target.iterdir()] == []
    (home / "rechazos" / "largo.csv").unlink()
    run_ok(home, "backup", str(folder))


def test_a_damaged_file_is_named_by_the_command(chain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    run_ok(chain, "backup", str(folder))
    shown = run_command(chain, "backup", "--verificar", "--json", str(folder))
    assert json.loads(shown.stdout)["files"] == len(read_manifest(folder).files)
    path = next(iter(read_manifest(folder).files))
    (folder / path).write_bytes(b"")
    for command in (("backup", "--verificar"), ("restore",)):
        failed = run_command(tmp_path / "restored", *command, str(folder))
        assert failed.returncode == 1
        assert f"{path} (cambió)" in failed.stderr
