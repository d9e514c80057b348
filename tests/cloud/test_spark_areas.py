"""On Spark an area that is too large for a kernel is computed on the driver, or is lost alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.tables import FAILURES, RESULTS
from ipp.entrypoints.databricks_tasks import run_task
from ipp.jobs.job import Stage
from ipp.pipeline.runners import spark_groups
from ipp.pipeline.runners.runner import GroupedRows, LazyRows
from ipp.pipeline.runners.spark_runner import SparkRunner
from ipp.settings import DEFAULT_CATALOG, StageSettings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.catalog_tables import FolderTables
from tests.cloud import spark as sparks
from tests.cloud.stage_processes import MOSTRADORES, StagedJob, build_staged_job
from tests.cloud.workspace.tables import folder_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TRADITIONAL, PREDICTIVE = MOSTRADORES
SCHEMA = pl.Schema({"mostrador": pl.Int64(), "len": pl.Int64()})
SIZES = {5: 3, 6: 1, 7: 9, 8: 2, 9: 4}
"""Counters by area; each takes a byte."""

BROKEN_AREA = 8

Limit = Callable[[int, int], None]


@pytest.fixture(scope="module")
def spark(spark_server: str) -> Iterator[SparkSession]:
    with sparks.session(spark_server) as made:
        yield made


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Set how many bytes a group may take on the cluster, and on the driver."""

    def to(kernel: int, driver: int) -> None:
        monkeypatch.setattr(spark_groups, "KERNEL_MEMORY_BYTES", kernel)
        monkeypatch.setattr(spark_groups, "DRIVER_MEMORY_BYTES", driver)

    return to


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> StagedJob:
    made = build_staged_job(tmp_path_factory.mktemp("areas"))
    made.run_here()
    return made


def published(job: StagedJob, table: Table) -> pl.DataFrame:
    found = folder_of(table, job.folder / "tables") / "**" / "*.parquet"
    rows = pl.scan_parquet(found, hive_partitioning=True).rename(dict(table.names))
    return table.conform_rows(rows).sort(table.key).collect()


def run_there(job: StagedJob) -> None:
    for stage in Stage:
        settings = StageSettings(files=job.folder / "files", tables=job.folder / "tables")
        run_task(stage, job.spec.job_id, settings)


def map_areas(spark: SparkSession, folder: Path) -> tuple[list[tuple[int, int]], dict[int, str]]:
    """Count the counters of each area by a kernel; return the rows, and the areas that are lost."""
    files = LocalFiles(folder)
    tables = FolderTables(spark, folder, DEFAULT_CATALOG)
    runner = SparkRunner(spark, tables, files, files, Scratch(folder))

    def rows_of(areas: Collection[int]) -> LazyRows:
        rows = [(area, 1_000 * area + n) for area in areas for n in range(SIZES[area])]
        schema = pl.Schema({"area": pl.Int64(), "mostrador": pl.Int64()})
        return runner.from_polars(pl.DataFrame(rows, schema=schema, orient="row"))

    def members(rows: pl.DataFrame) -> pl.DataFrame:  # nested, so that it travels whole
        if rows["mostrador"].min() == 8_000:
            raise ValueError("an area that cannot be computed")
        return rows.select(pl.col("mostrador").min(), pl.len().cast(pl.Int64))

    lost: dict[int, str] = {}
    groups = GroupedRows("area", SIZES, rows_of, counter_bytes=1, prefix="ipp-raw/ipp-1/areas/")
    made = runner.map_groups(groups, members, SCHEMA, lost.__setitem__)
    return sorted(made.collect("polars").to_native().rows()), lost


@pytest.mark.parametrize(
    ("kernel", "driver"), [(9, 9), (8, 9), (3, 9), (0, 9), (3, 4), (3, 3), (0, 0)]
)
def test_an_area_is_computed_wherever_it_fits_and_is_lost_alone(
    spark: SparkSession, tmp_path: Path, limit: Limit, kernel: int, driver: int
) -> None:
    for _ in range(2):  # again, over what it left
        limit(kernel, driver)
        rows, lost = map_areas(spark, tmp_path)
        large = {area for area, size in SIZES.items() if size > max(kernel, driver)}
        assert set(lost) == large | {BROKEN_AREA}
        assert rows == [(1_000 * area, size) for area, size in SIZES.items() if area not in lost]
        for area, cause in lost.items():
            told = f"Su área tiene {SIZES[area]} mostradores" if area in large else "ValueError: an"
            assert cause.startswith(told)


def test_a_dense_area_gets_the_rows_that_it_gets_on_one_machine(
    job: StagedJob, spark: SparkSession, limit: Limit
) -> None:
    limit(1, 10**12)
    run_there(job)
    here = job.here.lakehouse.scan_table(RESULTS).sort(RESULTS.key).collect()
    assert_frame_equal(published(job, RESULTS), here, check_exact=True)
    assert published(job, FAILURES).is_empty()


def test_an_area_that_fits_nowhere_fails_its_own_counters_and_no_job(
    job: StagedJob, spark: SparkSession, limit: Limit
) -> None:
    limit(1, 1)
    run_there(job)
    failures = published(job, FAILURES)
    assert failures.select("mostrador", "stage").rows() == [(PREDICTIVE, "normalizador")]
    assert "calcularlos juntos pide" in failures["cause"][0]
    here = job.here.lakehouse.scan_table(RESULTS).filter(pl.col("mostrador") == TRADITIONAL)
    assert_frame_equal(published(job, RESULTS), here.sort(RESULTS.key).collect(), check_exact=True)
