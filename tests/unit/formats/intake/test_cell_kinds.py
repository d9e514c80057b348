"""A cell of any kind in any format is read as it was meant, or refused: never emptied or altered.

Each case writes one cell under a heading of each kind of column, and says what every kind reads.
Whatever it does not say must be refused with a reason.
"""

from __future__ import annotations

import datetime as dt
import io
import struct
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from ipp.core.contract import Column, Kind, Table
from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.intake.file_reader import read_cells
from ipp.formats.intake.row_check import match_headings, read_rules, reason_column
from tests.books import build_ods, build_xls, replace_parts

ID, TEXT, NUMBER, COUNT, DATE, FLAG = Kind
COLUMNS = tuple(Column(kind.name.lower(), kind.name, kind, "") for kind in Kind)
TABLE = Table("t", "t", COLUMNS, key=("id",))
HEADINGS = [column.label for column in COLUMNS]
DAY = dt.date(2025, 3, 4)
Read = dict[Kind, Any]

TWELVE: Read = {ID: 12, TEXT: "12", NUMBER: 12.0, COUNT: 12}
HALF: Read = {TEXT: "12.5", NUMBER: 12.5}
TRUE: Read = {TEXT: "true", FLAG: True}
REFUSED: Read = {}


def read_kinds(file: Path) -> dict[Kind, Any]:
    """Read the one row of a file; what is refused is left out, and nothing may be empty."""
    cells = read_cells(file, file.parent, COLUMNS, [])
    rules = read_rules(TABLE, cells, match_headings(TABLE, file, cells.headings), {}, DAY)
    (row,) = rules.explain_rows(cells.frame).collect().to_dicts()
    found = {c.kind: row[c.name] for c in COLUMNS if row[reason_column(c)] is None}
    assert None not in found.values(), "an empty cell is neither read nor refused"
    return found


def parquet_cells(value: pa.Array) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(dict.fromkeys(HEADINGS, value)), stream)
    return stream.getvalue()


PARQUET: dict[str, tuple[pa.Array, Read]] = {
    "boolean": (pa.array([True]), TRUE),
    "int8": (pa.array([12], pa.int8()), TWELVE),
    "uint64": (pa.array([12], pa.uint64()), TWELVE),
    "large uint64": (pa.array([2**64 - 1], pa.uint64()),
                     {TEXT: str(2**64 - 1), NUMBER: float(2**64)}),
    "float16": (pa.array([12.5], pa.float16()), HALF),
    "float32": (pa.array([12.5], pa.float32()), HALF),
    "a tenth in float32": (pa.array([0.1], pa.float32()), {TEXT: "0.1", NUMBER: 0.1}),
    "whole float": (pa.array([12.0]), TWELVE),
    "small float": (pa.array([1e-7]), {TEXT: "1e-7", NUMBER: 1e-7}),
    "NaN": (pa.array([float("nan")]), REFUSED),
    "infinity": (pa.array([float("-inf")]), REFUSED),
    "digits lost in float32": (pa.array([7501234567890.0], pa.float32()),
                               {TEXT: "7501234307072", NUMBER: 7501234307072.0}),
    "digits lost in float64": (pa.array([2.0**53 + 2]),
                               {TEXT: str(2**53 + 2), NUMBER: 2.0**53 + 2}),
    "decimal": (pa.array([Decimal("12.500")], pa.decimal128(10, 3)),
                {TEXT: "12.500", NUMBER: 12.5}),
    "whole decimal": (pa.array([Decimal("12.00")], pa.decimal128(10, 2)), TWELVE | {TEXT: "12.00"}),
    "date": (pa.array([DAY]), {TEXT: "2025-03-04", DATE: DAY}),
    "moment": (pa.array([1741093200 * 10**6], pa.timestamp("us")),
               {TEXT: "2025-03-04 13:00:00.000000", DATE: DAY}),
    "moment of a zone": (
        pa.array([dt.datetime(2025, 3, 5, 3, tzinfo=dt.UTC)], pa.timestamp("us", "America/Lima")),
        {TEXT: "2025-03-04 22:00:00.000000", DATE: DAY}),
    "time": (pa.array([dt.time(5, 30)]), {TEXT: "05:30:00"}),
    "dictionary of texts": (pa.array(["12"]).dictionary_encode(), TWELVE),
    "dictionary of numbers": (pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([12])),
                              TWELVE),
    "binary": (pa.array([b"12"]), TWELVE),
    "binary that is no text": (pa.array([b"\xff\xfe"]), REFUSED),
    "large string": (pa.array(["12"], pa.large_string()), TWELVE),
    "string view": (pa.array(["12"], pa.string_view()), TWELVE),
}  # fmt: skip

WHOLLY_REFUSED = {
    "list": pa.array([[12]]),
    "struct": pa.array([{"a": 12}]),
    "map": pa.array([[("a", 12)]], pa.map_(pa.string(), pa.int64())),
    "duration": pa.array([dt.timedelta(hours=5)]),
}


@pytest.mark.parametrize("name", PARQUET)
def test_a_cell_of_a_parquet(name: str, tmp_path: Path) -> None:
    array, expected = PARQUET[name]
    (tmp_path / "f.parquet").write_bytes(parquet_cells(array))
    assert read_kinds(tmp_path / "f.parquet") == expected


@pytest.mark.parametrize("name", WHOLLY_REFUSED)
def test_a_parquet_column_of_no_single_values_is_refused_by_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "f.parquet"
    for unused in (False, True):
        headings = [*["otra"] * unused, *HEADINGS]
        arrays = {h: WHOLLY_REFUSED[name] if h in {"otra", "ID"} else pa.array(["1"])
                  for h in headings}  # fmt: skip
        if unused:
            arrays["ID"] = pa.array(["1"])
        pq.write_table(pa.table(arrays), file)
        if unused:
            assert read_cells(file, tmp_path, COLUMNS, []).frame.collect().height == 1
            continue
        with pytest.raises(InvalidInputError, match="«ID»"):
            read_cells(file, tmp_path, COLUMNS, [])


CSV: dict[str, Read] = {
    "12": TWELVE,
    "12.5": HALF,
    "12.0": TWELVE | {TEXT: "12.0"},
    "TRUE": {TEXT: "TRUE", FLAG: True},
    "3-": {TEXT: "3-", NUMBER: -3.0, COUNT: -3},
    "3-4": {TEXT: "3-4"},
    "１２": {TEXT: "１２"},
    "5.7e-6": {TEXT: "5.7e-6", NUMBER: 5.7e-6},
    "1E+12": {TEXT: "1E+12", NUMBER: 1e12, COUNT: 10**12},
    "31-dic-2024": {TEXT: "31-dic-2024", DATE: dt.date(2024, 12, 31)},
    "20250304": {ID: 20250304, TEXT: "20250304", NUMBER: 20250304.0, COUNT: 20250304, DATE: DAY},
    **{text: {TEXT: text} for text in (
        "#N/A", "#¡DIV/0!", "NaN", "inf", "01:30:00", "PT5H", "50%", "(5)", "12 PZA", "0x10",
        "1_000", "½", "12.", "1/2", "45322,5e", "'12",
    )},
}  # fmt: skip


@pytest.mark.parametrize("text", CSV)
@pytest.mark.parametrize(("mark", "coding"), [(";", "utf-8"), ("\t", "utf-16")])
def test_a_cell_of_a_text(text: str, mark: str, coding: str, tmp_path: Path) -> None:
    lines = [mark.join(HEADINGS), mark.join([text] * len(HEADINGS))]
    (tmp_path / "f.csv").write_text("\n".join(lines), encoding=coding)
    assert read_kinds(tmp_path / "f.csv") == CSV[text]


def xlsx_cells(write: Any, number_format: str) -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADINGS)
        look = book.add_format({"num_format": number_format})
        for place in range(len(HEADINGS)):
            write(sheet, place, look, book)
    return stream.getvalue()


def number(value: float) -> Any:
    return lambda sheet, place, look, _: sheet.write_number(1, place, value, look)


def formula(text: str, value: object) -> Any:
    return lambda sheet, place, look, _: sheet.write_formula(1, place, text, look, value)


def rich_text(sheet: Any, place: int, _: Any, book: Any) -> None:
    sheet.write_rich_string(1, place, book.add_format({"bold": True}), "1", "2")


XLSX: dict[str, tuple[Any, str, Read]] = {
    "number": (number(12), "General", TWELVE),
    "number shown in full": (number(7501234567890), "0.00E+00",
                             {ID: 7501234567890, TEXT: "7501234567890", NUMBER: 7501234567890.0,
                              COUNT: 7501234567890}),
    "number with lost digits": (number(12345678901234567), "0",
                                {TEXT: "12345678901234570", NUMBER: 12345678901234570.0}),
    "small number": (number(1e-7), "General", {TEXT: "0.0000001", NUMBER: 1e-7}),
    "percentage": (number(0.5), "0%", {TEXT: "0.5", NUMBER: 0.5}),
    "fraction": (number(12.5), "# ?/?", HALF),
    "text format": (number(12), "@", TWELVE),
    "date": (number(45720), "yyyy-mm-dd", {DATE: DAY}),
    "moment": (number(45720.5), "dd/mm/yyyy hh:mm", {DATE: DAY}),
    "serial of a date": (number(45720), "General",
                         {ID: 45720, TEXT: "45720", NUMBER: 45720.0, COUNT: 45720, DATE: DAY}),
    "time": (number(0.25), "hh:mm", REFUSED),
    "duration": (number(1.25), "[h]:mm", REFUSED),
    "boolean": (lambda sheet, place, *_: sheet.write_boolean(1, place, True), "General", TRUE),
    "rich text": (rich_text, "General", TWELVE),
    "calculated": (formula("=6+6", 12), "General", TWELVE),
    "calculated text": (formula('="1"&"2"', "12"), "General", TWELVE),
    "error": (formula("=NA()", "#N/A"), "General", REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("name", XLSX)
def test_a_cell_of_a_workbook(name: str, tmp_path: Path) -> None:
    write, number_format, expected = XLSX[name]
    (tmp_path / "f.xlsx").write_bytes(xlsx_cells(write, number_format))
    assert read_kinds(tmp_path / "f.xlsx") == expected


def ods_cell(attributes: str, text: str = "") -> str:
    shown = f"<text:p>{escape(text)}</text:p>" if text else ""
    return f"<table:table-cell {attributes}>{shown}</table:table-cell>"


TYPED = 'office:value-type="{}" office:{}="{}"'
GIVEN = 'table:formula="of:=X()" '
ODS: dict[str, tuple[str, Read]] = {
    "text": (ods_cell('office:value-type="string"', "12"), TWELVE),
    "number": (ods_cell(TYPED.format("float", "value", "12.5"), "12"), HALF),
    "number that is not shown": (ods_cell(TYPED.format("float", "value", "12")), TWELVE),
    "percentage": (ods_cell(TYPED.format("percentage", "value", "0.5"), "50%"),
                   {TEXT: "0.5", NUMBER: 0.5}),
    "currency": (ods_cell(TYPED.format("currency", "value", "12.5"), "$12.50"), HALF),
    "date": (ods_cell(TYPED.format("date", "date-value", "2025-03-04"), "04/03/25"), {DATE: DAY}),
    "moment": (ods_cell(TYPED.format("date", "date-value", "2025-03-04T13:30:00"), "04/03/25"),
               {DATE: DAY}),
    "boolean": (ods_cell(TYPED.format("boolean", "boolean-value", "true"), "VERDADERO"), TRUE),
    "duration": (ods_cell(TYPED.format("time", "time-value", "PT05H30M00S"), "05:30"), REFUSED),
    "calculated": (ods_cell(GIVEN + TYPED.format("float", "value", "12"), "12"), TWELVE),
    "never calculated": (ods_cell(GIVEN), REFUSED),
    "calculated without a value": (ods_cell(GIVEN + 'office:value-type="float"'), REFUSED),
    "error": (ods_cell(GIVEN + 'office:value-type="string" office:string-value="" '
                       'calcext:value-type="error"', "#N/A"), REFUSED),
    "error that is a 0": (ods_cell(GIVEN + TYPED.format("float", "value", "0"), "#DIV/0!"),
                          REFUSED),
    "error by its number": (ods_cell(GIVEN + TYPED.format("float", "value", "0"), "Err:502"),
                            REFUSED),
    "spans": ("<table:table-cell office:value-type='string'><text:p><text:span>1</text:span>2"
              "</text:p></table:table-cell>", TWELVE),
    "with a note": (
        "<table:table-cell office:value-type='float' office:value='12'><office:annotation>"
        "<text:p>#N/A</text:p></office:annotation><text:p>12</text:p></table:table-cell>", TWELVE),
}  # fmt: skip


def ods_book(cells: str) -> bytes:
    headings = "".join(ods_cell('office:value-type="string"', name) for name in HEADINGS)
    book = build_ods(
        f"<table:table-row>{headings}</table:table-row><table:table-row>{cells}</table:table-row>"
    )
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        content = archive.read("content.xml")
    named = content.replace(b"xmlns:text=", b'xmlns:calcext="urn:calcext" xmlns:text=')
    return replace_parts(book, {"content.xml": named})


@pytest.mark.parametrize("name", ODS)
def test_a_cell_of_an_open_document(name: str, tmp_path: Path) -> None:
    cell, expected = ODS[name]
    (tmp_path / "f.ods").write_bytes(ods_book(cell * len(HEADINGS)))
    assert read_kinds(tmp_path / "f.ods") == expected


def given(result: bytes) -> tuple[int, bytes]:
    """A record of a formula, 1+1, that gave ``result``."""
    return 0x0006, result + bytes(6) + struct.pack("<H2B", 2, 0x1D, 1)


XLS: dict[str, tuple[tuple[int, bytes], Read]] = {
    "number": ((0x0203, struct.pack("<d", 12.5)), HALF),
    "short number": ((0x027E, struct.pack("<I", 12 << 2 | 2)), TWELVE),
    "boolean": ((0x0205, bytes([1, 0])), TRUE),
    "error": ((0x0205, bytes([0x2A, 1])), REFUSED),
    "calculated": (given(struct.pack("<d", 12)), TWELVE),
    "calculated boolean": (given(bytes([1, 0, 1, 0, 0, 0, 255, 255])), TRUE),
    "calculated error": (given(bytes([2, 0, 0x2A, 0, 0, 0, 255, 255])), REFUSED),
    "never calculated": (given(bytes([3, 0, 0, 0, 0, 0, 255, 255])), REFUSED),
    "calculated text that is missing": (given(bytes([0, 0, 0, 0, 0, 0, 255, 255])), REFUSED),
}


@pytest.mark.parametrize("left", [0, 2])
@pytest.mark.parametrize("name", XLS)
def test_a_cell_of_an_old_workbook(name: str, left: int, tmp_path: Path) -> None:
    (kind, data), expected = XLS[name]
    heads = {(0, left + place): text for place, text in enumerate(HEADINGS)}
    cells = [(kind, struct.pack("<3H", 1, place + left, 0) + data) for place in range(len(Kind))]
    book = build_xls(heads, (0, 2, left, left + len(Kind)), others=cells)
    (tmp_path / "f.xls").write_bytes(book)
    assert read_kinds(tmp_path / "f.xls") == expected


def test_a_formula_that_makes_the_reader_panic_is_a_damaged_file(tmp_path: Path) -> None:
    heads = {(0, place): text for place, text in enumerate(HEADINGS)}
    cut_short = bytes(14) + struct.pack("<HB", 1, 0x1D)
    book = build_xls(
        heads, (0, 2, 0, 6), others=[(0x0006, struct.pack("<3H", 1, 0, 0) + cut_short)]
    )
    (tmp_path / "f.xls").write_bytes(book)
    with pytest.raises(UnreadableFileError, match=r"No se puede leer f\.xls"):
        read_cells(tmp_path / "f.xls", tmp_path, COLUMNS, [])


def test_no_formula_of_a_sheet_that_nobody_calculated_is_believed(tmp_path: Path) -> None:
    heads = {(0, place): text for place, text in enumerate(HEADINGS)}
    kind, data = given(struct.pack("<d", 12))
    cells = [(kind, struct.pack("<3H", 1, place, 0) + data) for place in range(len(Kind))]
    uncalculated = (0x005E, bytes(2))
    book = build_xls(heads, (0, 2, 0, len(Kind)), others=[uncalculated, *cells])
    (tmp_path / "f.xls").write_bytes(book)
    assert read_kinds(tmp_path / "f.xls") == REFUSED
