"""A backup is a home of one moment, however others write meanwhile, or no backup at all."""

from __future__ import annotations

import datetime as dt
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock

from ipp.backup.home_backup import back_up_home
from ipp.backup.manifest import MANIFEST_NAME, read_manifest, verify_files
from ipp.core.tables import NOTICES, PROCESSES, RESULTS, STOCK
from ipp.entrypoints.clock import utc_now
from ipp.errors import BusyError, InvalidInputError, UnavailableError
from ipp.jobs.engines.run_fence import RunFence
from ipp.jobs.engines.run_table import RunTable
from ipp.jobs.job import JobStatus
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.settings import DEFAULT_CATALOG, Settings
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.pinned_table import pin_table
from tests.unit.backup.home import Home, build_home, ignore, read_files, restore


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return build_home(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "backup"


def test_a_restored_home_has_what_the_home_had(home: Home, folder: Path, tmp_path: Path) -> None:
    report = home.back_up(folder)
    restored, manifest = restore(folder, tmp_path / "restored")
    now = dt.datetime.now(dt.UTC)
    for job_id in ("ipp-1", "ipp-2"):
        assert restored.store.get_job(job_id, now) == home.store.get_job(job_id, now)
    for table in (STOCK, RESULTS, PROCESSES, NOTICES):
        rows = home.lakehouse.scan_table(table).collect()
        assert len(rows) == 1
        assert restored.lakehouse.scan_table(table).collect().equals(rows)
        version = manifest.tables[table.full_name(DEFAULT_CATALOG)]
        assert home.lakehouse.version_id(table) == f"{version.table_id} {version.version}"
    for path in ("archivos", "rechazos"):
        assert read_files(restored.settings.home / path) == read_files(home.settings.home / path)
    assert (restored.settings.home / "MUESTRA.txt").read_text() == "inventada"
    assert (report.tables, report.files) == (4, len(manifest.files))
    assert report.size == report.copied_bytes == sum(f.size for f in manifest.files.values())


def test_nobody_but_the_owner_looks_into_a_backup_or_a_new_home(
    home: Home, folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        home.back_up(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    restored, _ = restore(folder, tmp_path / "restored")
    assert stat.S_IMODE(restored.settings.home.stat().st_mode) == 0o700


def test_what_a_backup_has_is_not_copied_again(home: Home, folder: Path) -> None:
    first = home.back_up(folder)
    inodes = {path: path.stat().st_ino for path in folder.rglob("*.parquet")}
    home.finish_job("ipp-3")
    (home.settings.rejections / "rechazos.csv").write_text("fila\n3\n")
    (home.settings.files / "ipp-raw" / "ipp-1" / "solicitud.json").unlink()
    second = home.back_up(folder)
    assert second.copied_bytes < second.size
    kept = {path: inode for path, inode in inodes.items() if path.exists()}
    assert kept
    assert {path: path.stat().st_ino for path in kept} == kept
    assert second.files > first.files
    assert read_files(folder / "archivos") == read_files(home.settings.files)
    assert read_files(folder / "rechazos") == read_files(home.settings.rejections)
    verify_files(folder, read_manifest(folder), ignore)
    assert [path.name for path in folder.parent.iterdir()] == ["backup"]


def test_a_file_that_is_changed_in_the_home_is_not_changed_in_the_backup(
    home: Home, folder: Path
) -> None:
    home.back_up(folder)
    before = read_files(folder)
    for file in home.settings.home.rglob("*"):
        if file.is_file():
            with file.open("r+b") as content:
                content.write(b"damaged")
    assert read_files(folder) == before


Steps = Iterator[None]


def steps_of_jobs(home: Home) -> Steps:
    """Take one job after the other through its life, a write at a time, without end."""
    number = 10
    while True:
        yield from home.steps_of_job(f"ipp-{number}")
        number += 1


def interleave(patch: pytest.MonkeyPatch, steps: Steps, every: int) -> None:
    """Let some writes happen before whatever store a backup copies, and after it."""

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def interleaved(*arguments: Any) -> Any:
            for _ in range(every):
                next(steps)
            result = call(*arguments)
            for _ in range(every):
                next(steps)
            return result

        return interleaved

    patch.setattr("ipp.backup.home_backup.pin_table", wrap(pin_table))
    for store in (SqliteJobStore, RunTable):
        patch.setattr(store, "copy_to", wrap(store.copy_to))


@pytest.mark.parametrize(("begun", "every"), [(1, 1), (5, 3), (7, 3), (9, 3)])
def test_a_copy_says_nothing_of_a_job_that_it_does_not_have(
    home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch, begun: int, every: int
) -> None:
    steps = steps_of_jobs(home)
    for _ in range(begun):
        next(steps)
    with monkeypatch.context() as patch:
        interleave(patch, steps, every)
        home.back_up(folder)
    copy, now = Home(Settings(folder)), dt.datetime.now(dt.UTC)
    jobs = copy.store.list_jobs(owner=None, status=None, limit=99, after=None, now=now)
    results, processes = copy.jobs_with_rows(RESULTS), copy.jobs_with_rows(PROCESSES)
    completed = {job.job_id for job in jobs if job.status is JobStatus.COMPLETED}
    assert completed >= {"ipp-1"}
    assert completed <= processes <= results <= copy.jobs_with_rows(NOTICES)
    named = {run.run_id for job in jobs for run in job.stages if run.run_id}
    assert all(copy.runs.get_run(run_id) is not None for run_id in named)
    requests = {path.parent.name for path in copy.settings.files.rglob("solicitud.json")}
    begun_jobs = {job.job_id for job in jobs if any(run.run_id for run in job.stages)}
    assert begun_jobs | results <= requests
    while (claim := copy.runs.claim_run("worker", now.timestamp())) is not None:
        assert claim.job_id in {job.job_id for job in jobs}, "a run whose job nobody knows"
        copy.runs.end_run(claim, succeeded=True, message="", done=1, now=now.timestamp())


@dataclass(frozen=True)
class HeldFence:
    """The fence of a claim that nobody took over."""

    writer: str
    number: int

    def check_held(self) -> None:
        """Raise nothing."""


def test_a_run_that_was_claimed_again_after_its_copy_is_published_by_the_restored_home(
    home: Home, folder: Path, tmp_path: Path
) -> None:
    (unfinished,) = home.store.list_unfinished(owner=None, limit=9, now=utc_now())
    run_id = unfinished.stages[0].run_id
    rows = home.lakehouse.scan_table(RESULTS).with_columns(job_id=pl.lit("ipp-2"))
    later = DeltaLakehouse(home.settings.lakehouse, fence=HeldFence(run_id, 7))
    later.replace_partitions(RESULTS, rows, ["ipp-2"])
    home.back_up(folder)
    restored, _ = restore(folder, tmp_path / "restored")
    claim = restored.runs.claim_run("worker", utc_now().timestamp())
    assert claim is not None
    assert claim.run_id == run_id
    own = RunFence(restored.settings.runs, run_id, claim.number)
    fenced = DeltaLakehouse(restored.settings.lakehouse, fence=own)
    fenced.replace_partitions(RESULTS, rows, ["ipp-2"])


def test_a_table_whose_files_vanish_is_copied_at_a_newer_version(home: Home, folder: Path) -> None:
    calls = 0

    def replace_stock(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            home.count_stock(2)
            home.lakehouse.vacuum_table(STOCK, dt.timedelta())

    back_up_home(home.settings, folder, replace_stock)
    copy = Home(Settings(folder)).lakehouse
    assert copy.scan_table(STOCK).collect()["on_hand"].to_list() == [2]
    assert copy.version_id(STOCK) == home.lakehouse.version_id(STOCK)
    verify_files(folder, read_manifest(folder), ignore)


def test_tables_that_never_rest_leave_the_earlier_backup(home: Home, folder: Path) -> None:
    home.back_up(folder)
    before = read_files(folder)
    rounds = 0

    def replace_stock(done: int, _total: int) -> None:
        nonlocal rounds
        if done == 1:
            rounds += 1
            home.count_stock(rounds)
            home.lakehouse.vacuum_table(STOCK, dt.timedelta())

    with pytest.raises(UnavailableError):
        back_up_home(home.settings, folder, replace_stock)
    assert rounds > 1
    assert read_files(folder) == before


def cut_data(home: Home) -> None:
    (file,) = (home.settings.lakehouse / "invenadro" / "bronze" / "existencias").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-9])


def garble_jobs(home: Home) -> None:
    file = home.settings.jobs
    content = bytearray(file.read_bytes())
    content[5_000:9_000] = bytes(4_000)
    file.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut_data, garble_jobs])
def test_a_damaged_home_does_not_replace_the_backup_of_a_whole_one(
    home: Home, folder: Path, spoil: Callable[[Home], None]
) -> None:
    home.back_up(folder)
    before = read_files(folder)
    spoil(home)
    with pytest.raises(UnavailableError):
        home.back_up(folder)
    assert read_files(folder) == before


def test_what_is_no_backup_is_not_replaced(home: Home, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "tesis.txt").write_text("única copia")
    with pytest.raises(InvalidInputError, match="no es un respaldo"):
        home.back_up(folder)
    assert read_files(folder) == {"tesis.txt": "única copia".encode()}


def test_another_homes_backup_is_not_replaced(home: Home, folder: Path, tmp_path: Path) -> None:
    home.back_up(folder)
    before = read_files(folder)
    other = build_home(tmp_path / "other")
    with pytest.raises(InvalidInputError, match="otra carpeta"):
        other.back_up(folder)
    empty = Home(Settings(tmp_path / "empty"))
    with pytest.raises(InvalidInputError, match="nada que respaldar"):
        empty.back_up(folder)
    assert read_files(folder) == before
    restored, _ = restore(folder, tmp_path / "restored")
    restored.back_up(folder)


@pytest.mark.parametrize("inside", ["home", "home/copia", "home/archivos/copia"])
def test_a_backup_is_not_written_into_its_home(home: Home, tmp_path: Path, inside: str) -> None:
    before = read_files(home.settings.home)
    with pytest.raises(InvalidInputError, match="dentro"):
        home.back_up(tmp_path / inside)
    assert read_files(home.settings.home) == before


def test_one_writes_a_backup_at_a_time(home: Home, folder: Path) -> None:
    home.back_up(folder)
    with FileLock(folder.with_name(".backup.lock")), pytest.raises(BusyError):
        home.back_up(folder)
    home.back_up(folder)


def test_a_backup_whose_second_rename_never_came_is_found_again(
    home: Home, folder: Path, tmp_path: Path
) -> None:
    home.back_up(folder)
    before = read_files(folder)
    folder.rename(folder.with_name(".backup.anterior"))
    with FileLock(folder.with_name(".backup.lock")), pytest.raises(BusyError):
        restore(folder, tmp_path / "restored")
    restore(folder, tmp_path / "restored")
    assert read_files(folder) == before


def test_leftovers_of_killed_backups_are_removed(home: Home, folder: Path) -> None:
    home.back_up(folder)
    for name in (".backup.anterior", ".backup.parcial"):
        shutil.copytree(folder, folder.with_name(name))
    (folder.with_name(".backup.parcial") / MANIFEST_NAME).unlink()
    home.back_up(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["backup"]
