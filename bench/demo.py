"""What ``make demo`` runs: a chain of 20 counters × 4,000 products, from nothing to published results.

    python bench/demo.py

The floor beside it: Polars reading the sell-out once and writing as many result rows once.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from ipp.core.tables import RESULTS, SELLOUT
from ipp.lakehouse.delta import DeltaLakehouse
from measure import IPP, process, show, timed


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        environment = {"IPP_HOME": name}
        sample = process((*IPP, "sample", "--mostradores", "20", "--materiales", "4000"), environment)
        run = process((*IPP, "run", "--todos"), environment)
        lakehouse = DeltaLakehouse(home / "lakehouse")
        rows = lakehouse.scan(RESULTS).collect()

        def floor() -> None:
            lakehouse.scan(SELLOUT).select(pl.col("units").sum(), pl.col("mostrador", "material").max()).collect()
            rows.write_parquet(home / "floor.parquet")

        show("ipp sample, 20 × 4,000 × 365 days", f"{sample.seconds:.1f} s", f"{sample.megabytes:.0f} MB")
        show("ipp run --todos", f"{run.seconds:.1f} s", f"{run.megabytes:.0f} MB")
        both, peak = sample.seconds + run.seconds, max(sample.megabytes, run.megabytes)
        show("both", f"{both:.1f} s", f"target 20 s and 1,500 MB; {peak:.0f} MB")
        show("floor: read the sell-out, write the rows", f"{timed(floor, 5):.2f} s", f"{rows.height:,} rows")


if __name__ == "__main__":
    main()
