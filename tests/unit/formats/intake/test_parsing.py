"""What a written cell means."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.contract import Column, Kind
from ipp.formats.intake.cell_parser import Notation, cell_text, cell_value
from ipp.formats.intake.date_notation import DateOrder
from ipp.formats.written_number import DecimalMark


def read(
    kind: Kind,
    cells: list[object],
    marks: DecimalMark = DecimalMark.POINT,
    order: DateOrder = DateOrder.DAY_FIRST,
    *,
    choices: tuple[str, ...] = (),
) -> list[object]:
    """What ``cells`` mean in a column of ``kind``."""
    column = Column("c", "c", kind, "", choices=choices)
    raw = pl.Series(
        "c", cells, dtype=None if cells and not isinstance(cells[0], str) else pl.String
    )
    texts = raw.to_frame().select(cell_text(pl.col("c"), raw.dtype))
    value = cell_value(column, pl.col("c"), raw.dtype, Notation(marks, order))
    return texts.select(value).to_series().to_list()


@given(
    st.integers(0, 10**18 - 1), st.integers(0, 6), st.integers(0, 3),
    st.sampled_from(["", " ", "\u00a0", "\t"]),
)  # fmt: skip
def test_an_id_is_the_same_in_every_spelling(
    identifier: int, zeros: int, decimals: int, space: str
) -> None:
    point = "." + "0" * decimals if decimals else ""
    assert read(Kind.ID, [f"{space}{'0' * zeros}{identifier}{point}{space}"]) == [identifier]


@given(st.integers(0, 2**53))
def test_an_id_stored_as_a_number_is_its_digits(identifier: int) -> None:
    assert read(Kind.ID, [identifier]) == [identifier]
    assert read(Kind.ID, [float(identifier)]) == [identifier]


def test_a_stored_number_that_no_id_reaches_means_nothing() -> None:
    stored = [float("inf"), float("-inf"), float("nan"), 1e30, -1e30, 1e18, 7.5, -7.0, 7.0]
    assert read(Kind.ID, [*stored]) == [None] * 8 + [7]


@pytest.mark.parametrize(
    "text", ["abc", "1e9", "-5", "+5", "7.5", "7,0", "1 2", "1_000", "1" * 19, "", " ", "."]
)
def test_what_is_no_id_means_nothing(text: str) -> None:
    assert read(Kind.ID, [text]) == [None]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_a_file_stores_is_taken_as_it_is(number: float) -> None:
    assert read(Kind.NUMBER, [number]) == [number]


def test_a_number_that_is_not_clear_is_read_as_its_column() -> None:
    assert read(Kind.NUMBER, ["1,500", "1.200", "$1.200"], DecimalMark.COMMA) == [1.5, 1200, 1200]
    assert read(Kind.NUMBER, ["1,500", "1.200", "$1,200"], DecimalMark.POINT) == [1500, 1.2, 1200]
    assert read(Kind.NUMBER, ["1,500", "$1.200", "7"], DecimalMark.UNCLEAR) == [None, None, 7]


def test_a_stored_number_that_is_none_means_nothing() -> None:
    assert read(Kind.NUMBER, [float("nan"), float("inf"), 1.0]) == [None, None, 1.0]


@pytest.mark.parametrize(
    ("text", "count"), [("3", 3), ("3.0", 3), ("1,000", 1000), ("3.5", None), ("x", None)]
)
def test_a_count_is_whole(text: str, count: int | None) -> None:
    assert read(Kind.COUNT, [text]) == [count]


days = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))
times = st.sampled_from(
    ["", "T00:00:00", " 00:00:00", " 00:00", " 0:00", " 00:00:00.000", "T13:05:59.000000",
     " 23:59:59", "T13:05:00Z", "T23:05:00-06:00"]
)  # fmt: skip


MONTHS = (
    "ene|enero|Jan|January", "feb|febrero|FEB|February", "mar|marzo|Mar|March",
    "abr|abril|Apr|April", "may|mayo|MAY|May", "jun|junio|Jun|June", "jul|julio|Jul|July",
    "ago|agosto|Aug|August", "sep|septiembre|sept|September", "oct|octubre|Oct|October",
    "nov|noviembre|Nov|November", "dic|diciembre|DEC|December",
)  # fmt: skip


@given(days, times, st.sampled_from("/.-"), st.integers(0, 3))
def test_a_day_is_the_same_in_every_spelling(day: dt.date, time: str, mark: str, form: int) -> None:
    month = MONTHS[day.month - 1].split("|")[form]
    spellings: list[object] = [
        f"{day.isoformat()}{time}",
        f" {day:%Y%m%d}{time}",
        f"{day.year}{mark}{day.month}{mark}{day.day}",
        f"{day.year}{mark}{day:%m}{mark}{day:%d}{time}",
        f"{day.day}-{month}-{day.year}{time}",
        f"{day:%d} {month} {day.year}",
        f"{day.day} de {month} de {day.year}",
        f"martes, {day.day} de {month} de {day.year}",
        f"{month} {day.day}, {day.year}",
        f"Tuesday, {month} {day.day}, {day.year}",
    ]
    for order in DateOrder:
        assert read(Kind.DATE, spellings, order=order) == [day] * len(spellings)
    by_day: list[object] = [f"{day:%d}{mark}{day:%m}{mark}{day.year}{time}"]
    by_month: list[object] = [f"{day.month}{mark}{day.day}{mark}{day.year}{time}"]
    assert read(Kind.DATE, by_day, order=DateOrder.DAY_FIRST) == [day]
    assert read(Kind.DATE, by_month, order=DateOrder.MONTH_FIRST) == [day]
    alone = [day if day.day > 12 or day.day == day.month else None]
    assert read(Kind.DATE, by_day, order=DateOrder.UNCLEAR) == alone
    assert read(Kind.DATE, by_month, order=DateOrder.UNCLEAR) == alone
    assert read(Kind.DATE, [day]) == [day]
    assert read(Kind.DATE, [dt.datetime.combine(day, dt.time(13, 5))]) == [day]
    assert read(Kind.DATE, [dt.datetime.combine(day, dt.time(), dt.UTC)]) == [day]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31.12.2025", dt.date(2025, 12, 31)),  # SAP, Germany
        ("20251231", dt.date(2025, 12, 31)),  # SAP's own
        ("31-DEC-2025 00:00:00", dt.date(2025, 12, 31)),  # Oracle
        ("31-dic-2025", dt.date(2025, 12, 31)),
        ("2025-12-31 00:00:00.000", dt.date(2025, 12, 31)),  # SQL Server
        ("2025-12-31 18:00:00+00", dt.date(2025, 12, 31)),  # PostgreSQL
        ("2025-12-31T06:00:00.000Z", dt.date(2025, 12, 31)),
        ("2025-12-31 06:00:00 UTC", dt.date(2025, 12, 31)),  # BigQuery
        ("01/03/2026 12:00:00 a. m.", dt.date(2026, 3, 1)),  # Excel in Mexico
        ("01/03/2026 12:00:00\u00a0p.\u00a0m.", dt.date(2026, 3, 1)),
        ("1/3/2026 0:00", dt.date(2026, 3, 1)),
        ("Wednesday, December 31, 2025", dt.date(2025, 12, 31)),  # Excel's long date
        ("miércoles, 31 de diciembre de 2025", dt.date(2025, 12, 31)),
        ("Dec 31, 2025, 11:59:00 PM", dt.date(2025, 12, 31)),
        ("1 sept. 2025", dt.date(2025, 9, 1)),
    ],
)
def test_a_date_is_read_as_programs_export_it(text: str, day: dt.date) -> None:
    assert read(Kind.DATE, [text]) == [day]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30", "31/04/2024", "2024/31/01", "31/01/24", "31-dic-25", "31-dix-2025",
        "24-01-31", "2024-01", "45322", "ayer", "2024-01-31 24:05:00", "2024-01-31T", "0024-01-31",
        "+2024-1-01", "20241301", "2024013", "202401311", "31/12-2024", "31 2024", "dic 2024",
        "martes", "18991231", "12/31/24 5:00 PM", "13/13/2024", "2024-1-005",
    ],
)  # fmt: skip
def test_what_is_no_day_means_nothing(text: str) -> None:
    for order in DateOrder:
        assert read(Kind.DATE, [text], order=order) == [None]


def test_day_and_month_are_read_in_the_order_of_their_column() -> None:
    cells: list[object] = ["03/04/2026", "25/03/2026", "03/25/2026", "05-05-2026"]
    april, march, same = dt.date(2026, 4, 3), dt.date(2026, 3, 25), dt.date(2026, 5, 5)
    assert read(Kind.DATE, cells, order=DateOrder.DAY_FIRST) == [april, march, None, same]
    fourth = dt.date(2026, 3, 4)
    assert read(Kind.DATE, cells, order=DateOrder.MONTH_FIRST) == [fourth, None, march, same]
    assert read(Kind.DATE, cells, order=DateOrder.UNCLEAR) == [None, march, march, same]


YES = [
    "sí", "SÍ", "si\u0301", "Si", "s", "S", "yes", "y", "true", "TRUE", "Verdadero", "1", "1.0",
    "x", "X", " sí ",
]  # fmt: skip
NO = ["no", "No", "n", "false", "FALSE", "falso", "0", "0.0"]


def test_yes_and_no_in_any_case() -> None:
    assert read(Kind.FLAG, [*YES]) == [True] * len(YES)
    assert read(Kind.FLAG, [*NO]) == [False] * len(NO)
    assert read(Kind.FLAG, ["2", "quizá", "-", ""]) == [None] * 4


def test_yes_and_no_as_a_file_stores_them() -> None:
    assert read(Kind.FLAG, [True, False, None]) == [True, False, None]
    assert read(Kind.FLAG, [1.0, 0.0, 2.0]) == [True, False, None]
    assert read(Kind.FLAG, [1, 0]) == [True, False]


def test_text_is_trimmed_and_empty_text_is_none() -> None:
    assert read(Kind.TEXT, [" Jarabe  20 ml\u00a0", "", "   ", "NA"]) == [
        "Jarabe  20 ml",
        None,
        None,
        "NA",
    ]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_text_that_a_file_stores_as_a_number_is_its_digits(sign: int) -> None:
    stored = [sign * number for number in (11.0, 22.0, 1.5, 1e17, 0.0)]
    written = [f"{sign * 11}", f"{sign * 22}", f"{sign * 1.5}", f"{sign * 10**17}", "0"]
    assert read(Kind.TEXT, [*stored]) == written


def test_a_choice_is_met_in_any_case() -> None:
    assert read(Kind.TEXT, ["spp", "IPP ", "Ipp", "otro"], choices=("SPP", "IPP")) == [
        "SPP",
        "IPP",
        "IPP",
        None,
    ]
