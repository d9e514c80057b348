"""The evidence of notices: what is old, and the largest days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ipp.core.decision.notice import OLD_DATA_DAYS
from ipp.core.parameters import LARGE_DAY_MIN_UNITS
from ipp.core.tables import SELLOUT, STOCK
from ipp.core.traditional.history import YEAR_DAYS
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.runners.runner import Runner
from ipp.pipeline.stages.notice_evidence import gather_evidence
from tests.sample_chain import build_runner

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


def write_history(runner: LocalRunner) -> None:
    """Write the sales and the counts that `check_evidence` knows."""
    sold = pl.LazyFrame(SALES, schema=["mostrador", "material", "date", "units"], orient="row")
    counted = pl.LazyFrame(COUNTS, schema=["mostrador", "material", "counted_on"], orient="row")
    runner.lakehouse.replace_table(SELLOUT, SELLOUT.conform_rows(sold))
    runner.lakehouse.replace_table(STOCK, STOCK.conform_rows(counted))


def check_evidence(runner: Runner) -> None:
    """Assert that the evidence has what is old, and the first largest day of each product."""
    evidence = gather_evidence(runner, (SELLING, SILENT, NEVER), CUTOFF)
    assert evidence.cutoff == CUTOFF
    assert evidence.last_sale == {SILENT: before(OLD)}, "the others sell, or never did"
    assert evidence.last_count == {SELLING: before(40), NEVER: CUTOFF}
    assert evidence.days.sort("mostrador", "material").rows() == [
        (SELLING, 12, before(30), LARGE + 2),
        (SELLING, 13, before(YEAR_DAYS - 1), LARGE),
        (SILENT, 12, before(OLD + 60), LARGE + 5),
    ]


def test_it_has_what_is_old_and_the_first_largest_day_of_each_product(tmp_path: Path) -> None:
    """`tests.cloud.test_spark` checks the same on Spark."""
    runner = build_runner(tmp_path)
    write_history(runner)
    check_evidence(runner)


def test_counters_without_rows_have_no_evidence(tmp_path: Path) -> None:
    runner = build_runner(tmp_path)
    write_history(runner)
    evidence = gather_evidence(runner, (NEVER + 100,), CUTOFF)
    assert (evidence.last_sale, evidence.last_count) == ({}, {})
    assert evidence.days.is_empty()
    assert set(evidence.days.columns) == {"mostrador", "material", "date", "units"}
