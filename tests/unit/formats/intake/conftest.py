"""A small house with counters 1-9 and materials 11-19, and a way to bring files into it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ipp.core.contract import Table
from ipp.core.tables import COUNTERS, MATERIALS
from ipp.formats.intake.table_import import ApproveChanges, ImportReport, TableImporter
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.lakehouse import Lakehouse
from tests.sample_chain import AUTHOR

Bring = Callable[..., ImportReport]


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], DeltaLakehouse]:
    """Each call founds another house, so that the examples of a law do not see each other."""
    count = 0

    def found() -> DeltaLakehouse:
        nonlocal count
        count += 1
        lakehouse = DeltaLakehouse(tmp_path / f"lakehouse-{count}")
        counters = pl.LazyFrame({"mostrador": range(1, 10), "postal_code": [6000] * 9})
        lakehouse.replace_table(COUNTERS, counters)
        lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": range(11, 20)}))
        return lakehouse

    return found


@pytest.fixture
def lakehouse(found: Callable[[], DeltaLakehouse]) -> DeltaLakehouse:
    return found()


@pytest.fixture
def bring(lakehouse: Lakehouse, tmp_path: Path) -> Bring:
    """Write ``content`` to a file called ``name`` and import it; today is 30 June 2024."""

    def bring(
        table: Table,
        content: str | bytes,
        *,
        name: str = "datos.csv",
        allow: bool = False,
        into: Lakehouse = lakehouse,
        agree: ApproveChanges | None = None,
    ) -> ImportReport:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return TableImporter(into, Scratch(tmp_path / "scratch")).import_file(
            table,
            file,
            rejections=tmp_path / "rechazos",
            today=dt.date(2024, 6, 30),
            allow_rejections=allow,
            agree=agree,
            author=AUTHOR,
        )

    return bring
