"""A workbook of a real counter's size, for the benchmarks: given, or made from the sample."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.jobs.change_author import change_author
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.local_caller import local_caller
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import run_stage
from ipp.sample import invent_chain, write_chain
from ipp.storage.change_record import Door
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse

PRODUCTS = 4_206


def given_or_made(folder: Path) -> Path:
    """Return the Parquet workbook of the command line, else `PRODUCTS` made-up products.

    The made-up workbook is written into ``folder``.
    """
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    workspace = LocalRunner(
        DeltaLakehouse(folder / "lakehouse"),
        LocalFiles(folder / "files"),
        Scratch(folder / "scratch"),
    )
    end = dt.date(2026, 6, 30)
    made = invent_chain(counters=5, materials=PRODUCTS, days=365, seed=1, end=end)
    write_chain(
        made,
        workspace.lakehouse,
        workspace.scratch,
        lambda _done, _total: None,
        change_author(local_caller(), Door.COMMAND),
    )
    now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    spec = plan_job(
        (7_051_602,),
        Parameters(),
        LakehouseWarehouse(workspace.lakehouse),
        job_id="ipp-bench",
        created_at=now,
    )
    for stage in list(Stage)[:2]:
        run_stage(stage, spec, workspace, lambda _mostrador: None)
    rows = pl.read_parquet(workspace.files.local_path(spec.processed_key("7051602.parquet")))
    path = folder / "libro.parquet"
    rows.rename(dict(PROCESSED_TABLE.labels)).write_parquet(path)
    return path
