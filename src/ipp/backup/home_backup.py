"""Copy a home while servers, workers and imports write to it.

Each store is copied at a different moment; their order makes the copy consistent. A writer first
stores the data and then the record that refers to them: a stage leaves its files and rows, then its
run ends, then the job goes on; a publication writes the tables of results, and the job's row of
``ipp_procesos`` last. So a record is copied **before** the data that it refers to:

1. ``jobs.sqlite``: a job that the copy calls COMPLETED had all its rows at that moment. Nothing
   removes the rows or files of a stored job, so they are in everything that is copied later.
2. ``runs.sqlite``: every run that a copied job names was stored before. An open run is repeated: it
   waits without a worker (`RunTable.detach_workers`), and a repeated stage leaves the same. Rows
   that an unfinished job has published by a later moment are replaced when it publishes again. Open
   runs of jobs that started later are left out.
3. The tables, each pinned at its last version: ``ipp_procesos`` first, then the others in the
   opposite of the order in which they are published; the table of changes before those that
   change. Only then are their files copied. They are never changed, and remain for a day after a
   newer version replaced them; if one vanishes all the same (somebody deleted a table, a clock was
   moved), **all** tables are pinned again, so that their order holds.
4. The files of the jobs and the lists of rejected rows. What a pinned row needs is there already.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deltalake.exceptions import DeltaError

from ipp.backup.backup_folder import replace_folder
from ipp.backup.file_copy import BackupWriter, find_files
from ipp.backup.manifest import (
    CopiedTable,
    Manifest,
    is_backup,
    own_release,
    read_manifest,
)
from ipp.core.change_table import CHANGES
from ipp.core.tables import CURVES, FAILURES, NOTICES, PROCESSES, RESULTS
from ipp.errors import InvalidInputError
from ipp.jobs.engines.run_table import RunTable
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.settings import DEFAULT_CATALOG, Settings
from ipp.storage.lakehouse.pinned_table import PinnedTable, list_tables, pin_table
from ipp.storage.storage_error import unavailable_error

_PINNED_FIRST: Final = (PROCESSES, RESULTS, NOTICES, CURVES, FAILURES, CHANGES)
"""The tables whose rows refer to others, in the order in which they are pinned."""

_MAX_ROUNDS: Final = 5
"""How often the tables are pinned before their files vanish once too often."""

ReportFiles = Callable[[int, int], None]
"""Callback with the files that are done and how many there are, as far as is known."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup has: counts of ``tables`` and ``files``, their sizes in bytes."""

    tables: int
    files: int
    size: int
    copied_bytes: int


def back_up_home(settings: Settings, folder: Path, report: ReportFiles) -> BackupReport:
    """Copy the home to ``folder``; an earlier backup there is replaced once this one is whole.

    Raises `InvalidInputError` if the home is empty, if ``folder`` is in it, or has something else
    than a backup of it; `UnavailableError` if the home cannot be read; OSError if the disk is full.
    """
    _check_apart(settings.home, folder)
    with replace_folder(folder) as fresh:
        earlier = read_manifest(folder) if is_backup(folder) else None
        writer = BackupWriter(fresh, folder, earlier)
        created_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        (fresh / settings.jobs.parent.name).mkdir()
        jobs_path, runs_path = _path_in(settings, settings.jobs), _path_in(settings, settings.runs)
        jobs = SqliteJobStore(settings.jobs).copy_to(fresh / jobs_path)
        RunTable(settings.runs).copy_to(fresh / runs_path)
        tables = _copy_tables(settings, writer, report)
        _check_same_home(folder, earlier, tables, jobs)

        def last_claim(run_id: str) -> int:
            return max((table.last_claim(run_id) for table in tables), default=0)

        RunTable(fresh / runs_path).detach_workers(jobs, last_claim, time.time())
        for path in (jobs_path, runs_path):
            writer.add_written(path)
        _copy_files(settings, writer, report)
        versions = {table.name: CopiedTable(table.table_id, table.version) for table in tables}
        Manifest(own_release(), created_at, versions, writer.files).write(fresh)
    size = sum(file.size for file in writer.files.values())
    return BackupReport(len(tables), len(writer.files), size, writer.copied_bytes)


def _check_apart(home: Path, folder: Path) -> None:
    if folder == home or home in folder.parents or folder in home.parents:
        raise InvalidInputError(
            f"{folder} y IPP_HOME = {home} están una dentro de otra.",
            hint="Respalde en otra carpeta, mejor de otro disco.",
        )


def _check_same_home(
    folder: Path, earlier: Manifest | None, tables: Sequence[PinnedTable], jobs: frozenset[str]
) -> None:
    """Raise `InvalidInputError` if there is nothing to copy, or ``earlier`` is of another home."""
    if not tables and not jobs:
        raise InvalidInputError(
            "La carpeta IPP_HOME no tiene tablas ni procesos: no hay nada que respaldar.",
            hint="Revise IPP_HOME.",
        )
    known = {table.table_id for table in earlier.tables.values()} if earlier else set()
    if known and not known.intersection(table.table_id for table in tables):
        raise InvalidInputError(
            f"El respaldo que hay en {folder} es de otra carpeta IPP_HOME.",
            hint="Revise IPP_HOME, o respalde en otra carpeta.",
        )


def _copy_tables(
    settings: Settings, writer: BackupWriter, report: ReportFiles
) -> Sequence[PinnedTable]:
    """Copy every table at a version of it; pin all of them again if a file vanished."""
    names_first = [table.full_name(DEFAULT_CATALOG) for table in _PINNED_FIRST]
    first = {name: place for place, name in enumerate(names_first)}
    error: Exception = FileNotFoundError()
    for _ in range(_MAX_ROUNDS):
        try:
            names = list_tables(settings.lakehouse)
            names.sort(key=lambda name: first.get(name, len(first)))
            tables = [pin_table(settings.lakehouse, name) for name in names]
            _copy_pinned(settings, writer, tables, report)
        except (FileNotFoundError, DeltaError) as failure:
            error = failure
            writer.remove_files(_path_in(settings, settings.lakehouse))
        else:
            return tables
    raise unavailable_error("las tablas, que cambian mientras se copian", error)


def _copy_pinned(
    settings: Settings, writer: BackupWriter, tables: Sequence[PinnedTable], report: ReportFiles
) -> None:
    total, done = sum(len(table.log) + len(table.data) for table in tables), 0
    for table in tables:
        sizes: Mapping[str, int | None] = {**dict.fromkeys(table.log), **table.data}
        for name, size in sizes.items():
            source = table.folder / name
            copied = writer.add_file(source, _path_in(settings, source))
            if size not in {None, copied.size}:
                raise unavailable_error(_path_in(settings, source), OSError())
            done += 1
            report(done, total)
        if not table.is_copied_to(writer.folder / _path_in(settings, table.folder)):
            raise FileNotFoundError(f"the log of {table.name} changed while it was copied")


def _copy_files(settings: Settings, writer: BackupWriter, report: ReportFiles) -> None:
    """Copy the files of jobs, the lists of rejected rows and those at the top of the home."""
    sources = [
        *find_files(settings.files),
        *find_files(settings.rejections),
        *sorted(file for file in settings.home.glob("[!.]*") if file.is_file()),
    ]
    for done, source in enumerate(sources, start=1):
        path = _path_in(settings, source)
        try:
            writer.add_file(source, path)
        except FileNotFoundError:
            continue  # Of a job that was forgotten meanwhile.
        report(len(writer.files), len(writer.files) + len(sources) - done)


def _path_in(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home).as_posix()
