"""Files for people: no formula runs, numbers stay numbers. Workbooks: test_written_workbook.py."""

from __future__ import annotations

import csv
import datetime as dt
import io
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.errors import InvalidInputError
from ipp.formats.intake.rejection import read_rejections, write_rejections
from ipp.formats.spreadsheet import csv_body, escape_formula, write_csv, write_table
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


SIGNS = [c for c in map(chr, range(0x110000)) if unicodedata.normalize("NFKC", c) in set("=+-@")]
"""Each sign of a formula, and what a program that folds widths takes for it."""

UNSEEN = st.one_of(
    st.sampled_from("\ufeff\u200b\u2060\u00a0\u3000\u3164\u2800\u00ad\u180e\t\r\n "),
    st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp"], codec="utf-8"),
)


@given(st.text(UNSEEN, max_size=4), st.sampled_from(SIGNS), st.text(max_size=4))
def test_no_sign_of_a_formula_begins_a_cell_however_it_is_hidden(
    before: str, sign: str, after: str
) -> None:
    text = f"{before}{sign}A{after}"
    (shown,) = pl.select(escape_formula(pl.lit(text))).to_series().to_list()
    assert shown == "'" + text
    for escaped in (f"\t{after}", f"\r{after}"):
        assert pl.select(escape_formula(pl.lit(escaped))).item() == "'" + escaped


@given(st.text(UNSEEN, max_size=4), st.sampled_from(SIGNS))
def test_each_csv_that_is_written_has_it_escaped(before: str, sign: str) -> None:
    text = f"{before}{sign}SUM(A1)"
    for decimal_comma in (False, True):
        lines = csv_body(frame("a", text), HEADINGS, decimal_comma=decimal_comma).decode()
        reader = csv.reader(io.StringIO(lines, newline=""), delimiter=";" if decimal_comma else ",")
        assert [row[0] for row in reader] == ["a", "'" + text]


@given(st.text(UNSEEN, max_size=4), st.sampled_from(SIGNS))
def test_a_list_of_rejections_is_escaped_and_read_as_it_was(before: str, sign: str) -> None:
    text = f"{before}{sign}SUM(A1)"
    record = {"fila": [2], "columna": ["monto"], "valor": [text], "motivo": ["no es un número"]}
    records = pl.LazyFrame(record, schema_overrides={"fila": pl.UInt32})
    with TemporaryDirectory() as name:
        path = Path(name) / "rechazos.csv"
        write_rejections(path, records, records.clear())
        with path.open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file)
        shown, _ = read_rejections(path, 10)
    assert (row["valor"], shown["valor"].item()) == ("'" + text, text)


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
