"""The manifest of a backup: the release that made it, its tables, and every file's SHA-256."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ipp.errors import InvalidInputError, IppError, name_some
from ipp.storage.files.atomic_file import replace_file

MANIFEST_NAME: Final = "respaldo.json"
"""Name of the manifest's file, at the top of a backup."""

_FORMAT: Final = 1
"""Number of the manifest's form; a larger one is of a release that is not known yet."""

_CHUNK_BYTES: Final = 2**20


class DamagedBackupError(IppError):
    """Files of a backup are not as they were written."""

    code = "respaldo_danado"


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of a backup: its ``size`` in bytes and the hexadecimal ``sha256`` of its content."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """The Delta table ``table_id`` at the ``version`` that a backup has."""

    table_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup consists of: ``tables`` by name, ``files`` by path in its folder.

    ``created_at`` is an ISO text of the moment from which the jobs are.
    """

    release: str
    created_at: str
    tables: Mapping[str, CopiedTable]
    files: Mapping[str, CopiedFile]

    def write(self, folder: Path) -> None:
        """Write the manifest to the backup in ``folder``, atomically."""
        document = {"formato": _FORMAT, **asdict(self)}
        with replace_file(folder / MANIFEST_NAME) as path:
            text = json.dumps({"sha256": _document_hash(document), **document}, indent=1)
            path.write_text(text, encoding="utf-8")


def own_release() -> str:
    """Return the number of the installed release."""
    return version("ipp")


def is_backup(folder: Path) -> bool:
    """Return whether the folder holds a backup that was finished."""
    return (folder / MANIFEST_NAME).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the backup in ``folder``.

    Raises `InvalidInputError` if there is none or a newer release made it, and
    `DamagedBackupError` if it is not as it was written.
    """
    if not is_backup(folder):
        raise InvalidInputError(
            f"En {folder} no hay un respaldo.", hint="Indique la carpeta que dejó `ipp backup`."
        )
    try:
        document: dict[str, Any] = json.loads((folder / MANIFEST_NAME).read_bytes())
        expected, form = document.pop("sha256"), int(document.pop("formato"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged_error(folder, {MANIFEST_NAME: "no se entiende"}) from None
    release = str(document.get("release", ""))
    if form > _FORMAT or _release_numbers(release) > _release_numbers(own_release()):
        raise InvalidInputError(
            f"El respaldo {folder} es de IPP {release}, más nuevo que éste ({own_release()}).",
            hint="Instale esa versión, o una posterior, y repita.",
        )
    if _document_hash({"formato": form, **document}) != expected:
        raise damaged_error(folder, {MANIFEST_NAME: "cambió"})
    if any(not _is_inside(PurePosixPath(path)) for path in document["files"]):
        raise damaged_error(folder, {MANIFEST_NAME: "nombra archivos de fuera"})
    return Manifest(
        release,
        document["created_at"],
        {name: CopiedTable(**table) for name, table in document["tables"].items()},
        {path: CopiedFile(**file) for path, file in document["files"].items()},
    )


def verify_files(folder: Path, manifest: Manifest, progress: Callable[[int, int], None]) -> None:
    """Read every file of a backup. Raises `DamagedBackupError`, naming those that differ.

    ``progress`` is called with the files that were read and how many there are.
    """
    damaged: dict[str, str] = {}
    for done, (path, expected) in enumerate(manifest.files.items(), start=1):
        try:
            content = hash_file(folder / path)
        except FileNotFoundError:
            damaged[path] = "falta"
        else:
            if content != expected:
                damaged[path] = "cambió"
        progress(done, len(manifest.files))
    if damaged:
        raise damaged_error(folder, damaged)


def hash_file(path: Path, write: Callable[[bytes], object] = lambda _chunk: None) -> CopiedFile:
    """Read a file once, giving ``write`` each part of it; return its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return CopiedFile(size, digest.hexdigest())


def _document_hash(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _release_numbers(release: str) -> list[int]:
    """Return the first three numbers of a release, 1.2.3, by which releases are compared."""
    return [*map(int, re.findall(r"\d+", release)[:3])]


def _is_inside(path: PurePosixPath) -> bool:
    """Return whether a path of the manifest stays in the backup; `a..b.csv` is a name like any."""
    return not path.is_absolute() and ".." not in path.parts


def damaged_error(folder: Path, damaged: Mapping[str, str]) -> DamagedBackupError:
    """Return the error of a backup whose files, by path, differ for the reasons given."""
    named = name_some([f"{path} ({reason})" for path, reason in damaged.items()])
    return DamagedBackupError(
        f"El respaldo {folder} está dañado: {named}.",
        hint="Use otro respaldo; si la carpeta IPP_HOME sigue en pie, haga uno nuevo con "
        "`ipp backup` en una carpeta vacía.",
    )
