"""Put a backup back as a home.

The files are copied and verified in ``.restaurando`` of the home, where nobody looks; the manifest
is written there last. After that, a restoration only renames, and one that is repeated after a kill
continues; before, it starts over. ``procesos`` is renamed last, because the jobs in it refer to all
the rest. The home itself is never renamed: it may be a mounted disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from ipp.backup.backup_folder import hold_lock, recover_folder
from ipp.backup.file_copy import copy_file
from ipp.backup.home_backup import ReportFiles
from ipp.backup.manifest import (
    MANIFEST_NAME,
    Manifest,
    damaged_error,
    is_backup,
    read_manifest,
)
from ipp.errors import InvalidInputError
from ipp.settings import Settings

_STAGING_NAME: Final = ".restaurando"
_LOCK_NAME: Final = ".restaurando.lock"

_IGNORED_NAMES: Final = frozenset({_STAGING_NAME, _LOCK_NAME, "lost+found"})
"""What an empty home may have: what a killed restoration left, and what a new disk has."""


def restore_home(settings: Settings, folder: Path, report: ReportFiles) -> Manifest:
    """Restore the backup in ``folder`` to an empty home; return its manifest.

    Raises `InvalidInputError` if the home has something, or ``folder`` is not a backup that this
    release can read; `DamagedBackupError` if a file differs, and OSError: then the home is as
    empty as before.
    """
    home = settings.home
    recover_folder(folder)
    manifest = read_manifest(folder)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold_lock(home / _LOCK_NAME, f"Otro `ipp restore` está escribiendo en {home}."):
        staging = home / _STAGING_NAME
        if is_backup(staging):
            _check_same_backup(home, read_manifest(staging), manifest)
        else:
            _check_empty(home)
            shutil.rmtree(staging, ignore_errors=True)
            try:
                _copy_verified(folder, manifest, staging, report)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
        _move_entries(staging, home, last=settings.jobs.parent.name)
    return manifest


def _copy_verified(folder: Path, manifest: Manifest, staging: Path, report: ReportFiles) -> None:
    """Copy every file of a backup; each must be as the manifest says."""
    damaged: dict[str, str] = {}
    staging.mkdir()
    for done, (path, expected) in enumerate(manifest.files.items(), start=1):
        try:
            if copy_file(folder / path, staging / path) != expected:
                damaged[path] = "cambió"
        except FileNotFoundError:
            damaged[path] = "falta"
        report(done, len(manifest.files))
    if damaged:
        raise damaged_error(folder, damaged)
    manifest.write(staging)


def _move_entries(staging: Path, home: Path, *, last: str) -> None:
    """Move what was restored into the home, what is in ``last`` after all else."""
    for entry in sorted(staging.iterdir(), key=lambda entry: (entry.name == last, entry.name)):
        if entry.name == MANIFEST_NAME:
            continue
        if (home / entry.name).exists():
            raise _occupied_error(home, entry.name)
        entry.rename(home / entry.name)
    shutil.rmtree(staging)


def _check_empty(home: Path) -> None:
    content = sorted(entry.name for entry in home.iterdir() if entry.name not in _IGNORED_NAMES)
    if content:
        raise _occupied_error(home, content[0])


def _check_same_backup(home: Path, started: Manifest, manifest: Manifest) -> None:
    if started != manifest:
        raise InvalidInputError(
            f"En {home} quedó a medias la restauración de otro respaldo, de {started.created_at}.",
            hint="Restaure aquél otra vez, o vacíe la carpeta.",
        )


def _occupied_error(home: Path, name: str) -> InvalidInputError:
    return InvalidInputError(
        f"IPP_HOME = {home} no está vacía: tiene {name}.",
        hint="Restaure en una carpeta vacía o que no exista.",
    )
