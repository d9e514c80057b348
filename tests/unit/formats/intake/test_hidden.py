"""What a person who looks at a sheet does not see is told, and so is what of it is not used."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

from ipp.core.tables import MATERIALS
from ipp.formats.intake.file_reader import read_cells
from ipp.formats.intake.table_import import ImportReport
from tests.books import build_ods, build_xls, ods_row, save_book, write_book

Bring = Callable[..., ImportReport]
PRICES = ["material", "descripcion", "precio"]
LINES: list[list[object]] = [[*PRICES], *([number, f"P{number}", 1.5] for number in range(11, 20))]


def notices(folder: Path, content: bytes, name: str = "libro.xlsx") -> tuple[str, ...]:
    (folder / name).write_bytes(content)
    return read_cells(folder / name, folder, MATERIALS.columns).notices


def hide_rows(*rows: int) -> Callable[[Worksheet], None]:
    def hide(sheet: Worksheet) -> None:
        for row in rows:
            sheet.row_dimensions[row].hidden = True

    return hide


@settings(max_examples=25)
@given(st.sets(st.integers(2, 14)))
def test_hidden_rows_with_values_are_counted_and_the_first_are_named(
    tmp_path_factory: pytest.TempPathFactory, rows: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("libro", numbered=True)
    found = notices(folder, write_book(*LINES, also=hide_rows(*rows)))
    filled = sorted(row for row in rows if row <= len(LINES))
    if not filled:
        assert found == ()
        return
    (notice,) = found
    counted, _, named = notice.partition(" como las demás: ")
    one = len(filled) == 1
    assert counted == (
        "1 fila oculta en la hoja se leyó"
        if one
        else f"{len(filled)} filas ocultas en la hoja se leyeron"
    )
    more = f" y {len(filled) - 5} más" if len(filled) > 5 else ""
    assert named == ", ".join(map(str, filled[:5])) + more


def test_rows_that_a_filter_hides_are_imported_and_told(bring: Bring) -> None:
    def filter_rows(sheet: Worksheet) -> None:
        sheet.auto_filter.ref = "A1:C10"
        sheet.auto_filter.add_filter_column(0, ["11"])
        hide_rows(3, 4)(sheet)

    report = bring(MATERIALS, write_book(*LINES, also=filter_rows), name="libro.xlsx")
    assert report.rows_accepted == len(LINES) - 1
    assert report.warnings == ("2 filas ocultas en la hoja se leyeron como las demás: 3, 4",)


@pytest.mark.parametrize("blank", [0, 2])
def test_hidden_columns_are_told_if_they_are_read(tmp_path: Path, blank: int) -> None:
    left: list[object] = [None] * blank
    lines = [[*left, *line, "nota"] for line in LINES]

    def hide(*places: int) -> Callable[[Worksheet], None]:
        def hide_columns(sheet: Worksheet) -> None:
            for place in places:
                letter = openpyxl.utils.get_column_letter(place + blank)
                sheet.column_dimensions[letter].hidden = True

        return hide_columns

    assert notices(tmp_path, write_book(*lines, also=hide(4))) == (), "nobody reads it"
    assert notices(tmp_path, write_book(*lines, also=hide(3))) == (
        "1 columna oculta en la hoja se leyó como las demás: «precio»",
    )
    (several,) = notices(tmp_path, write_book(*lines, also=hide(2, 3)))
    assert several == (
        "2 columnas ocultas en la hoja se leyeron como las demás: «descripcion», «precio»"
    )


@pytest.mark.parametrize("state", ["hidden", "veryHidden", "visible"])
def test_a_hidden_sheet_that_is_read_is_told(tmp_path: Path, state: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(["nada"])
    data = book.create_sheet("Datos")
    for line in LINES:
        data.append(line)
    data.sheet_state = state
    found = notices(tmp_path, save_book(book))
    told = ("la hoja que se leyó, «Datos», está oculta en el libro",)
    assert found == (() if state == "visible" else told)


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("kind", ["xlsx", "xls", "ods", "csv"])
def test_what_lies_under_a_merged_heading_is_told_by_its_letter(
    tmp_path: Path, kind: str, blank: int
) -> None:
    rows = [["material", "descripcion", "", "precio", ""], ["11", "x", "perdido", "3", ""]]
    lines = [[*[""] * blank, *row] for row in rows]
    if kind == "xlsx":
        content = write_book(
            *([text or None for text in line] for line in lines),
            also=lambda sheet: sheet.merge_cells(
                start_row=1, end_row=1, start_column=blank + 2, end_column=blank + 3
            ),
        )
    elif kind == "xls":
        cells = {
            (n, m): text for n, line in enumerate(lines) for m, text in enumerate(line) if text
        }
        content = build_xls(cells, (0, 2, blank, blank + 4))
    elif kind == "ods":
        blank_cell = ods_row("").removesuffix("</table:table-row>").partition(">")[2]
        xml = "".join(ods_row(*line) for line in lines)
        content = build_ods(xml.replace(blank_cell, "<table:table-cell/>"))
    else:
        content = "\n".join(",".join(line) for line in lines).encode()
    letter = "CE"[blank // 2]
    assert notices(tmp_path, content, f"libro.{kind}") == (
        f"la columna {letter} tiene valores sin encabezado y no se usó (¿celdas combinadas?)",
    )


def test_several_columns_without_a_heading_are_told_together(tmp_path: Path) -> None:
    content = b"material;;descripcion;\n11;1;x;\n12;;y;2\n"
    assert notices(tmp_path, content, "datos.csv") == (
        "las columnas B y D tienen valores sin encabezado y no se usaron (¿celdas combinadas?)",
    )
    assert notices(tmp_path, b"material;;descripcion;\n11; ;x;\n", "datos.csv") == ()


def test_what_an_old_workbook_hides_is_told(tmp_path: Path) -> None:
    cells = {(n, m): str(text) for n, line in enumerate(LINES) for m, text in enumerate(line)}
    row = (0x0208, struct.pack("<8H", 3, 0, 3, 255, 0, 0, 0x20, 0))
    shown = (0x0208, struct.pack("<8H", 4, 0, 3, 255, 0, 0, 0, 0))
    column = (0x007D, struct.pack("<6H", 2, 2, 0, 0, 1, 0))
    content = build_xls(cells, (0, 10, 0, 3), others=[row, shown, column])
    assert notices(tmp_path, content, "libro.xls") == (
        "1 fila oculta en la hoja se leyó como las demás: 4",
        "1 columna oculta en la hoja se leyó como las demás: «precio»",
    )


@pytest.mark.parametrize("visibility", ["collapse", "filter"])
def test_what_an_open_document_hides_is_told(tmp_path: Path, visibility: str) -> None:
    hidden = f'table:visibility="{visibility}" '
    columns = f"<table:table-column/><table:table-column {hidden}/><table:table-column/>"
    rows = "".join(ods_row(*map(str, line)) for line in LINES[:3])
    far = f'<table:table-row {hidden}table:number-rows-repeated="1000000000000"/>'
    row = ods_row(*map(str, LINES[3])).replace("<table:table-row ", f"<table:table-row {hidden}")
    content = build_ods(columns + rows + row + far)
    assert notices(tmp_path, content, "libro.ods") == (
        "1 fila oculta en la hoja se leyó como las demás: 4",
        "1 columna oculta en la hoja se leyó como las demás: «descripcion»",
    )


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_a_text_that_the_program_took_for_a_date_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "xlsx":
        stream = io.BytesIO(write_book(PRICES, [11, "x", 1]))
        book = openpyxl.load_workbook(stream)
        book.active["B2"] = 45719
        book.active["B2"].number_format = "d-mmm"
        content = save_book(book)
    else:
        cell = '<table:table-cell office:value-type="date" office:date-value="2025-03-03"/>'
        row = ods_row("11").replace("</table:table-row>", f"{cell}</table:table-row>")
        content = build_ods(ods_row("material", "descripcion") + row)
    (tmp_path / f"libro.{kind}").write_bytes(content)
    cells = read_cells(tmp_path / f"libro.{kind}", tmp_path, MATERIALS.columns)
    assert cells.frame.collect()["#defecto:1"].to_list() == [
        "la hoja lo guarda como fecha u hora: escríbalo como texto"
    ]
