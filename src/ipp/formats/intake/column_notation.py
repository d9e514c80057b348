"""Find out in which notation a column of a file writes its numbers or its dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind, Table
from ipp.formats.intake.cell_parser import (
    Notation,
    cell_text,
    is_ambiguous,
    proves_mark,
)
from ipp.formats.intake.date_notation import DateOrder, read_both_orders
from ipp.formats.intake.raw_cell import RawCells, cell_column, stored
from ipp.formats.written_number import DecimalMark

_SAMPLE_ROWS: Final = 10_000
"""Rows at the top of a file that show whether its dates need to be examined."""


@dataclass(frozen=True, slots=True)
class DateEvidence:
    """The ``order`` of a column of dates, and a text whose reading nothing ``assumed`` proves."""

    order: DateOrder
    assumed: str = ""


def find_notations(
    table: Table, cells: RawCells, positions: Mapping[str, int], today: dt.date
) -> tuple[dict[str, Notation], tuple[str, ...]]:
    """Return the notation of each column of ``table``, and a notice for each that was assumed."""
    marks = _decimal_marks(table, cells, positions)
    notations = {name: Notation(mark) for name, mark in marks.items()}
    notices = []
    for column in table.columns:
        if column.kind is Kind.DATE and column.name in positions:
            texts = _find_dates(cells.frame, positions[column.name])
            found = judge_dates(texts, today)
            notations[column.name] = Notation(order=found.order)
            if found.assumed:
                notices.append(_assumed_notice(column, found.assumed))
    return notations, tuple(notices)


def judge_dates(texts: pl.Series, today: dt.date) -> DateEvidence:
    """Return the order of day and month of the different ``texts`` of one column.

    A date such as 25/03 proves the order of all; a column that proves both orders is unclear.
    Without proof the day comes first, as Mexico writes, which is told, unless the month cannot be
    first because a date would be after ``today``. The column is unclear if that is so with the day
    first, or if the dates lie closer together with the month first: 03/01 to 03/12 are twelve days
    in a row then, and twelve months otherwise.
    """
    both = read_both_orders(texts).with_columns(text=texts)
    either = both.filter(pl.col("by_day").is_not_null() | pl.col("by_month").is_not_null())
    by_day, by_month = either["by_day"], either["by_month"]
    day_proven, month_proven = by_month.null_count() > 0, by_day.null_count() > 0
    if day_proven != month_proven:
        return DateEvidence(DateOrder.DAY_FIRST if day_proven else DateOrder.MONTH_FIRST)
    doubtful = either.filter(by_day != by_month)
    if (
        day_proven
        or doubtful.is_empty()
        or (by_day > today).any()
        or _span_days(by_month) < _span_days(by_day)
    ):
        return DateEvidence(DateOrder.UNCLEAR)
    sure = (by_month > today).any()
    return DateEvidence(DateOrder.DAY_FIRST, "" if sure else doubtful["text"].sort()[0])


def _span_days(dates: pl.Series) -> int:
    days: int = pl.select((pl.lit(dates).max() - pl.lit(dates).min()).dt.total_days()).item()
    return days


def _find_dates(frame: pl.LazyFrame, place: int) -> pl.Series:
    """Return the different texts of a column where some at the top have day and month in doubt.

    Other files are not read for it: a doubtful date further down is refused with both readings.
    """
    cell = cell_column(place)
    dtype = frame.collect_schema()[cell]
    none = pl.Series([], dtype=pl.String())
    if dtype != pl.String:
        return none
    texts = frame.select(cell_text(pl.col(cell), dtype).alias("text"))
    sample = texts.head(_SAMPLE_ROWS).unique().collect().to_series()
    if read_both_orders(sample).null_count().sum_horizontal()[0] == 2 * sample.len():
        return none
    return texts.unique().collect(engine="streaming").to_series()


def _assumed_notice(column: Column, text: str) -> str:
    both = read_both_orders(pl.Series([text]))
    return (
        f"en {column.label} se leyó primero el día y luego el mes: {text} es "
        f"{both['by_day'][0].isoformat()}; si es {both['by_month'][0].isoformat()}, "
        "escriba las fechas como año-mes-día"
    )


def _decimal_marks(
    table: Table, cells: RawCells, positions: Mapping[str, int]
) -> dict[str, DecimalMark]:
    """Return the decimal mark of each column, assuming that its texts use one throughout.

    A cell that can only be read with one mark proves it; a column that proves both proves neither.
    Only columns with an ambiguous number are examined. Numbers that the file stores prove nothing.

    For example 1.234 beside 12,5 is 1234, beside 12.5 it is 1.234, and beside both it is unclear.
    """
    marks = dict.fromkeys((column.name for column in table.columns), DecimalMark.POINT)
    if cells.unmarked:
        return marks
    schema = cells.frame.collect_schema()
    ambiguous, comma, point = {}, {}, {}
    for column in table.columns:
        place = positions.get(column.name)
        if (
            place is None
            or column.kind not in {Kind.NUMBER, Kind.COUNT}
            or schema[cell_column(place)].is_numeric()
        ):
            continue
        text = cell_text(pl.col(cell_column(place)), schema[cell_column(place)])
        kept = pl.col(stored(place)) if stored(place) in schema else pl.lit(value=False)
        ambiguous[column.name] = is_ambiguous(text) & kept.ne_missing(other=True)
        comma[column.name] = proves_mark(text, DecimalMark.COMMA) & kept.eq_missing(other=False)
        point[column.name] = proves_mark(text, DecimalMark.POINT) & kept.eq_missing(other=False)
    names = [name for name, holds in _any_condition(cells.frame, ambiguous).items() if holds]
    by_comma = _any_condition(cells.frame, {name: comma[name] for name in names})
    by_point = _any_condition(cells.frame, {name: point[name] for name in names})
    for name in names:
        proven = DecimalMark.COMMA if by_comma[name] else DecimalMark.POINT
        marks[name] = proven if by_comma[name] != by_point[name] else DecimalMark.UNCLEAR
    return marks


def _any_condition(frame: pl.LazyFrame, conditions: Mapping[str, pl.Expr]) -> dict[str, bool]:
    if not conditions:
        return {}
    return (
        frame.select(**{n: c.any() for n, c in conditions.items()})
        .collect(engine="streaming")
        .row(0, named=True)
    )
