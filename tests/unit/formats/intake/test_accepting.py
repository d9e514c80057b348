"""A row in the usual spelling is taken at once, and means what it means when read with care."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipp.core.contract import Column, Kind, Table
from ipp.formats.intake.file_reader import read_cells
from ipp.formats.intake.raw_cell import ROW_COLUMN
from ipp.formats.intake.row_check import (
    ACCEPTED_COLUMN,
    KnownIds,
    RowCheck,
    is_accepted,
    match_headings,
    read_rules,
)

TODAY = dt.date(2024, 6, 30)
TABLE = Table(
    name="everything",
    title="todo",
    columns=(
        Column("shop", "tienda", Kind.ID, "", required=True),
        Column("day", "dia", Kind.DATE, "", required=True),
        Column("amount", "importe", Kind.NUMBER, "", required=True, minimum=-5, maximum=1e7),
        Column("pieces", "piezas", Kind.COUNT, "", default=0, minimum=0),
        Column("ratio", "razon", Kind.NUMBER, ""),
        Column("seen", "visto", Kind.DATE, ""),
        Column("active", "activo", Kind.FLAG, "", default=True),
        Column("model", "modelo", Kind.TEXT, "", choices=("SPP", "IPP")),
        Column("name", "nombre", Kind.TEXT, ""),
    ),
    key=("shop", "day"),
)
KNOWN = {"shop": KnownIds("tiendas", pl.Series([0, 1, 5, 12, 7_051_602]))}

ids = st.sampled_from(
    ["1", "5", "12", "007051602", "7051602.0", "12.00", "+5", "-5", "-0", "0", "99", "1e1", "x"]
)
days = st.one_of(
    st.dates(dt.date(1995, 1, 1), dt.date(2026, 1, 1)).map(str),
    st.sampled_from(
        ["31/01/2024", "2024/1/31", "2024-01-31T10:00", "2024-1-005", "+2024-1-01", "2024- 1-01",
         "2024-1- 01", "0024-01-31", "202- 01-05", "2024-02-30", "24-01-31", "20240131", "45322",
         "03/04/2024", "04/25/2024", "25.04.2024", "1-feb-2024", "Feb 1, 2024 5:00 p. m."]
    ),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-9, 10**9).map(str),
    st.decimals(0, 10**7, places=2).map(str),
    st.decimals(0, 10**7, places=2).map(lambda number: str(number).replace(".", ",")),
    st.sampled_from(
        ["1.234", "1,234", "1.234.567", "1,234,567", "1.", ".5", ",5", "$1,200.50", "−3", "-0",
         "1e3", "9007199254740993", "1" * 30, "1" * 400, "inf", "nan", "1 234", "0x1", "5 MXN"]
    ),
)  # fmt: skip
flags = st.sampled_from(["sí", "no", "1", "0", "x", "TRUE", "quizá"])
models = st.sampled_from(["SPP", "ipp", "otro"])
names = st.sampled_from(["Centro", 'TUBO 3" NARIZ', "a,b", "a;b", "dos\nrenglones", "NA", "ñ"])
blanks = st.sampled_from(["{}", "{}", "{}", "{}", " {}", "{}\u00a0", "\t{} "])


def cell(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return a cell: mostly a text, sometimes empty or with spaces around."""
    spaced = st.builds(str.format, blanks, texts)
    return st.one_of(texts, spaced, st.sampled_from(["", " ", "\u00a0"]))


usual_row = st.tuples(
    st.sampled_from(["1", "5", "12"]),
    st.dates(dt.date(2001, 1, 1), TODAY).map(str),
    st.integers(0, 10**6).map(str),
    st.integers(0, 99).map(str),
    st.sampled_from(["", "3", "2.5"]),
    st.sampled_from(["", "2024-01-31"]),
    flags.filter(lambda text: text != "quizá"),
    st.sampled_from(["", "SPP"]),
    names,
).map(list)
usual = st.lists(usual_row, min_size=1, max_size=12)
kinds = (ids, days, numbers, numbers, numbers, days, flags, models, names)
odd_cells = st.one_of([st.tuples(st.just(k), cell(texts)) for k, texts in enumerate(kinds)])


def replace_cell(row: list[str], odd: tuple[int, str]) -> list[str]:
    """Return a row with one cell that may be in any spelling."""
    position, text = odd
    return [*row[:position], text, *row[position + 1 :]]


rows = st.lists(
    st.one_of(usual_row, st.builds(replace_cell, usual_row, odd_cells)), min_size=1, max_size=40
)


def rules_of(folder: Path, lines: list[list[str]], separator: str) -> tuple[RowCheck, pl.LazyFrame]:
    file = folder / "datos.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerows([[column.label for column in TABLE.columns], *lines])
    cells = read_cells(file, folder, TABLE.columns)
    positions = match_headings(TABLE, file, cells.headings)
    return read_rules(TABLE, cells, positions, KNOWN, TODAY), cells.frame


def explained(rules: RowCheck, frame: pl.LazyFrame) -> pl.DataFrame:
    return (
        rules.explain_rows(frame)
        .select(ROW_COLUMN, is_accepted(TABLE).alias(ACCEPTED_COLUMN), *TABLE.schema)
        .collect()
    )


@settings(max_examples=30, deadline=None)
@given(
    lines=rows, separator=st.sampled_from(",;\t"), excess=st.sampled_from([[], [["1", "x"] * 5]])
)
def test_rows_are_accepted_and_read_as_they_are_explained(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[list[str]],
    separator: str,
    excess: list[list[str]],
) -> None:
    rules, frame = rules_of(tmp_path_factory.mktemp("rows"), [*lines, *excess], separator)
    accepted = rules.accept_rows(frame).collect(engine="streaming")
    assert_frame_equal(
        accepted.sort(ROW_COLUMN), explained(rules, frame).sort(ROW_COLUMN), check_exact=True
    )


@settings(max_examples=25, deadline=None)
@given(lines=usual)
def test_rows_in_the_usual_spelling_are_never_explained(
    tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]]
) -> None:
    class Unexplained(RowCheck):
        def explain_rows(self, frame: pl.LazyFrame) -> pl.LazyFrame:
            raise AssertionError(frame.collect())

    rules, frame = rules_of(tmp_path_factory.mktemp("rows"), lines, ",")
    known = {name: getattr(rules, name) for name in RowCheck.__slots__}
    accepted = Unexplained(**known).accept_rows(frame).collect()
    assert_frame_equal(accepted.sort(ROW_COLUMN), explained(rules, frame), check_exact=True)
