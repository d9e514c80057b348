"""Remove what jobs leave once nobody needs it: files, ended runs, results beyond a retention.

Nothing of a job that is stored, or that has a run, is removed; nor any file younger than a job is
stored. Readers are not disturbed: a table keeps its files, for `Lakehouse.vacuum_table` to remove.
"""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.tables import CURVES, FAILURES, NOTICES, PROCESSES, RESULTS
from ipp.jobs.job import RETENTION
from ipp.jobs.job_spec import is_job_id
from ipp.storage.lakehouse.lakehouse import Lakehouse, VacuumReport

PUBLISHED_TABLES: Final = (RESULTS, CURVES, FAILURES, NOTICES, PROCESSES)
"""The tables that jobs publish to, by job; that by which expired jobs are found is the last."""

PARTIAL_RETENTION: Final = dt.timedelta(days=1)
"""Age from which a file that was never finished has no writer: a living one writes all the time."""

_STAGE_FOLDERS: Final = ("ipp-raw", "ipp-processed")

_REMOVED_PREFIX: Final = ".borrado-"
"""Prefix of a folder that is being removed, which no reader looks into."""

_BATCH_JOBS: Final = 500
"""Jobs whose rows one commit deletes."""

IsLive = Callable[[str], bool]
"""Return whether a job, by id, is stored or has a run that has not ended."""


@dataclass(frozen=True, slots=True)
class FileCleaner:
    """Removes files of forgotten jobs, and of writers that died, under ``root``."""

    root: Path
    is_live: IsLive

    def remove_files(self, now: dt.datetime) -> VacuumReport:
        """Remove the files of jobs that are not live, and unfinished ones; return what was."""
        removed: list[int] = []
        for folder in self._folders():
            if folder.name.startswith(_REMOVED_PREFIX):
                removed += _remove_folder(folder)
            elif is_job_id(folder.name) and self._is_forgotten(folder, now):
                # Rename first: a job that is retried at this moment then gets a new folder.
                aside = folder.with_name(f"{_REMOVED_PREFIX}{folder.name}-{secrets.token_hex(4)}")
                folder.rename(aside)
                removed += _remove_folder(aside)
        for path in [*self.root.rglob(".*.partial")]:
            with suppress(FileNotFoundError):
                status = path.stat()
                if now.timestamp() - status.st_mtime > PARTIAL_RETENTION.total_seconds():
                    path.unlink()
                    removed.append(status.st_size)
        return VacuumReport(len(removed), sum(removed))

    def _folders(self) -> Iterator[Path]:
        for bucket in _STAGE_FOLDERS:
            folder = self.root / bucket
            yield from (
                [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else ()
            )

    def _is_forgotten(self, folder: Path, now: dt.datetime) -> bool:
        newest = max((path.stat().st_mtime for path in [folder, *folder.rglob("*")]), default=0.0)
        return now.timestamp() - newest > RETENTION.total_seconds() and not self.is_live(
            folder.name
        )


def _remove_folder(folder: Path) -> list[int]:
    """Remove a folder and return the sizes of its files, in bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    shutil.rmtree(folder)
    return sizes


def delete_results(
    lakehouse: Lakehouse, is_live: IsLive, published_before: dt.datetime
) -> Sequence[str]:
    """Delete the rows of the jobs published before a moment; return their ids.

    The jobs that were published by the first versions, which recorded no moment, stay.
    """
    # Moments are ISO texts of UTC, whose order is that of the moments.
    published = lakehouse.scan_table(PROCESSES).filter(
        pl.col("published_at") < published_before.isoformat(timespec="milliseconds")
    )
    found = published.select("job_id").collect().to_series().sort().to_list()
    expired = [job_id for job_id in found if not is_live(job_id)]
    for first in range(0, len(expired), _BATCH_JOBS):
        batch = expired[first : first + _BATCH_JOBS]
        for table in PUBLISHED_TABLES:
            if lakehouse.table_exists(table):
                lakehouse.replace_partitions(table, pl.LazyFrame(schema=table.schema), batch)
    return expired
