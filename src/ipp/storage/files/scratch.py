"""Temporary folders, removable once the process that created them has died."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from filelock import FileLock, Timeout

_LOCK_FILE: Final = ".lock"
_MAX_ATTEMPTS: Final = 20
_UNWRITABLE_ERRORS: Final = frozenset(
    {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT}
)


class Scratch:
    """Temporary folders under ``root``, which is created with the first of them.

    Beside each is a lock file that the process holds for as long as it needs the folder. The
    operating system releases the locks of a process that dies, however it dies, so a locked folder
    is in use and an unlocked one may be removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """Yield an empty folder that exists until the block ends.

        Parent folders that this creates are removed with it. Where the root cannot be written, as
        on a read-only or full disk, the folder is one of the system's. Raises OSError if it cannot
        be created there either.
        """
        with ExitStack() as stack:
            try:
                path = stack.enter_context(self._own_folder())
            except OSError as error:
                if error.errno not in _UNWRITABLE_ERRORS:
                    raise
                path = Path(stack.enter_context(TemporaryDirectory(prefix="ipp-")))
            yield path

    @contextmanager
    def _own_folder(self) -> Iterator[Path]:
        """Yield an empty folder under the root."""
        absent = [above for above in (self._root, *self._root.parents) if not above.exists()]
        path = self._root / f"{os.getpid()}-{secrets.token_hex(6)}"
        lock = self._new_lock(path)
        try:
            path.mkdir()
            yield path
        finally:
            _remove_folder(path, lock)
            # A parent that another process has put something in meanwhile is not empty, and stays.
            with suppress(OSError):
                for above in absent:
                    above.rmdir()

    def _new_lock(self, path: Path) -> FileLock:
        """Acquire the lock of a folder before it is created, so that it is never unowned."""
        lock = _lock_file(path)
        attempts = 0
        while True:
            try:
                self._root.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            except (FileNotFoundError, FileExistsError):
                # The process that had created the root removed it between the two calls.
                attempts += 1
                if attempts == _MAX_ATTEMPTS:
                    raise
            else:
                return lock

    def remove_abandoned(self) -> None:
        """Remove the folders of dead processes; what cannot be removed is left for later."""
        lock_files: list[Path] = []
        # The root may not exist, or disappear during the listing.
        with suppress(FileNotFoundError):
            lock_files += self._root.glob(f"*{_LOCK_FILE}")
        for lock_file in lock_files:
            path = lock_file.with_name(lock_file.name.removesuffix(_LOCK_FILE))
            lock = _lock_file(path)
            # The folder may be in use, or belong to another user.
            with suppress(Timeout, OSError):
                lock.acquire(blocking=False)
                _remove_folder(path, lock)


def _lock_file(path: Path) -> FileLock:
    # Not thread-local, because one thread of a server may release what another acquired.
    return FileLock(path.with_name(f"{path.name}{_LOCK_FILE}"), thread_local=False)


def _remove_folder(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    # If part of the folder remains, so does the lock file, by which `remove_abandoned` finds it.
    if not path.exists():
        with suppress(OSError):
            # Unlink before releasing, so that nobody acquires a lock whose name is about to vanish.
            # On systems that cannot remove open files, releasing removes it.
            Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
