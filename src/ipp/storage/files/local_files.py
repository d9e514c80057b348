"""File store in a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipp.errors import NotFoundError
from ipp.storage.files.atomic_file import replace_file


class LocalFiles:
    """`FileStore` under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def write_object(self, key: str) -> Iterator[Path]:
        """Yield a path to write to; the object appears under ``key`` when the block succeeds."""
        final = self._object_path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(final) as partial:
            yield partial

    def local_path(self, key: str) -> Path:
        """Return a path to read the object from. Raises `NotFoundError`."""
        path = self._object_path(key)
        if not path.is_file():
            raise NotFoundError(f"No existe el archivo {key}.")
        return path

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, sorted."""
        folder = self._object_path(prefix.rpartition("/")[0])
        keys = (
            path.relative_to(self._root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        yield from sorted(key for key in keys if key.startswith(prefix))

    def address(self, key: str) -> str:
        """Return where a person finds the object."""
        return str(self._object_path(key))

    def _object_path(self, key: str) -> Path:
        path = self._root.joinpath(*key.split("/"))
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise NotFoundError(f"No existe el archivo {key}.")
        return path
