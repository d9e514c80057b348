"""A file that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; it takes the place of ``path`` when the block ends without an error.

    The content is on the disk before the name is. Each writer has a path of its own, so that two at once leave
    one file or the other. A process that is killed leaves at most a hidden ``.partial`` in the folder.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield partial
        _sync_folder(partial)
        partial.replace(path)
        if os.name == "posix":
            _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
