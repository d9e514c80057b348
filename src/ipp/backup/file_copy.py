"""Copy the files of a home to a backup and back, each read once, hashed and on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ipp.backup.manifest import CopiedFile, Manifest, hash_file


def copy_file(source: Path, target: Path) -> CopiedFile:
    """Copy a file with its modification time; return what was copied, which is then on disk.

    A file that is replaced meanwhile is copied as it was. Raises FileNotFoundError if there is
    none, OSError if it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    status = source.stat()
    with target.open("wb") as file:
        copied = hash_file(source, file.write)
        file.flush()
        os.fsync(file.fileno())
    # Of a file that was replaced meanwhile this is the time before, so that it is copied next time.
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return copied


@dataclass(slots=True)
class BackupWriter:
    """The files of a new backup in ``folder``, of which an ``earlier`` one may have some.

    A file of the earlier backup, in ``earlier_folder``, that has the size and the modification
    time of the home's is linked, not copied. From the home nothing is linked: a file that the disk
    or a person damages there would be damaged in the backup too. ``files`` are those written so
    far by path, ``copied_bytes`` the size of those that were copied.
    """

    folder: Path
    earlier_folder: Path
    earlier: Manifest | None
    files: dict[str, CopiedFile] = field(default_factory=dict)
    copied_bytes: int = 0

    def add_file(self, source: Path, path: str) -> CopiedFile:
        """Add a file of the home under ``path``. Raises FileNotFoundError if it is gone."""
        entry = self._link_unchanged(source, path)
        if entry is None:
            try:
                entry = copy_file(source, self.folder / path)
            except FileNotFoundError:
                (self.folder / path).unlink(missing_ok=True)
                raise
            self.copied_bytes += entry.size
        self.files[path] = entry
        return entry

    def add_written(self, path: str) -> None:
        """Add a file that was written to the backup's folder directly."""
        self.files[path] = hash_file(self.folder / path)
        self.copied_bytes += self.files[path].size

    def remove_files(self, parent: str) -> None:
        """Remove the files that were added under the folder ``parent``, a path in the backup."""
        shutil.rmtree(self.folder / parent, ignore_errors=True)
        self.files = {p: file for p, file in self.files.items() if not p.startswith(f"{parent}/")}

    def _link_unchanged(self, source: Path, path: str) -> CopiedFile | None:
        """Link the earlier backup's file, if it is the home's; None where it must be copied."""
        known = None if self.earlier is None else self.earlier.files.get(path)
        if known is None:
            return None
        kept, target = self.earlier_folder / path, self.folder / path
        # Not every file system has links.
        with suppress(OSError):
            now, before = source.stat(), kept.stat()
            same = (known.size, before.st_size, before.st_mtime_ns)
            if same == (now.st_size, now.st_size, now.st_mtime_ns):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(kept)
                return known
        return None


def find_files(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder, except hidden ones: unfinished, or being removed.

    A folder that disappears meanwhile has none.
    """
    for parent, folders, files in os.walk(folder, onerror=_raise_unless_gone):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
