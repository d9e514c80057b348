"""A workbook of a real counter's size, for the benchmarks: given, or made from the sample."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.workbook_columns import PROCESSED
from ipp.jobs.job_plan import plan
from ipp.pipeline.runners.local_runner import Workspace
from ipp.pipeline.stages import STAGES
from ipp.sample import chain, write
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import TableWarehouse

PRODUCTS = 4_206


def given_or_made(folder: Path) -> Path:
    """The Parquet workbook named on the command line, else one of `PRODUCTS` made-up products in ``folder``."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    workspace = Workspace(
        DeltaLakehouse(folder / "lakehouse"), LocalFiles(folder / "files"), Scratch(folder / "scratch")
    )
    end = dt.date(2026, 6, 30)
    made = chain(counters=5, materials=PRODUCTS, days=365, seed=1, end=end)
    write(made, workspace.lakehouse, workspace.scratch, lambda _done, _total: None)
    now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    spec = plan((7_051_602,), Parameters(), TableWarehouse(workspace.lakehouse), job_id="ipp-bench", created_at=now)
    for stage in list(STAGES.values())[:2]:
        stage(spec, workspace, lambda _mostrador: None)
    rows = pl.read_parquet(workspace.files.local(spec.processed("7051602.parquet")))
    path = folder / "libro.parquet"
    rows.rename(dict(PROCESSED.labels)).write_parquet(path)
    return path
