"""Folders for what is written on the way, which nobody needs once the process that made them has died."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

_LOCK_FILE: Final = ".lock"
_MAX_ATTEMPTS: Final = 20


class Scratch:
    """Folders under ``root``, which is made when the first is asked for.

    Each lies beside a lock that the process holds for as long as it needs the folder. The system lets go of the locks
    of a process that dies, however it dies, so that what is locked is alive and what is not may be taken away.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """Give an empty folder that is there until the block ends, and no folder above it that was not there before.

        Raises OSError where it cannot be made.
        """
        absent = [above for above in (self._root, *self._root.parents) if not above.exists()]
        path = self._root / f"{os.getpid()}-{secrets.token_hex(6)}"
        lock = self._new_lock(path)
        try:
            path.mkdir()
            yield path
        finally:
            _remove_folder(path, lock)
            with suppress(OSError):  # somebody has put something there meanwhile
                for above in absent:
                    above.rmdir()

    def _new_lock(self, path: Path) -> FileLock:
        """The lock of a folder that is yet to be made: from its first moment it is somebody's."""
        lock = _lock_file(path)
        attempts = 0
        while True:
            try:
                self._root.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            except (
                FileNotFoundError,
                FileExistsError,
            ):  # another, who had made the root, took it away just then
                attempts += 1
                if attempts == _MAX_ATTEMPTS:
                    raise
            else:
                return lock

    def remove_abandoned(self) -> None:
        """Take away the folders of processes that have died; what cannot be taken away is left for another time."""
        left: list[Path] = []
        with suppress(FileNotFoundError):  # there is no root, or just then no more
            left += self._root.glob(f"*{_LOCK_FILE}")
        for locked in left:
            path = locked.with_name(locked.name.removesuffix(_LOCK_FILE))
            lock = _lock_file(path)
            with suppress(Timeout, OSError):  # it is in use, or not ours to open
                lock.acquire(blocking=False)
                _remove_folder(path, lock)


def _lock_file(path: Path) -> FileLock:
    # Not of a thread: what one thread of a server begins another may end.
    return FileLock(path.with_name(f"{path.name}{_LOCK_FILE}"), thread_local=False)


def _remove_folder(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():  # else the lock's file stays, by which a sweep finds the rest
        with suppress(OSError):
            # Before it is let go of: nobody may come to hold a lock on a name that is about to vanish. Where open
            # files cannot be removed, letting go of it removes it.
            Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
