"""Interface of a file store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class FileStore(Protocol):
    """Store of objects by key, ``bucket/job_id/name``; an object exists whole or not at all."""

    def write_object(self, key: str) -> AbstractContextManager[Path]:
        """Yield a path to write to; the object appears under ``key`` when the block succeeds."""
        ...

    def local_path(self, key: str) -> Path:
        """Return a path to read the object from.

        Raises `NotFoundError` if there is none.
        """
        ...

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, sorted."""
        ...

    def address(self, key: str) -> str:
        """Return where a person finds the object."""
        ...
