"""Files for people: no formula runs, numbers stay numbers. Workbooks: test_written_workbook.py."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.errors import InvalidInputError
from ipp.formats.spreadsheet import escape_formula, write_csv, write_table
from ipp.storage.files.scratch import Scratch

HEADINGS = {"text": "Texto", "number": "Número", "whole": "Entero", "day": "Día", "yes": "Sí"}


def frame(*texts: str | None) -> pl.DataFrame:
    n = len(texts)
    return pl.DataFrame(
        {
            "text": texts, "number": [-1.5] * n, "whole": [7_051_602] * n,
            "day": [dt.date(2026, 1, 31)] * n, "yes": [True] * n,
        },
        schema_overrides={"text": pl.String},
    )  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+A1", "@x", "\tx", "\rx", "  =1+1", "\n=1+1"])
def test_a_text_that_would_run_gets_an_apostrophe_in_csv(text: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [frame(text)], HEADINGS)
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["Texto"] == "'" + text
    assert row["Número"] == "-1.5"


unseen = st.text(
    st.one_of(
        st.characters(categories=["Cf", "Zs", "Zl", "Zp", "Mn"]),
        st.sampled_from("\t\n\r\x0b\x0c\x00\x1f\x85\u3164\uffa0\u115f"),
    ),
    max_size=4,
)
signs = st.sampled_from("=+-@＝＋－＠﹦﹢﹣﹫")


@given(unseen, signs, st.text(max_size=5))
def test_a_sign_of_formulas_behind_what_is_not_seen_never_comes_first(
    before: str, sign: str, rest: str
) -> None:
    text = f"{before}{sign}A{rest}"
    (shown,) = pl.select(escape_formula(pl.lit(text))).to_series().to_list()
    assert shown == "'" + text


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=12))
def test_only_texts_that_would_run_are_changed(text: str) -> None:
    (shown,) = pl.select(escape_formula(pl.lit(text))).to_series().to_list()
    assert shown in {text, "'" + text}
    if text[:1].isalnum():
        assert shown == text


def test_csv_has_one_heading_whatever_the_parts(tmp_path: Path) -> None:
    write_csv(tmp_path / "one.csv", [frame("á", "b", "c")], HEADINGS)
    write_csv(tmp_path / "parts.csv", [frame("á"), frame("b", "c")], HEADINGS)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "parts.csv").read_bytes()
    assert (tmp_path / "one.csv").read_bytes().startswith("\ufeffTexto".encode())


@pytest.mark.parametrize(
    ("name", "part"), [("a.pdf", "No sé escribir"), ("none/a.csv", "No existe la carpeta")]
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    name: str, part: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=part):
        write_table(tmp_path / name, frame("x"), HEADINGS, Scratch(tmp_path / "scratch"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_survives_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("before")
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        write_table(path, frame("x"), {"nowhere": "N"}, Scratch(tmp_path / "scratch"))
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
