"""Copy the configurations of a warehouse, so that a file can be checked against them anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.tables import CONFIGURATIONS, COUNTERS, MOSTRADOR
from ipp.formats.intake.table_import import TableImporter
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.table_error import translate_table_errors
from ipp.storage.warehouse.warehouse import Warehouse

_MAX_ROWS: Final = 2**31 - 1


def copy_register(warehouse: Warehouse, folder: Path) -> TableImporter:
    """Return an importer into a copy of the configurations as they are now, in ``folder``.

    The process that reads a file with it needs neither the warehouse nor a credential. Raises
    `UnavailableError`.
    """
    configurations = warehouse.list_configurations("", 0, _MAX_ROWS).rows
    counters = pl.DataFrame({MOSTRADOR.name: warehouse.known_counters()}, schema=[MOSTRADOR.name])
    lakehouse = DeltaLakehouse(folder / "registro")
    with translate_table_errors():
        rows = pl.LazyFrame(configurations, schema=CONFIGURATIONS.schema)
        lakehouse.replace_table(CONFIGURATIONS, rows)
        if not counters.is_empty():  # Else the importer says that there are none yet.
            lakehouse.replace_table(COUNTERS, counters.lazy())
    return TableImporter(lakehouse, Scratch(folder))
