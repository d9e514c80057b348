"""What a workbook of ours promises, whatever library writes it: read by openpyxl and as XML."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import openpyxl
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipp.formats.spreadsheet import MAX_TEXT_UNITS, write_workbook

SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
CREATED = dt.datetime(2026, 1, 31, 12, 30, 15, tzinfo=dt.UTC)

HEADINGS = {
    "id": "Mostrador", "text": "Texto", "number": "Número", "whole": "Entero", "day": "Día",
    "flag": "Sí",
}  # fmt: skip
FORMATS = {"id": "0000000", "number": "#,##0.00", "day": "dd/mm/yyyy", "text": "General"}
ROWS = pl.DataFrame(
    {
        "id": [7_051_602, 42, 7_051_604],
        "text": ["Ácido", None, "=1+1"],
        "number": [-1.5, 2.0, None],
        "whole": [3, None, -(10**12)],
        "day": [dt.date(2026, 1, 31), None, dt.date(1999, 12, 31)],
        "flag": [True, None, False],
    }
)

RUNS = st.builds(
    str.__add__, st.sampled_from([*"=+-@\t\r\n |", "{=", "=HYPERLINK(", "http://"]), st.text()
)
READ_AS_OTHERS = st.sampled_from(
    ["007", "1e5", "TRUE", "nan", "inf", "#N/A", "_x0041_", "_x005F_", " a ", "null"]
)
CONTROLS = st.text(
    st.characters(max_codepoint=0x1F) | st.sampled_from("\x7f\x85\ufffe\uffff\ufeff_x"), min_size=1
)
EMOJI = st.text(st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF), min_size=1)
TEXTS = st.text() | RUNS | READ_AS_OTHERS | CONTROLS | EMOJI
DAYS = st.dates(min_value=dt.date(1900, 3, 1))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WHOLES = st.integers(-(10**15) + 1, 10**15 - 1)


def written(frames: Iterable[pl.DataFrame], headings: dict[str, str], **options: Any) -> bytes:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (scratch := folder / "scratch").mkdir()
        write_workbook(folder / "libro.xlsx", frames, headings, scratch, **options)
        assert list(scratch.iterdir()) == []
        return (folder / "libro.xlsx").read_bytes()


def saved(folder: Path, *frames: pl.DataFrame, **options: Any) -> Path:
    path = folder / "libro.xlsx"
    path.write_bytes(written(frames or [ROWS], HEADINGS, **options))
    return path


def column_of(cells: list[Any], dtype: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame({"x": pl.Series(cells, dtype=dtype)})


def cells_of(cells: pl.DataFrame, folder: Path) -> list[Any]:
    """The cells below the heading of a workbook with one column, as openpyxl reads them."""
    (folder / "libro.xlsx").write_bytes(written([cells], {"x": "x"}))
    sheet = openpyxl.load_workbook(folder / "libro.xlsx").active
    return [sheet.cell(row, 1) for row in range(2, len(cells) + 2)]


def texts_of(book: bytes, folder: Path) -> Iterator[tuple[str, str]]:
    """Where each cell lies and what it says, of a sheet that has texts and nothing else."""
    (folder / "libro.xlsx").write_bytes(book)
    with ZipFile(folder / "libro.xlsx") as archive:
        assert not [name for name in archive.namelist() if "_rels/sheet" in name], (
            "no link has an address"
        )
        sheet = ElementTree.fromstring(archive.read(SHEET))
    assert not sheet.findall(f".//{NAMESPACE}f")
    assert not sheet.findall(f".//{NAMESPACE}hyperlink")
    for cell in sheet.iter(f"{NAMESPACE}c"):
        assert cell.get("t") == "inlineStr"
        yield cell.attrib["r"], unescaped("".join(cell.itertext()))


def unescaped(text: str) -> str:
    """As Excel reads what XML cannot hold: _x0001_ is the character of that number."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(st.lists(TEXTS, min_size=1, max_size=12))
@example(["nan", "Inf", "-infinity"])
@example(["_x0041_", "_x005F_x0041_", "\x00_x0041_"])
def test_a_text_stays_the_text_it_is(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    book = written([column_of(texts, pl.String)], {"x": "=1+1"})
    expected = {f"A{row}": text for row, text in enumerate(texts, 2) if text}
    assert dict(texts_of(book, tmp_path_factory.getbasetemp())) == {"A1": "=1+1"} | expected


@pytest.mark.parametrize("character", ["a", "é", "=", "😀", "\x01"])
@pytest.mark.parametrize("spare", [-1, 0, 1, 20_000])
def test_a_text_is_cut_where_a_cell_of_excel_is_full(
    character: str, spare: int, tmp_path: Path
) -> None:
    text = character * ((MAX_TEXT_UNITS + spare) // units(character)) + "."
    short = "x" * MAX_TEXT_UNITS
    shown = dict(
        texts_of(written([column_of([text, short, None], pl.String)], {"x": text}), tmp_path)
    )
    assert shown["A1"] == shown["A2"]
    assert shown["A3"] == short
    assert text.startswith(shown["A2"])
    room = MAX_TEXT_UNITS - units(shown["A2"])
    assert shown["A2"] == text or 0 <= room < units(character)


def test_a_cell_is_of_its_kind_and_nothing_is_in_an_empty_one(tmp_path: Path) -> None:
    head, *rows = openpyxl.load_workbook(saved(tmp_path)).active.iter_rows()
    assert [cell.value for cell in head] == list(HEADINGS.values())
    shown = [
        [cell.value.date() if cell.is_date and cell.value else cell.value for cell in row]
        for row in rows
    ]
    assert shown == [list(row) for row in ROWS.iter_rows()]
    assert [cell.data_type for cell in rows[0]] == ["n", "s", "n", "n", "d", "b"]
    assert [type(cell.value) for cell in (rows[0][0], rows[0][3])] == [int, int], (
        "7051602, not 7051602.0"
    )


@given(st.lists(NUMBERS, min_size=1, max_size=12))
@example([0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0])
def test_a_number_is_read_back_to_its_last_bit(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    cells = cells_of(column_of(numbers, pl.Float64), tmp_path_factory.getbasetemp())
    assert [(cell.data_type, float(cell.value)) for cell in cells] == [
        ("n", number) for number in numbers
    ]


@given(st.lists(WHOLES, min_size=1, max_size=12))
def test_a_whole_number_of_15_digits_is_one(
    tmp_path_factory: pytest.TempPathFactory, wholes: list[int]
) -> None:
    cells = cells_of(column_of(wholes, pl.Int64), tmp_path_factory.getbasetemp())
    assert [cell.value for cell in cells] == wholes
    assert {type(cell.value) for cell in cells} == {int}


@pytest.mark.parametrize("code", [10**15, -(10**15), 2**63 - 1, -(2**63)])
def test_a_code_too_long_for_excels_numbers_makes_texts_of_its_column(
    code: int, tmp_path: Path
) -> None:
    cells = cells_of(column_of([7, code, None], pl.Int64), tmp_path)
    assert [cell.value for cell in cells] == ["7", str(code), None]


@given(st.lists(DAYS, min_size=1, max_size=12))
@example([dt.date(1900, 3, 1), dt.date(9999, 12, 31)])
def test_a_day_is_that_day(tmp_path_factory: pytest.TempPathFactory, days: list[dt.date]) -> None:
    cells = cells_of(column_of(days, pl.Date), tmp_path_factory.getbasetemp())
    assert [cell.value.date() for cell in cells] == days
    assert {(cell.data_type, cell.number_format) for cell in cells} == {("d", "yyyy-mm-dd")}


def test_a_day_that_excel_counts_wrongly_is_a_text(tmp_path: Path) -> None:
    """Excel has a 29th of February of 1900: an earlier day would be shown as the day before."""
    (cell,) = cells_of(column_of([dt.date(1900, 2, 28)], pl.Date), tmp_path)
    assert (cell.data_type, cell.value) == ("s", "1900-02-28")


def test_a_number_that_excel_has_not_is_an_empty_cell(tmp_path: Path) -> None:
    cells = cells_of(
        column_of([float("nan"), float("inf"), -float("inf"), 1.5], pl.Float64), tmp_path
    )
    assert [cell.value for cell in cells] == [None, None, None, 1.5]


def test_a_column_has_its_format_or_that_of_its_kind(tmp_path: Path) -> None:
    _, *rows = openpyxl.load_workbook(saved(tmp_path, formats=FORMATS)).active.iter_rows()
    for row in rows:
        shown = {
            name: cell.number_format
            for name, cell in zip(HEADINGS, row, strict=True)
            if cell.value is not None
        }
        asked = FORMATS | {"whole": "0", "flag": "General"}
        assert shown == {name: asked[name] for name in shown}
    _, row, *_ = openpyxl.load_workbook(saved(tmp_path)).active.iter_rows()
    assert [cell.number_format for cell in row] == [
        "0",
        "General",
        "#,##0.######",
        "0",
        "yyyy-mm-dd",
        "General",
    ]


@pytest.mark.parametrize("heading", ["*", "N*", "*o", "*úmer*", "Número*", "*Número"])
def test_an_asterisk_in_a_heading_formats_no_other_column(heading: str, tmp_path: Path) -> None:
    rows = pl.DataFrame({"a": [1.0], "b": [2], "c": ["x"], "d": [True]})
    book = tmp_path / "libro.xlsx"
    write_workbook(
        book, [rows], {"a": heading, "b": "Número", "c": "Nombre", "d": "Nuevo"}, tmp_path
    )
    cells = next(openpyxl.load_workbook(book).active.iter_rows(min_row=2))
    assert [cell.number_format for cell in cells] == ["General", "0", "General", "General"]


def test_the_heading_is_bold_underlined_frozen_and_filters_all_rows(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(saved(tmp_path, ROWS, ROWS)).active
    assert (sheet.title, sheet.freeze_panes, sheet.auto_filter.ref) == ("IPP", "A2", "A1:F7")
    assert {(cell.font.bold, cell.border.bottom.style) for cell in sheet[1]} == {(True, "thin")}
    assert {(cell.font.bold, cell.border.bottom.style) for cell in sheet[2]} == {(False, None)}


def test_a_column_is_as_wide_as_its_widest_cell_up_to_a_limit(tmp_path: Path) -> None:
    wide = ROWS.with_columns(
        text=pl.lit("x" * 20), whole=pl.lit(-(10**14)), number=pl.lit(1234567.5)
    )
    long = ROWS.with_columns(text=pl.lit("x" * 200))
    widths = {}
    for name, frames in {"first": [ROWS], "last": [ROWS, wide], "long": [ROWS, long]}.items():
        sheet = openpyxl.load_workbook(saved(tmp_path, *frames)).active
        widths[name] = [int(sheet.column_dimensions[letter].width) for letter in "ABCDEF"]
    assert widths["first"] == [11, 7, 8, 16, 12, 7]
    assert widths["last"] == [11, 22, 16, 18, 12, 7]
    assert widths["long"] == [11, 42, 8, 16, 12, 7]


def test_the_properties_say_what_it_is_and_when_the_job_began(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(saved(tmp_path, created=CREATED))
    assert book.sheetnames == ["IPP"]
    assert (book.properties.title, book.properties.creator) == ("IPP", None)
    assert book.properties.created == book.properties.modified == CREATED.replace(tzinfo=None)


def test_a_sheet_without_rows_has_its_heading(tmp_path: Path) -> None:
    for frames in ([ROWS.clear()], []):
        (tmp_path / "libro.xlsx").write_bytes(written(frames, HEADINGS))
        sheet = openpyxl.load_workbook(tmp_path / "libro.xlsx").active
        assert [cell.value for cell in sheet[1]] == list(HEADINGS.values())
        assert (sheet.max_row, sheet.auto_filter.ref) == (1, "A1:F1")


def test_the_same_rows_give_the_same_bytes_at_another_time_in_another_process(
    tmp_path: Path,
) -> None:
    once = written([ROWS], HEADINGS, formats=FORMATS, created=CREATED)
    begun = int(time.time())
    while int(time.time()) == begun:  # the library writes down the second in which it wrote
        time.sleep(0.05)
    code = (
        "import sys, tests.unit.test_written_workbook as t; "
        "sys.stdout.buffer.write("
        "t.written([t.ROWS], t.HEADINGS, formats=t.FORMATS, created=t.CREATED))"
    )
    other = os.environ | {
        "PYTHONHASHSEED": "5",
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C",
        "POLARS_MAX_THREADS": "1",
    }
    again = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=other)
    assert again.stdout == once == written([ROWS], HEADINGS, formats=FORMATS, created=CREATED)


@given(st.data())
def test_how_the_rows_are_divided_makes_no_difference(data: st.DataObject) -> None:
    some = st.tuples(TEXTS, NUMBERS, st.integers(-(2**63), 2**63 - 1), DAYS, st.booleans())
    cells = data.draw(st.lists(some, max_size=8))
    names = ["text", "number", "whole", "day", "flag"]
    dtypes = [pl.String, pl.Float64, pl.Int64, pl.Date, pl.Boolean]
    rows = pl.DataFrame(cells, schema=dict(zip(names, dtypes, strict=True)), orient="row")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    parts = [rows[first:last] for first, last in pairwise([0, *cuts, len(rows)])]
    headings = {name: HEADINGS[name] for name in names}
    assert written(parts, headings) == written([rows], headings)


def test_a_part_is_asked_for_when_the_one_before_is_out_of_memory() -> None:
    """Python's memory does not grow with the parts; bench/write_workbook.py measures Polars'."""
    held = []

    def parts() -> Iterator[pl.DataFrame]:
        for _ in range(200):
            held.append(tracemalloc.get_traced_memory()[0])
            yield pl.concat([ROWS] * 10)

    tracemalloc.start()
    try:
        written(parts(), HEADINGS)
    finally:
        tracemalloc.stop()
    assert held[-1] - held[20] < 200_000


def test_what_cannot_be_written_is_an_os_error_and_leaves_nothing(tmp_path: Path) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    with pytest.raises(OSError, match="nowhere"):
        write_workbook(tmp_path / "nowhere" / "libro.xlsx", [ROWS], HEADINGS, scratch)
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        write_workbook(tmp_path / "libro.xlsx", [ROWS], {"nowhere": "N"}, scratch)
    assert list(scratch.iterdir()) == []
