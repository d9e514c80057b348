"""The tables of a workspace as Parquet folders: ``catalog/schema/table``, by the labels people read."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import CURVES, FAILURES, IMPORTABLE_TABLES, NOTICES, PROCESSES, RESULTS
from ipp.storage.lakehouse.lakehouse import Lakehouse

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (*IMPORTABLE_TABLES.values(), RESULTS, CURVES, FAILURES, PROCESSES, NOTICES)
}
"""Every table there may be, by its three-part name."""

PART: Final = "part-0.parquet"
"""The one file of a folder that has rows: another file in its place is another content, at one moment."""


def folder_of(table: Table, tables: Path) -> Path:
    """Where a table lies below ``tables``."""
    return tables.joinpath(*table.name.split("."))


def lay_out(
    lakehouse: Lakehouse, tables: Path, only: Iterable[Table] = tuple(TABLES.values())
) -> None:
    """Bring the tables below ``tables`` to what they are in ``lakehouse``: one that was never written is not there.

    Nobody may read them meanwhile.
    """
    for table in only:
        folder = folder_of(table, tables)
        shutil.rmtree(folder, ignore_errors=True)
        if lakehouse.table_exists(table):
            being = folder.with_name(f".{folder.name}-{uuid.uuid4()}")
            write(table, lakehouse.scan_table(table).collect(), being)
            being.rename(folder)


def write(table: Table, rows: pl.DataFrame, folder: Path) -> None:
    """Write ``rows``, by the names in code, below ``folder``: a folder a partition where the contract has them."""
    folder.mkdir(parents=True)
    labelled = rows.rename(dict(table.labels))
    if not table.partition_by:
        labelled.write_parquet(folder / PART)
        return
    (name,) = table.partition_by
    label = table.labels[name]
    for (value,), part in labelled.partition_by(label, as_dict=True, include_key=False).items():
        below = folder / f"{label}={value}"
        below.mkdir()
        part.write_parquet(below / PART)
