"""The dates of a column are read in one order of day and month, or it is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.contract import Column, Kind, Table
from ipp.formats.intake.column_notation import judge_dates
from ipp.formats.intake.date_notation import DateOrder
from ipp.formats.intake.file_reader import read_cells
from ipp.formats.intake.row_check import is_accepted, match_headings, read_rules, reason_column
from tests.unit.formats.intake.test_marks import SOURCES

TODAY = dt.date(2026, 11, 30)
DATES = Table(
    name="dates",
    title="fechas",
    columns=(Column("line", "renglon", Kind.COUNT, ""), Column("amount", "importe", Kind.DATE, "")),
    key=("line",),
)
doubtful_days = st.builds(dt.date, st.just(2026), st.integers(1, 11), st.integers(1, 12))
ORDERS = {DateOrder.DAY_FIRST: "%d/%m/%Y", DateOrder.MONTH_FIRST: "%m/%d/%Y"}


def judge(*texts: str) -> tuple[DateOrder, str]:
    found = judge_dates(pl.Series([*texts], dtype=pl.String), TODAY)
    return found.order, found.assumed


def test_one_date_proves_the_order_of_all() -> None:
    assert judge("03/04/2026", "25/03/2026") == (DateOrder.DAY_FIRST, "")
    assert judge("03/04/2026", "03/25/2026", "12/11/2025") == (DateOrder.MONTH_FIRST, "")
    assert judge("03/04/2026", "03/25/2026", "25/03/2026") == (DateOrder.UNCLEAR, "")
    assert judge("05/05/2026", "2026-01-31", "x") == (DateOrder.UNCLEAR, "")


def test_without_proof_the_day_is_first_where_that_is_as_likely() -> None:
    assert judge("05/11/2026") == (DateOrder.DAY_FIRST, "05/11/2026")
    assert judge("05/10/2025", "06/10/2025") == (DateOrder.DAY_FIRST, "05/10/2025")
    assert judge("10/05/2025", "10/06/2025", "10/07/2025") == (DateOrder.UNCLEAR, "")


def test_a_date_that_would_be_to_come_was_not_meant() -> None:
    assert judge("12/05/2026", "10/05/2026") == (DateOrder.DAY_FIRST, "")
    assert judge("05/12/2026", "05/10/2026") == (DateOrder.UNCLEAR, "")
    assert judge("12/05/2026", "05/12/2026") == (DateOrder.UNCLEAR, "")


def import_dates(source: str, folder: Path, texts: list[str]) -> tuple[pl.DataFrame, bool]:
    """Return the rows of a file, and whether a notice says which order was assumed."""
    file = SOURCES[source](folder, [(str(n), text) for n, text in enumerate(texts)])
    cells = read_cells(file, folder, DATES.columns)
    positions = match_headings(DATES, file, cells.headings)
    rules = read_rules(DATES, cells, positions, {}, TODAY)
    rows = rules.explain_rows(cells.frame).with_columns(is_accepted(DATES).alias("accepted"))
    return rows.collect(), bool(rules.notices)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.lists(st.dates(dt.date(2025, 1, 1), TODAY), min_size=1, max_size=8),
        st.lists(doubtful_days, min_size=1, max_size=4),
    ),
    st.sampled_from(list(ORDERS)),
    st.sampled_from("/.-"),
    st.sampled_from(sorted(SOURCES)),
)
def test_no_date_is_stored_as_another_without_a_word(
    tmp_path_factory: pytest.TempPathFactory,
    days: list[dt.date],
    order: DateOrder,
    mark: str,
    source: str,
) -> None:
    texts = [f"{day:{ORDERS[order].replace('/', mark)}}" for day in days]
    rows, told = import_dates(source, tmp_path_factory.mktemp("dates"), texts)
    accepted = rows.filter("accepted")
    meant = [day for day, kept in zip(days, rows["accepted"], strict=True) if kept]
    assert told or accepted["amount"].to_list() == meant
    if order is DateOrder.DAY_FIRST and any(day.day > 12 for day in days):
        assert accepted.height == rows.height
        assert not told


def test_a_doubtful_date_is_refused_with_both_readings(tmp_path: Path) -> None:
    texts = ["03/04/2026", "03/25/2026", "25/03/2026"]
    rows, told = import_dates("comma", tmp_path, texts)
    reasons = rows[reason_column(DATES.by_name["amount"])].to_list()
    assert reasons == [
        "puede ser 2026-04-03 (primero el día) o 2026-03-04 (primero el mes): "
        "escriba las fechas como año-mes-día",
        None,
        None,
    ]
    assert not told


def test_a_doubtful_date_far_below_iso_dates_is_refused(tmp_path: Path) -> None:
    texts = ["2026-01-31"] * 10_001 + ["03/04/2026", "25/03/2026"]
    rows, _ = import_dates("comma", tmp_path, texts)
    assert rows["accepted"].to_list() == [True] * 10_001 + [False, True]
