"""File store on a Databricks volume, a folder backed by object storage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from ipp.storage.files.local_files import LocalFiles


class VolumeFiles(LocalFiles):
    """`FileStore` under a volume, where files are written sequentially and cannot be renamed.

    Objects are staged in ``scratch``, a folder on the machine's own disk.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        super().__init__(root)
        self._scratch = scratch

    @override
    @contextmanager
    def write_object(self, key: str) -> Iterator[Path]:
        final = self._object_path(key)
        staging = LocalFiles(self._scratch)
        with staging.write_object(key) as path:
            yield path
        staged = staging.local_path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(staged, final)
        staged.unlink()
