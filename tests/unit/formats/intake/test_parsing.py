"""What a written cell means."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.contract import Column, Kind
from ipp.formats.intake.cell_parser import cell_text, cell_value
from ipp.formats.written_number import DecimalMark


def read(
    kind: Kind,
    cells: list[object],
    marks: DecimalMark = DecimalMark.POINT,
    *,
    choices: tuple[str, ...] = (),
) -> list[object]:
    """What ``cells`` mean in a column of ``kind``."""
    column = Column("c", "c", kind, "", choices=choices)
    raw = pl.Series(
        "c", cells, dtype=None if cells and not isinstance(cells[0], str) else pl.String
    )
    texts = raw.to_frame().select(cell_text(pl.col("c"), raw.dtype))
    return texts.select(cell_value(column, pl.col("c"), raw.dtype, marks)).to_series().to_list()


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


@given(days, times)
def test_a_day_is_the_same_in_every_spelling(day: dt.date, time: str) -> None:
    spellings: list[object] = [
        f"{day.isoformat()}{time}",
        f" {day:%d/%m/%Y}{time}",
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}/{day:%m/%d}{time}",
        f"{day.day}/{day.month}/{day.year}",
    ]
    assert read(Kind.DATE, spellings) == [day] * 5
    assert read(Kind.DATE, [day]) == [day]
    assert read(Kind.DATE, [dt.datetime.combine(day, dt.time(13, 5))]) == [day]
    assert read(Kind.DATE, [dt.datetime.combine(day, dt.time(), dt.UTC)]) == [day]


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30", "31/04/2024", "12/31/2024", "2024/31/01", "31-01-2024", "31/01/24",
        "24-01-31", "2024-01", "45322", "ayer", "2024-01-31 24:05:00", "2024-01-31T", "0024-01-31",
        "+2024-1-01", "20240131",
    ],
)  # fmt: skip
def test_what_is_no_day_means_nothing(text: str) -> None:
    assert read(Kind.DATE, [text]) == [None]


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


def test_a_choice_is_met_in_any_case() -> None:
    assert read(Kind.TEXT, ["spp", "IPP ", "Ipp", "otro"], choices=("SPP", "IPP")) == [
        "SPP",
        "IPP",
        "IPP",
        None,
    ]
