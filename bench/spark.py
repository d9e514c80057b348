"""The same job on Polars and on local Spark Connect: equal rows, and the cost of Spark.

    python bench/spark.py [COUNTERS [PRODUCTS]]

Needs Java 17. Each stage is a process of its own on both, as it is in production; the Spark server
runs already.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cloud.spark import run_spark_server, spark_environment
from tests.cloud.workspace.tables import folder_of, lay_out

from ipp.core.parameters import Parameters
from ipp.core.tables import RESULTS
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import save_spec
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from measure import IPP, print_figure, run_process

TASKS = {"normalizador": "run_normaliser", "factor": "run_factor", "publicacion": "run_publication"}
JOB = "ipp-bench"


def main() -> None:
    counters, products = (sys.argv[1:] + ["20", "4000"][len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory() as name, run_spark_server(Path(name)) as address:
        home, there = Path(name) / "here", Path(name) / "there"
        own = {"IPP_HOME": str(home)}
        run_process((*IPP, "sample", "--mostradores", counters, "--materiales", products), own)
        lakehouse = DeltaLakehouse(home / "lakehouse")
        lay_out(lakehouse, there / "tables")
        now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
        spec = plan_job(
            None, Parameters(), LakehouseWarehouse(lakehouse), job_id=JOB, created_at=now
        )
        save_spec(spec, LocalFiles(home / "archivos"))
        save_spec(spec, LocalFiles(there / "files"))
        on_spark = on_polars = 0.0
        for stage, task in TASKS.items():
            here = run_process((sys.executable, "-m", "ipp.entrypoints.stage", stage, JOB), own)
            arguments = (
                f"--job_id={JOB}",
                f"--files={there / 'files'}",
                f"--tables={there / 'tables'}",
            )
            code = f"from ipp.entrypoints.databricks_tasks import {task}; {task}()"
            spark = run_process(
                (sys.executable, "-c", code, *arguments), spark_environment(address)
            )
            print_figure(
                f"{stage} on Spark, {counters} × {products}",
                spark.seconds,
                "s",
                {"Polars": here.seconds},
            )
            on_spark, on_polars = on_spark + spark.seconds, on_polars + here.seconds
        found = folder_of(RESULTS, there / "tables") / "**" / "*.parquet"
        rows = pl.scan_parquet(found, hive_partitioning=True).rename(dict(RESULTS.names))
        same = (
            RESULTS.conform_rows(rows)
            .sort(RESULTS.key)
            .collect()
            .equals(lakehouse.scan_table(RESULTS).sort(RESULTS.key).collect())
        )
        if not same:
            raise SystemExit("the two have not published the same")
        rows_said = f"{len(spec.mostradores) * int(products):,} rows, equal row for row"
        print_figure(
            f"three stages on Spark, {counters} × {products}",
            on_spark,
            "s",
            {"Polars": on_polars},
            rows_said,
        )


if __name__ == "__main__":
    main()
