"""A page of a job's rows while other jobs' rows pile up: does it cost more for rows it never shows?

    python bench/history.py [JOBS]

300 jobs more unless told otherwise, each with 800 rows in the gold table, published one after the
other by a made-up chain. In one process, without HTTP; beside it the page as it is the first time
after another commit, when the log is read again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl

from ipp.core.tables import RESULTS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.warehouse import RowQuery
from measure import print_figure, time_function

ROWS, COUNTERS = 200, 4
PAGE = 100


def job_id(number: int) -> str:
    return f"ipp-{number:06d}-000000"


def publish(lakehouse: DeltaLakehouse, number: int) -> None:
    """Publish a job of a few counters, as a stage does: one commit."""
    rows = [
        {
            "job_id": job_id(number),
            "mostrador": mostrador,
            "material": material,
            "optimum": material % 7,
        }
        for mostrador in range(1, COUNTERS + 1)
        for material in range(1, ROWS + 1)
    ]
    frame = RESULTS.conform_rows(pl.LazyFrame(rows))
    lakehouse.replace_partitions(RESULTS, frame, [job_id(number)])


def main(jobs: int = 300) -> None:
    with tempfile.TemporaryDirectory() as name:
        lakehouse = DeltaLakehouse(Path(name))
        wanted = RowQuery(job_id(0), None, "", "optimum", descending=True, start=0, limit=PAGE)

        def page() -> None:
            assert LakehouseWarehouse(lakehouse).query_rows(wanted).total == ROWS * COUNTERS

        def page_of_another_process() -> None:
            assert (
                LakehouseWarehouse(DeltaLakehouse(Path(name))).query_rows(wanted).total
                == ROWS * COUNTERS
            )

        publish(lakehouse, 0)
        alone = time_function(page)
        for number in range(1, jobs + 1):
            publish(lakehouse, number)
        beside, opened = time_function(page), time_function(page_of_another_process)
    what = f"{PAGE} rows of a job of {ROWS * COUNTERS}, {jobs} jobs beside it"
    print_figure(what, beside * 1e3, "ms", {"without those": alone * 1e3})
    print_figure(
        f"{what}, first after a commit", opened * 1e3, "ms", {"without those": alone * 1e3}
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
