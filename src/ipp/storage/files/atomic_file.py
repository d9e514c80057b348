"""Atomic replacement of a file: it appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MOST_RIGHTS: Final = 0o644
"""The rights that a file takes over from its folder."""


@contextmanager
def replace_file(path: Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a path to write to; it replaces ``path`` when the block ends without an error.

    The content reaches the disk before the name does. Each writer has its own path, so that of two
    concurrent ones either file remains, whole. The file has the folder's read rights. If
    ``check``, which is called right before the file appears, raises, it does not. A killed process
    leaves at most a hidden ``.partial`` in the folder.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield partial
        _sync_to_disk(partial)
        partial.chmod(path.parent.stat().st_mode & _MOST_RIGHTS | stat.S_IRUSR | stat.S_IWUSR)
        check()
        partial.replace(path)
        if os.name == "posix":
            _sync_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
