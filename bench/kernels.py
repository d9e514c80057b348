"""What each kernel takes for one mostrador of 5,000 products, and what a whole country of them comes to.

    python bench/kernels.py [COUNTERS]

The stages run here with a clock around each kernel; what is between them (reading, joining, writing, files for people)
is the rest of the stage's time. docs/scale.md computes with these figures.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import polars as pl

from ipp.core.contract import Table
from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE, RESULTS
from ipp.exports.handover import Exporter
from ipp.files.local import LocalFiles
from ipp.files.scratch import Scratch
from ipp.lakehouse.delta import DeltaLakehouse
from ipp.request import plan
from ipp.runners.base import Kept, Kernel, Kernels, Progress, Rows, RowsOf
from ipp.runners.local import Workspace
from ipp.sample import chain, write
from ipp.stages import STAGES
from ipp.warehouse.tables import TableWarehouse
from measure import show

PRODUCTS, DAYS, COUNTRY = 5_000, 365, 10_000
END = dt.date(2026, 6, 30)

Made = TypeVar("Made")


@dataclass
class Timed:
    """A runner that notes how long each kernel took, by its name and whether the counter is predictive."""

    workspace: Workspace
    spent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def files(self) -> LocalFiles:
        assert isinstance(self.workspace.files, LocalFiles)
        return self.workspace.files

    @property
    def scratch(self) -> Scratch:
        return self.workspace.scratch

    def scan(self, table: Table) -> Rows:
        return self.workspace.scan(table)

    def frame(self, rows: pl.DataFrame) -> Rows:
        return self.workspace.frame(rows)

    def once(self, rows: Rows) -> Rows:
        return self.workspace.once(rows)

    def each(self, key: str, groups: Collection[int], rows_of: RowsOf, kernel: Kernel, schema: pl.Schema) -> Rows:
        return self.workspace.each(key, groups, rows_of, self._timed(kernel), schema)

    def leave(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, progress: Progress) -> None:
        self.workspace.leave(source, self._timed(kernel), into, progress)

    def keep(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, progress: Progress) -> Iterator[pl.DataFrame]:
        return self.workspace.keep(source, self._timed(kernel), into, progress)

    def publish(self, source: Kept, kernel: Kernels, tables: Sequence[Table], job_id: str, progress: Progress) -> None:
        self.workspace.publish(source, self._timed(kernel), tables, job_id, progress)

    def _timed(self, kernel: Callable[[pl.DataFrame], Made]) -> Callable[[pl.DataFrame], Made]:
        def call(rows: pl.DataFrame) -> Made:
            start = time.perf_counter()
            made = kernel(rows)
            model = str(rows["inventory_model"][0]) if "inventory_model" in rows.columns else ""
            self.spent[f"{type(kernel).__name__} {model}".strip()].append(time.perf_counter() - start)
            return made

        return call


def main() -> None:
    counters = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = Workspace(
            DeltaLakehouse(folder / "lakehouse"), LocalFiles(folder / "files"), Scratch(folder / "scratch")
        )
        made = chain(counters=counters, materials=PRODUCTS, days=DAYS, seed=1, end=END)
        write(made, workspace.lakehouse, workspace.scratch, lambda _done, _total: None)
        now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
        spec = plan(None, Parameters(), TableWarehouse(workspace.lakehouse), job_id="ipp-bench", created_at=now)
        timed = Timed(workspace)
        stages = {}
        for stage, run in STAGES.items():
            start = time.perf_counter()
            run(spec, timed, lambda _mostrador: None)
            stages[stage] = time.perf_counter() - start
        rows = workspace.lakehouse.scan(RESULTS).collect()
        exporter = timed._timed(Exporter(spec))
        for part in rows.partition_by("mostrador"):
            exporter(part)
        predictive = int((rows.group_by("mostrador").first()["inventory_model"] == PREDICTIVE).sum())
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet") if "gold" in path.parts)
    for kernel, seconds in sorted(timed.spent.items()):
        mean = sum(seconds) / len(seconds)
        show(f"{kernel}, one of {len(seconds)}", f"{mean * 1e3:.0f} ms", f"{PRODUCTS:,} products a counter")
    for stage, took in stages.items():
        show(
            f"stage {stage}, {counters} counters, {predictive} predictive",
            f"{took:.1f} s",
            "one process, files for people included",
        )
    show("published rows", f"{size / len(rows):.0f} B a row", f"{len(rows):,} rows, Parquet")
    whole = sum(sum(seconds) for seconds in timed.spent.values()) / counters
    show(
        "every kernel of a counter, files included",
        f"{whole:.2f} s",
        f"{COUNTRY:,} counters: {whole * COUNTRY / 3600:.1f} core hours",
    )


if __name__ == "__main__":
    main()
