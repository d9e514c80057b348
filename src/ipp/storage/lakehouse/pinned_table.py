"""A Delta table pinned at a version: the files by which a copy opens at exactly that version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable

from ipp.storage.lakehouse.table_cache import StoredTable

_LOG_FOLDER: Final = "_delta_log"

_LOG_FILE_PATTERN: Final = re.compile(r"(\d{20})\.(json|checkpoint\..*parquet)")
"""Commits and checkpoints. ``_last_checkpoint`` is a hint, which may name a later version."""


@dataclass(frozen=True, slots=True)
class PinnedTable:
    """A table by its ``name`` of three parts, as ``stored`` when it was pinned.

    ``log`` lists the files of its log up to that version, ``data`` the size in bytes of each file
    with rows; both by their paths in the table's ``folder``.
    """

    name: str
    folder: Path
    stored: StoredTable
    log: Sequence[str]
    data: Mapping[str, int]

    @property
    def table_id(self) -> str:
        """The id that no other table has, also not one that takes its place."""
        return str(self.stored.metadata().id)

    @property
    def version(self) -> int:
        """The number of the pinned version."""
        return self.stored.version()

    def last_claim(self, writer: str) -> int:
        """Return the largest number of a fence's ``writer`` among the commits; 0 for none."""
        return self.stored.transaction_version(writer) or 0

    def is_copied_to(self, folder: Path) -> bool:
        """Return whether the table in ``folder`` opens at the pinned version, with its files."""
        copy = StoredTable(folder.absolute().as_uri())
        return (copy.version(), _data_files(copy)) == (self.version, self.data)


def list_tables(root: Path) -> list[str]:
    """Return the names of the tables in the folders of a lakehouse, sorted."""
    folders = (log.parent for log in root.glob(f"*/*/*/{_LOG_FOLDER}"))
    # A writer that was killed before its first commit leaves a log without a table.
    tables = (folder for folder in folders if DeltaTable.is_deltatable(folder.absolute().as_uri()))
    return sorted(".".join(folder.relative_to(root).parts) for folder in tables)


def pin_table(root: Path, name: str) -> PinnedTable:
    """Return a table of the lakehouse at ``root`` at its last version.

    Its files remain as long as `Lakehouse.vacuum_table` keeps them: at least a day, unless
    somebody deletes the table. Raises FileNotFoundError or an error of delta-rs if it is gone.
    """
    folder = root.joinpath(*name.split("."))
    stored = StoredTable(folder.absolute().as_uri())
    log = (
        file.name
        for file in (folder / _LOG_FOLDER).iterdir()
        if (match := _LOG_FILE_PATTERN.fullmatch(file.name)) and int(match[1]) <= stored.version()
    )
    paths = [f"{_LOG_FOLDER}/{file}" for file in sorted(log)]
    return PinnedTable(name, folder, stored, paths, _data_files(stored))


def _data_files(stored: DeltaTable) -> dict[str, int]:
    """Return the sizes of a version's files, in bytes, by path in the table's folder."""
    files = pl.DataFrame(stored.get_add_actions(flatten=True)).select("path", "size_bytes")
    return dict(files.sort("path").iter_rows())
