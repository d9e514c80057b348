"""File store in a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from ipp.errors import NotFoundError
from ipp.storage.fence import Fence
from ipp.storage.files.atomic_file import replace_file
from ipp.storage.files.file_store import FileStore


class LocalFiles(FileStore):
    """`FileStore` under one folder; with a ``fence``, an object appears only while it is held."""

    def __init__(self, root: Path, fence: Fence | None = None) -> None:
        self._root = root
        self._fence = fence

    @override
    @contextmanager
    def write_object(self, key: str) -> Iterator[Path]:
        final = self._object_path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(final, self._check_fence) as partial:
            yield partial

    @override
    def local_path(self, key: str) -> Path:
        path = self._object_path(key)
        if not path.is_file():
            raise NotFoundError(f"No existe el archivo {key}.")
        return path

    @override
    def list_keys(self, prefix: str) -> Iterator[str]:
        folder = self._object_path(prefix.rpartition("/")[0])
        keys = (
            path.relative_to(self._root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        yield from sorted(key for key in keys if key.startswith(prefix))

    @override
    def address(self, key: str) -> str:
        return str(self._object_path(key))

    def _check_fence(self) -> None:
        if self._fence is not None:
            self._fence.check_held()

    def _object_path(self, key: str) -> Path:
        path = self._root.joinpath(*key.split("/"))
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise NotFoundError(f"No existe el archivo {key}.")
        return path
