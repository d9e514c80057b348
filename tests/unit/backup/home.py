"""A small home as servers and stages leave it, and the steps by which they write it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ipp.backup.home_backup import BackupReport, back_up_home
from ipp.backup.home_restore import restore_home
from ipp.backup.manifest import MANIFEST_NAME, Manifest
from ipp.core.contract import Table
from ipp.core.tables import NOTICES, PROCESSES, RESULTS, STOCK
from ipp.entrypoints.clock import utc_now
from ipp.jobs.engines.run_table import RunTable
from ipp.jobs.job import JobStatus
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.settings import Settings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.unit.jobs.job_builder import build_job


def ignore(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Home:
    """A home in a folder, with what writes to it."""

    settings: Settings

    @property
    def lakehouse(self) -> DeltaLakehouse:
        return DeltaLakehouse(self.settings.lakehouse)

    @property
    def store(self) -> SqliteJobStore:
        return SqliteJobStore(self.settings.jobs)

    @property
    def runs(self) -> RunTable:
        return RunTable(self.settings.runs)

    def steps_of_job(self, job_id: str) -> Iterator[None]:
        """Take a job from its start to its end, a write to one of the stores at a time."""
        now = utc_now()
        job = build_job(job_id, created_at=now)
        assert self.store.create_job(job, now)
        yield
        files = LocalFiles(self.settings.files)
        with files.write_object(f"ipp-raw/{job_id}/solicitud.json") as path:
            path.write_text(job_id)
        yield
        run_id = self.runs.add_run(f"{job_id}-token", "publicacion", job_id, now.timestamp())
        yield
        stages = tuple(replace(stage, run_id=run_id) for stage in job.stages)
        running = job.transition(now, stages=stages)
        assert self.store.replace_job(running)
        yield
        claim = self.runs.claim_run("another:1:ab", now.timestamp(), job_id)
        assert claim is not None
        yield
        for table in (NOTICES, RESULTS, PROCESSES):
            self.lakehouse.replace_partitions(table, _rows(table, job_id), [job_id])
            yield
        self.runs.end_run(claim, succeeded=True, message="", done=1, now=now.timestamp())
        yield
        ended = replace(running, status=JobStatus.COMPLETED, version=running.version + 1)
        assert self.store.replace_job(ended)
        yield

    def finish_job(self, job_id: str) -> None:
        for _ in self.steps_of_job(job_id):
            pass

    def count_stock(self, pieces: int) -> None:
        """Replace the table of stock."""
        rows = {"mostrador": [7_051_602], "material": [1], "on_hand": [pieces]}
        self.lakehouse.replace_table(STOCK, pl.LazyFrame(rows))

    def jobs_with_rows(self, table: Table) -> set[str]:
        return set(self.lakehouse.scan_table(table).collect()["job_id"].to_list())

    def back_up(self, folder: Path) -> BackupReport:
        return back_up_home(self.settings, folder, ignore)


def _rows(table: Table, job_id: str) -> pl.LazyFrame:
    every = {"job_id": job_id, "mostrador": 7_051_602, "material": 1, "notice": "Faltan días."}
    return pl.LazyFrame({name: [value] for name, value in every.items() if name in table.labels})


def build_home(folder: Path) -> Home:
    """Build a home with a completed job, one that is under way, and a list of rejected rows."""
    home = Home(Settings(folder / "home"))
    home.count_stock(1)
    home.finish_job("ipp-1")
    under_way = home.steps_of_job("ipp-2")
    for _ in range(5):
        next(under_way)
    home.settings.rejections.mkdir()
    (home.settings.rejections / "rechazos.csv").write_text("fila\n2\n")
    # As of an imported file named ventas..xlsx: two dots are a part of a name, not the way up.
    (home.settings.rejections / "ventas..csv").write_text("fila\n2\n")
    (home.settings.home / "MUESTRA.txt").write_text("inventada")
    return home


def restore(folder: Path, target: Path) -> tuple[Home, Manifest]:
    """Restore a backup to a folder."""
    settings = Settings(target)
    return Home(settings), restore_home(settings, folder, ignore)


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file under a folder but the manifest, by path."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST_NAME
    }
