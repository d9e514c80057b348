"""Objects in folders that are object storage underneath, as Databricks' volumes are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipp.storage.files.local_files import LocalFiles


class VolumeFiles(LocalFiles):
    """`Files` under a volume, where a file can only be written from its first byte to its last and not renamed.

    What is written passes through ``scratch``, a folder of the machine's own.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        super().__init__(root)
        self._scratch = scratch

    @contextmanager
    def write_object(self, key: str) -> Iterator[Path]:
        """Give a path to write to; the object appears under ``key`` when the block ends without an error."""
        final = self._object_path(key)
        passing = LocalFiles(self._scratch)
        with passing.write_object(key) as path:
            yield path
        whole = passing.local_path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(whole, final)
        whole.unlink()
