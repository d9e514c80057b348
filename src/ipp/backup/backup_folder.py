"""The folder of a backup: replaced by a newer one as a whole, whenever a process dies.

The new backup is written beside the folder, as ``.NAME.parcial``. Then the earlier one is renamed
to ``.NAME.anterior``, the new one to the folder's name, and the earlier one is removed. A process
that dies between the two renames leaves the earlier one whole under its second name, where
`recover_folder` finds it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ipp.backup.manifest import MANIFEST_NAME, is_backup
from ipp.errors import BusyError, InvalidInputError


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder to write a backup to; it replaces ``folder`` if the block succeeds.

    Its owner alone may look into it. Raises `BusyError` if another process does the same, and
    `InvalidInputError` if ``folder`` is neither absent nor empty nor a backup.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock_folder(folder):
        _recover(folder)
        _check_replaceable(folder)
        fresh = _sibling(folder, "parcial")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        try:
            yield fresh
            _swap(folder, fresh)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def recover_folder(folder: Path) -> None:
    """Give a backup its name back where a process died while it replaced it.

    Raises `BusyError` if a process is replacing it at this moment.
    """
    # Without need nothing is written: the backup may be on a read-only disk.
    if _is_lost(folder):
        with _lock_folder(folder):
            _recover(folder)


def _is_lost(folder: Path) -> bool:
    return not folder.exists() and is_backup(_sibling(folder, "anterior"))


def _recover(folder: Path) -> None:
    if _is_lost(folder):
        _sibling(folder, "anterior").rename(folder)


def _lock_folder(folder: Path) -> AbstractContextManager[None]:
    occupied = f"Otro `ipp backup` está escribiendo en {folder}."
    return hold_lock(_sibling(folder, "lock"), occupied)


def _swap(folder: Path, fresh: Path) -> None:
    """Put a new backup in the place of the folder, and remove what was there."""
    earlier = _sibling(folder, "anterior")
    _remove_backup(earlier)  # Of a process that died while it removed it: the folder is newer.
    if folder.exists():
        folder.rename(earlier)
    fresh.rename(folder)
    if os.name == "posix":
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    _remove_backup(earlier)


def _remove_backup(folder: Path) -> None:
    """Remove a backup, its manifest first: what is left of it is no backup."""
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() or is_backup(folder):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise InvalidInputError(
            f"{folder} tiene algo que no es un respaldo de IPP.",
            hint="Indique una carpeta vacía, una que no exista o la de un respaldo anterior.",
        )
    if folder.is_mount():
        raise InvalidInputError(
            f"{folder} es un disco montado, que no se puede reemplazar.",
            hint=f"Indique una carpeta dentro de él, como {folder / 'ipp'}.",
        )


@contextmanager
def hold_lock(path: Path, occupied: str) -> Iterator[None]:
    """Hold the lock of a file, which the system releases if the process dies.

    Raises `BusyError`, saying what is ``occupied``, if another process holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyError(occupied, hint="Espere a que termine y repita.") from None
    try:
        yield
    finally:
        # Before the release, so that nobody acquires a lock whose name is about to vanish.
        path.unlink(missing_ok=True)
        lock.release()


def _sibling(folder: Path, purpose: str) -> Path:
    return folder.with_name(f".{folder.name}.{purpose}")
