"""The workspace's tables as Parquet folders, ``catalog/schema/table``, with readable labels."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.change_table import CHANGES
from ipp.core.contract import Table
from ipp.core.tables import CURVES, FAILURES, IMPORTABLE_TABLES, NOTICES, PROCESSES, RESULTS
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.lakehouse.lakehouse import Lakehouse

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        *IMPORTABLE_TABLES.values(),
        RESULTS,
        CURVES,
        FAILURES,
        PROCESSES,
        NOTICES,
        CHANGES,
    )
}
"""Every table there may be, by its name in a catalog."""

PART: Final = "part-0.parquet"
"""The only file of a folder with rows: replacing it replaces the content atomically."""


def folder_of(table: Table, tables: Path, catalog: str = DEFAULT_CATALOG) -> Path:
    """Where a table of ``catalog`` lies below ``tables``."""
    return tables.joinpath(*table.full_name(catalog).split("."))


def lay_out(
    lakehouse: Lakehouse,
    tables: Path,
    only: Iterable[Table] = tuple(TABLES.values()),
    *,
    catalog: str = DEFAULT_CATALOG,
) -> None:
    """Sync the tables of ``catalog`` with ``lakehouse``; one that was never written is absent.

    Nobody may read them meanwhile.
    """
    for table in only:
        folder = folder_of(table, tables, catalog)
        shutil.rmtree(folder, ignore_errors=True)
        if lakehouse.table_exists(table):
            being = folder.with_name(f".{folder.name}-{uuid.uuid4()}")
            write(table, lakehouse.scan_table(table).collect(), being)
            being.rename(folder)


def write(table: Table, rows: pl.DataFrame, folder: Path) -> None:
    """Write ``rows``, by their names in code, below ``folder``, partitioned by the contract."""
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
