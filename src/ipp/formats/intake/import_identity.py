"""Recognise a file whose import was the last change of its table, without reading its rows."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ipp.core.contract import Table
from ipp.core.tables import COUNTERS, IMPORTABLE_TABLES
from ipp.storage.lakehouse.lakehouse import Lakehouse

_METADATA_KEY: Final = "ipp.import"
"""Key of an import in the metadata of its commit."""


@dataclass(frozen=True, slots=True)
class ImportIdentity:
    """Everything that decides what an import of ``file`` does, but the table's own rows.

    ``digest`` covers the file's bytes, the contract, the tables that the rows are checked against
    and the version of IPP; it is empty where the file cannot be read. ``status`` tells whether the
    file has changed since. A row that was not in the future on one day is not on a later ``today``.
    """

    file: Path
    digest: str
    status: tuple[int, ...]
    today: dt.date

    def find_outcome(self, table: Table, lakehouse: Lakehouse) -> Mapping[str, Any] | None:
        """Return the outcome of this import if the last change of ``table`` was the same one."""
        last = lakehouse.last_metadata(table).get(_METADATA_KEY)
        if not last or last["digest"] != self.digest or last["today"] > self.today.isoformat():
            return None
        outcome: Mapping[str, Any] = last["outcome"]
        return outcome

    def describe(self, outcome: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the metadata for the commit of this import; none if the file has changed."""
        if not self.digest or _file_status(self.file) != self.status:
            return {}
        said = {"digest": self.digest, "today": self.today.isoformat(), "outcome": dict(outcome)}
        return {_METADATA_KEY: said}


def identify_import(
    table: Table, file: Path, lakehouse: Lakehouse, today: dt.date
) -> ImportIdentity:
    """Return the identity of an import; call it before anything else of the import is read."""
    checked = {COUNTERS.name, *table.references.values()}
    status = _file_status(file)
    try:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ImportIdentity(file, "", status, today)
    parts = [
        content, file.suffix.lower(), repr(table), version("ipp"),
        *(lakehouse.version_id(t) for t in IMPORTABLE_TABLES.values() if t.name in checked),
    ]  # fmt: skip
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return ImportIdentity(file, digest, status, today)


def _file_status(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
