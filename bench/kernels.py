"""The time of each kernel for a mostrador of 5,000 products, and the total for a whole country.

    python bench/kernels.py [COUNTERS]

The stages run here with a clock around each kernel; what is between them (reading, joining,
writing, files for people) is the rest of the stage's time. docs/scale.md computes with these
figures.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import polars as pl

from ipp.core.contract import Table
from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE_MODEL, RESULTS
from ipp.formats.spreadsheet import write_csv
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.pipeline.precomputed_export import ExportKernel
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.runners.runner import (
    Kernel,
    LazyRows,
    MultiTableKernel,
    Render,
    ReportLostGroup,
    RowsOfGroups,
    StoredRows,
)
from ipp.pipeline.runners.stage_execution import StageExecution
from ipp.pipeline.stages import run_stage
from ipp.sample import invent_chain, write_chain
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from measure import show
from measure import timed as clocked

PRODUCTS, DAYS, COUNTRY = 5_000, 365, 10_000
END = dt.date(2026, 6, 30)

Made = TypeVar("Made")


@dataclass
class Timed:
    """A runner that times each kernel, by its name and by whether the counter is predictive."""

    workspace: LocalRunner
    spent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def files(self) -> LocalFiles:
        assert isinstance(self.workspace.files, LocalFiles)
        return self.workspace.files

    @property
    def scratch(self) -> Scratch:
        return self.workspace.scratch

    def scan_table(self, table: Table) -> LazyRows:
        return self.workspace.scan_table(table)

    def from_polars(self, rows: pl.DataFrame) -> LazyRows:
        return self.workspace.from_polars(rows)

    def cache_rows(self, rows: LazyRows) -> LazyRows:
        return self.workspace.cache_rows(rows)

    def map_groups(
        self,
        key: str,
        groups: Mapping[int, int],
        rows_of: RowsOfGroups,
        kernel: Kernel,
        schema: pl.Schema,
        lose: ReportLostGroup,
    ) -> LazyRows:
        return self.workspace.map_groups(key, groups, rows_of, self._timed(kernel), schema, lose)

    def store_counters(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
    ) -> None:
        self.workspace.store_counters(source, self._timed(kernel), into, work)

    def store_and_render(
        self,
        source: RowsOfGroups | StoredRows,
        kernel: Kernel,
        into: StoredRows,
        work: StageExecution,
        render: Render[Made],
    ) -> Iterator[Made]:
        return self.workspace.store_and_render(source, self._timed(kernel), into, work, render)

    def publish_tables(
        self,
        source: StoredRows,
        kernel: MultiTableKernel,
        tables: Sequence[Table],
        work: StageExecution,
    ) -> None:
        self.workspace.publish_tables(source, self._timed(kernel), tables, work)

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        self.workspace.replace_job(table, rows, job_id)

    def _timed(self, kernel: Callable[[pl.DataFrame], Made]) -> Callable[[pl.DataFrame], Made]:
        def call(rows: pl.DataFrame) -> Made:
            start = time.perf_counter()
            made = kernel(rows)
            model = str(rows["inventory_model"][0]) if "inventory_model" in rows.columns else ""
            self.spent[f"{type(kernel).__name__} {model}".strip()].append(
                time.perf_counter() - start
            )
            return made

        return call


def main() -> None:
    counters = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = LocalRunner(
            DeltaLakehouse(folder / "lakehouse"),
            LocalFiles(folder / "files"),
            Scratch(folder / "scratch"),
        )
        made = invent_chain(counters=counters, materials=PRODUCTS, days=DAYS, seed=1, end=END)
        write_chain(made, workspace.lakehouse, workspace.scratch, lambda _done, _total: None)
        now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
        spec = plan_job(
            None,
            Parameters(),
            LakehouseWarehouse(workspace.lakehouse),
            job_id="ipp-bench",
            created_at=now,
        )
        timed = Timed(workspace)
        stages = {}
        for stage in Stage:
            start = time.perf_counter()
            run_stage(stage, spec, timed, lambda _mostrador: None)
            stages[stage] = time.perf_counter() - start
        rows = workspace.lakehouse.scan_table(RESULTS).collect()
        exporter = timed._timed(ExportKernel(spec))
        exported = pl.concat([exporter(part) for part in rows.partition_by("mostrador")])
        of_kernels(timed.spent, counters)
        for stage, took in stages.items():
            what = (
                f"stage {stage}, {counters} counters in one process, {predictive(rows)} predictive"
            )
            show(what, took, "s", {"the three stages": sum(stages.values())})
        of_sizes(folder, exported, rows)
        of_csv(folder, rows)


def of_kernels(spent: Mapping[str, Sequence[float]], counters: int) -> None:
    """Show what a kernel takes, and all of them for a counter and for the country."""
    whole = sum(map(sum, spent.values())) / counters
    computed = (
        whole
        - sum(sum(seconds) for kernel, seconds in spent.items() if "Exporter" in kernel) / counters
    )
    for kernel, seconds in sorted(spent.items()):
        mean = 1e3 * sum(seconds) / len(seconds)
        what = f"{kernel}, one of {len(seconds)}, {PRODUCTS:,} products a counter"
        show(what, mean, "ms", {"every kernel of a counter, files included": 1e3 * whole})
    show(
        "every kernel of a counter, files included",
        whole,
        "s",
        {"without the files": computed},
        digits=2,
    )
    hours = COUNTRY / 3600
    against = {"without the files": computed * hours}
    show(
        f"the same for {COUNTRY:,} counters, on paper",
        whole * hours,
        "core hours",
        against,
        digits=2,
    )


def of_sizes(folder: Path, exported: pl.DataFrame, rows: pl.DataFrame) -> None:
    """Show what a row takes where it lies, beside what it takes in memory."""
    found = {
        "published": "lakehouse/**/gold/ipp_resultados_finales/**/*.parquet",
        "normalised": "files/ipp-raw/**/*.parquet",
        "processed": "files/ipp-processed/**/*.parquet",
        "a day's sale of a product": "lakehouse/**/bronze/sellout/**/*.parquet",
    }
    for what, pattern in found.items():
        files = list(folder.glob(pattern))
        held = pl.read_parquet(files, hive_partitioning=False)
        size = sum(file.stat().st_size for file in files) / held.height
        show(
            f"a row of Parquet, {what}",
            size,
            "B",
            {"in memory": held.estimated_size() / held.height},
            digits=0,
        )
    in_memory = {"in memory": rows.estimated_size() / rows.height}
    for ending in ("csv", "xlsx"):
        of_it = exported.filter(pl.col("key").str.ends_with(ending))["content"].bin.size().mean()
        assert isinstance(of_it, float)
        show(f"a row of {ending}, published", of_it / PRODUCTS, "B", in_memory, digits=0)
    csv = next(folder.glob("files/ipp-processed/**/*.csv")).stat().st_size / rows.height
    show("a row of csv, processed", csv, "B", in_memory, digits=0)


def of_csv(folder: Path, rows: pl.DataFrame) -> None:
    """Show how fast one process writes a csv for people."""
    file = folder / "all.csv"
    seconds = clocked(lambda: write_csv(file, rows.partition_by("mostrador"), RESULTS.labels), 3)
    floor = clocked(lambda: rows.write_csv(file), 3)
    show(
        "rows of a csv for people",
        rows.height / seconds,
        "/s",
        {"Polars' own": rows.height / floor},
        digits=0,
    )


def predictive(rows: pl.DataFrame) -> int:
    """How many counters are of the predictive model."""
    return int((rows.group_by("mostrador").first()["inventory_model"] == PREDICTIVE_MODEL).sum())


if __name__ == "__main__":
    main()
