"""A text is the same number, or is refused for the same reason, wherever a person writes it."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated

import polars as pl
import pytest
from cyclopts import App, CoercionError
from hypothesis import given
from hypothesis import strategies as st

from ipp.cli.option import number_option
from ipp.cli.spanish_help import explain_error
from ipp.core.contract import Column, Kind, Table
from ipp.formats.intake.raw_cell import EXCESS_COLUMN, ROW_COLUMN, RawCells, cell_column
from ipp.formats.intake.row_check import check_rows, reason_column
from ipp.formats.written_number import (
    NOT_NUMBER_REASON,
    WrittenNumberError,
    number_readings,
    read_number,
    write_number,
)
from ipp.server.web.number_field import parse_number_field, refusal_reason

AMOUNT = Column("amount", "importe", Kind.NUMBER, "", required=True)
AMOUNTS = Table(name="amounts", title="importes", columns=(AMOUNT,), key=("amount",))

app = App(version="1")


@app.default
def take(*, monto: Annotated[float, number_option("")]) -> float:
    """Take a number, as the commands do."""
    return monto


def read_in_option(text: str) -> float | str:
    try:
        number: float = app(
            [f"--monto={text}"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CoercionError as error:
        prefix, _, reason = explain_error(error).removesuffix(".").rpartition("» ")
        assert prefix.startswith("--monto «")
        return reason
    return number


def read_in_field(text: str) -> float | str:
    return refusal_reason(text) or parse_number_field(text) or 0.0


def read_in_file(text: str) -> float | str:
    frame = pl.LazyFrame({ROW_COLUMN: [2], cell_column(0): [text]}).with_columns(
        pl.lit(None, pl.String).alias(EXCESS_COLUMN)
    )
    cells = RawCells(("importe",), frame)
    row = check_rows(AMOUNTS, cells, {"amount": 0}).collect()
    value: float | str = row[reason_column(AMOUNT)].item() or row["amount"].item()
    return value


DOORS = (read_in_option, read_in_field, read_in_file)

any_text = st.one_of(
    st.text("0123456789.,'’ \u00a0\u202f−+-$eEMXN_", min_size=1, max_size=12),
    st.from_regex(r"[+−-]?\$?[0-9]{1,4}([., '][0-9]{1,4}){0,3}(e-?[0-9])?", fullmatch=True),
).filter(str.strip)  # fmt: skip


@given(any_text)
def test_every_door_reads_a_text_alike(text: str) -> None:
    in_option, in_field, in_file = (door(text) for door in DOORS)
    assert in_option == in_field == in_file


numbers = st.builds(
    lambda units, places: Decimal(units).scaleb(-places),
    st.integers(-(10**9), 10**11),
    st.integers(0, 4),
)
separators = st.sampled_from(
    [(".", ""), (",", ""), (".", ","), (",", "."),
     *((mark, group) for mark in ".," for group in (" ", "\u00a0", "\u2009", "\u202f", "'", "’"))]
)  # fmt: skip
frames = st.sampled_from(
    ["{}{}", "{}${}", "${}{}", "$ {}{}", "{}{} MXN", "{}MXN {}", "{}{}mxn",
     "{1}{0}", "${1}{0}", "{1}{0} MXN"]
)  # fmt: skip
"""A sign and digits; SAP writes the sign last."""


def spell(number: Decimal, mark: str, group: str, frame: str, minus: str) -> str:
    """Write a number with a decimal ``mark`` and ``group`` between its thousands."""
    digits = f"{abs(number):,f}".replace(".", "m").replace(",", group).replace("m", mark)
    return frame.format(minus if number < 0 else "", digits)


@given(numbers, separators, frames, st.sampled_from("-−"))
def test_every_way_of_writing_a_number_is_read_unless_it_has_two_readings(
    number: Decimal, separator: tuple[str, str], frame: str, minus: str
) -> None:
    mark, group = separator
    text = spell(number, mark, group, frame, minus)
    digits = f"{abs(number):,f}".replace(",", group)
    grouped_once = re.fullmatch(r"\d{1,3}[.,]\d{3}", digits) and 1_000 <= abs(number) < 1_000_000
    thousandths = re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", f"{abs(number):f}")
    if (group in {",", "."} and grouped_once) or thousandths:
        other = number.scaleb(3 if thousandths else -3)
        assert set(number_readings(text)) == {float(number), float(other)}
        for door in DOORS:
            assert "puede leerse como" in str(door(text))
    else:
        assert [door(text) for door in DOORS] == [float(number)] * 3


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read_back(value: float) -> None:
    assert read_number(write_number(value)) == value
    assert read_number(repr(value)) == value or re.fullmatch(r"-?\d{1,3}\.\d{3}", repr(value))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("27,25", 27.25), ("1,234.50", 1234.5), ("$1,234.50", 1234.5), ("1.234,50", 1234.5),
        ("1e3", 1000), ("5,6E-3", 0.0056), ("1.234e3", 1234), ("-$1,234.50", -1234.5),
        ("1 234", 1234), ("1 234,567", 1234.567), ("0,125", 0.125), (".5", 0.5), ("007", 7),
        ("12", 12), ("1,234,567", 1234567), ("1.234.567", 1234567), ("1234,567", 1234.567),
        ("3-", -3), ("1.234,50-", -1234.5), ("$2.5−", -2.5), ("0.5- MXN", -0.5),
    ],
)  # fmt: skip
def test_clear_texts(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "12.", "12,", "1_000", "1,23,456", "1,2345,678", "1.234,567.5", "1 234'567", "1 23",
        "0,125,000", "--1", "-$-1", "(5)", "5 -", "3-4", "-5-", "5+", "5e3-", "e3",
        "1,234e3.5", "1,234,567e2", "1e4000", "٣", "nan", "inf",
        "9" * 400, "mil", "$", "", "5\n6", "1 MX",
    ],
)  # fmt: skip
def test_texts_that_are_no_number(text: str) -> None:
    with pytest.raises(WrittenNumberError, match=re.escape(NOT_NUMBER_REASON)):
        read_number(text)


@pytest.mark.parametrize(
    ("text", "whole", "decimal", "clear"),
    [
        ("1,234", "1234", "1.234", "1,2340"),
        ("-$1.234", "-1234", "-1.234", "-1.2340"),
        ("999,000 MXN", "999000", "999.000", "999,0000"),
        ("1.234-", "-1234", "-1.234", "-1.2340"),
    ],
)
def test_both_readings_are_named_and_can_be_written(
    text: str, whole: str, decimal: str, clear: str
) -> None:
    with pytest.raises(WrittenNumberError) as refusal:
        read_number(text)
    assert str(refusal.value) == (
        f"puede leerse como {whole} o como {decimal}: "
        f"escriba {whole} si son millares, {clear} si son decimales"
    )
    assert (read_number(whole), read_number(clear)) == (float(whole), float(decimal))


def test_money_has_its_cents_unless_they_would_hide_something() -> None:
    written = {950_000.0: "950,000.00", 0.01: "0.01", 1.005: "1.0050", 12.3456: "12.3456"}
    assert {value: write_number(value) for value in written} == written
    assert math.isclose(read_number(write_number(1e-9)), 1e-9)
