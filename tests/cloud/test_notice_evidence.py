"""The evidence of notices is the same, and right, on one machine and on Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from ipp.core.decision.notice import OLD_DATA_DAYS
from ipp.core.parameters import LARGE_DAY_MIN_UNITS
from ipp.core.tables import SELLOUT, STOCK
from ipp.core.traditional.history import YEAR_DAYS
from ipp.pipeline.runners.runner import Runner
from ipp.pipeline.runners.spark_runner import SparkRunner
from ipp.pipeline.stages.notice_evidence import gather_evidence
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.catalog_tables import FolderTables
from tests.cloud import spark as sparks
from tests.cloud.workspace.tables import lay_out
from tests.sample_chain import build_runner

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CUTOFF = dt.date(2026, 10, 25)
SELLING, SILENT, NEVER, OTHER = 1, 2, 3, 4
RECENT, OLD = int(OLD_DATA_DAYS), int(OLD_DATA_DAYS) + 1
LARGE = LARGE_DAY_MIN_UNITS


def before(days: int) -> dt.date:
    return CUTOFF - dt.timedelta(days)


SALES: Sequence[tuple[int, int, dt.date, float]] = (
    (SELLING, 11, before(RECENT), 1.0),
    (SELLING, 12, before(-1), 900.0),
    (SELLING, 12, before(30), LARGE + 2),
    (SELLING, 12, before(20), LARGE + 2),
    (SELLING, 12, before(10), LARGE + 1),
    (SELLING, 13, before(YEAR_DAYS), 900.0),
    (SELLING, 13, before(YEAR_DAYS - 1), LARGE),
    (SELLING, 14, before(5), LARGE - 0.5),
    (SILENT, 11, before(OLD), 2.0),
    (SILENT, 12, before(OLD + 60), LARGE + 5),
    (SILENT, 12, before(-3), 1.0),
    (OTHER, 11, before(3), 900.0),
)
COUNTS: Sequence[tuple[int, int, dt.date]] = (
    (SELLING, 11, before(50)),
    (SELLING, 12, before(40)),
    (SELLING, 13, before(-2)),
    (NEVER, 11, before(0)),
    (OTHER, 11, before(1)),
)


@pytest.fixture(params=["polars", "spark"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    """A runner of each kind over the same tables."""
    here = build_runner(tmp_path / "here")
    sold = pl.LazyFrame(SALES, schema=["mostrador", "material", "date", "units"], orient="row")
    counted = pl.LazyFrame(COUNTS, schema=["mostrador", "material", "counted_on"], orient="row")
    here.lakehouse.replace_table(SELLOUT, SELLOUT.conform_rows(sold))
    here.lakehouse.replace_table(STOCK, STOCK.conform_rows(counted))
    if request.param == "polars":
        return here
    lay_out(here.lakehouse, tmp_path / "there")
    spark = request.getfixturevalue("spark")
    tables = FolderTables(spark, tmp_path / "there")
    return SparkRunner(spark, tables, here.files, here.files, Scratch(tmp_path / "scratch"))


@pytest.fixture(scope="module")
def spark(spark_server: str) -> Iterator[SparkSession]:
    with sparks.session(spark_server) as made:
        yield made


def test_it_has_what_is_old_and_the_first_largest_day_of_each_product(runner: Runner) -> None:
    evidence = gather_evidence(runner, (SELLING, SILENT, NEVER), CUTOFF)
    assert evidence.cutoff == CUTOFF
    assert evidence.last_sale == {SILENT: before(OLD)}, "the others sell, or never did"
    assert evidence.last_count == {SELLING: before(40), NEVER: CUTOFF}
    assert evidence.days.sort("mostrador", "material").rows() == [
        (SELLING, 12, before(30), LARGE + 2),
        (SELLING, 13, before(YEAR_DAYS - 1), LARGE),
        (SILENT, 12, before(OLD + 60), LARGE + 5),
    ]


@pytest.mark.parametrize("runner", ["polars"], indirect=True)
def test_counters_without_rows_have_no_evidence(runner: Runner) -> None:
    evidence = gather_evidence(runner, (NEVER + 100,), CUTOFF)
    assert (evidence.last_sale, evidence.last_count) == ({}, {})
    assert evidence.days.is_empty()
    assert set(evidence.days.columns) == {"mostrador", "material", "date", "units"}
