"""What a store of files promises, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class FileStore(Protocol):
    """Objects by key: ``bucket/job_id/name``. An object is there whole or not at all."""

    def write_object(self, key: str) -> AbstractContextManager[Path]:
        """Give a path to write to; the object appears under ``key`` when the block ends without an error."""
        ...

    def local_path(self, key: str) -> Path:
        """A path to read the object from.

        Raises `NotFoundError` where there is none.
        """
        ...

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with ``prefix``, sorted."""
        ...

    def address(self, key: str) -> str:
        """Where a person finds the object."""
        ...
