"""Run ``make demo``: a chain of 20 counters × 4,000 products, from nothing to published results.

    python bench/demo.py

The floor beside it: Polars reading the sell-out once and writing as many result rows once.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from ipp.core.tables import RESULTS, SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from measure import IPP, print_figure, time_function
from tree import run_tree


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        environment = {"IPP_HOME": name}
        sample = run_tree(
            (*IPP, "sample", "--mostradores", "20", "--materiales", "4000"), environment
        )
        job = run_tree((*IPP, "run", "--todos"), environment)
        lakehouse = DeltaLakehouse(home / "lakehouse")
        rows = lakehouse.scan_table(RESULTS).collect()

        def floor() -> None:
            lakehouse.scan_table(SELLOUT).select(
                pl.col("units").sum(), pl.col("mostrador", "material").max()
            ).collect()
            rows.write_parquet(home / "floor.parquet")

        least = time_function(floor, 5)
        both, peak = sample.seconds + job.seconds, max(sample.megabytes, job.megabytes)
        print_figure(
            "ipp sample, 20 × 4,000 × 365 days", sample.seconds, "s", {"both commands": both}
        )
        against = {"both commands": both, "read the sell-out once, write the rows once": least}
        print_figure(
            "ipp run --todos, 20 × 4,000",
            job.seconds,
            "s",
            against,
            f"{rows.height:,} rows, with their workbook",
        )
        print_figure("ipp sample and ipp run --todos, 20 × 4,000", both, "s", {"target": 20.0})
        print_figure(
            "the larger of their memories, with their children",
            peak,
            "MB",
            {"target": 1_500.0},
            digits=0,
        )


if __name__ == "__main__":
    main()
