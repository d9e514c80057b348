"""A workbook whose cells reach too far is refused before anything is made for them."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import fastexcel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.tables import MATERIALS
from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.cell_reference import column_letters
from ipp.formats.intake import sheet_extent
from ipp.formats.intake.id_list import read_id_list
from ipp.formats.intake.sheet_extent import MAX_SHEET_CELLS, check_extent
from ipp.formats.intake.table_import import ImportReport
from ipp.formats.workbook import read_workbook
from ipp.pipeline.backtest import read_demand_history
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.books import (
    build_ods,
    build_xls,
    build_xlsx,
    compound_file,
    ods_row,
    sheet_xml,
    text_cells,
)

Bring = Callable[..., ImportReport]

TABLE = text_cells(1, "material", "descripcion") + text_cells(2, "11", "x")
FAR = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
ODS_TABLE = ods_row("material", "descripcion") + ods_row("11", "x")
ODS_FAR = (
    '<table:table-row table:number-rows-repeated="1048573"><table:table-cell/></table:table-row>'
    "<table:table-row>"
    '<table:table-cell table:number-columns-repeated="16383"/>'
    '<table:table-cell office:value-type="float" office:value="1"/></table:table-row>'
)
XLS_TABLE = {(0, 0): "material", (0, 1): "descripcion", (1, 0): "11", (1, 1): "x"}


def prefixed(sheet: str) -> str:
    return sheet.replace("<", "<x:").replace("<x:/", "</x:").replace("xmlns=", "xmlns:x=")


def unplaced(sheet: str) -> str:
    return sheet.replace('<c r="XFD1048576">', "<c/>" * 16383 + "<c>")


FAR_SHEET = sheet_xml(TABLE + FAR)

FAR_BOOKS = {
    "far.xlsx": (build_xlsx(FAR_SHEET), "XFD1048576"),
    "far.xlsm": (build_xlsx(FAR_SHEET), "XFD1048576"),
    "two.xlsx": (
        build_xlsx(
            sheet_xml('<row r="1"><c r="XFD1"><v>1</v></c><c r="A1048576"><v>1</v></c></row>')
        ),
        "A1048576",
    ),
    "style-first.xlsx": (
        build_xlsx(FAR_SHEET.replace('<c r="XFD', '<c s="0" r="XFD')),
        "XFD1048576",
    ),
    "quotes.xlsx": (build_xlsx(FAR_SHEET.replace('"', "'")), "XFD1048576"),
    "prefixed.xlsx": (build_xlsx(prefixed(FAR_SHEET)), "XFD1048576"),
    "unplaced.xlsx": (build_xlsx(unplaced(FAR_SHEET)), "XFD1048576"),
    "dimension.xlsx": (
        build_xlsx(sheet_xml(TABLE + FAR, '<dimension ref="A1:B2"/>')),
        "XFD1048576",
    ),
    "formula.xlsx": (
        build_xlsx(FAR_SHEET.replace("<v>1</v></c></row></s", "<f>1</f></c></row></s")),
        "XFD1048576",
    ),
    "far.ods": (build_ods(ODS_TABLE + ODS_FAR), "XFD1048576"),
    "repeated.ods": (build_ods(ODS_TABLE + ods_row("12", "y", repeated=10**9)), "B1000000002"),
    "far.xls": (build_xls(XLS_TABLE | {(65535, 16383): "z"}), "XFD65536"),
}


@pytest.mark.parametrize("name", FAR_BOOKS)
def test_a_stray_cell_is_named(bring: Bring, name: str) -> None:
    content, cell = FAR_BOOKS[name]
    with pytest.raises(InvalidInputError) as caught:
        bring(MATERIALS, content, name=name)
    assert re.fullmatch(
        rf"{name} abarca .* celdas y se leen 16,777,216 .* {cell}\.", caught.value.message
    )


def test_every_way_in_refuses_it(tmp_path: Path) -> None:
    file, scratch = tmp_path / "far.xlsx", Scratch(tmp_path / "scratch")
    file.write_bytes(FAR_BOOKS["far.xlsx"][0])
    for read in (
        lambda: read_id_list(file, scratch),
        lambda: read_workbook(file, scratch, with_sales_value=True),
        lambda: read_demand_history(file, scratch, None),
    ):
        with pytest.raises(InvalidInputError, match="XFD1048576"):
            read()


@pytest.mark.parametrize("name", ["datos.xlsx", "datos.ods", "datos.xls"])
def test_a_table_is_read(bring: Bring, lakehouse: DeltaLakehouse, name: str) -> None:
    content = {
        ".xlsx": build_xlsx(sheet_xml(TABLE + '<row r="1048576"><c r="XFD1048576" s="0"/></row>')),
        ".ods": build_ods(ODS_TABLE + ods_row(repeated=1048574)),
        ".xls": build_xls(XLS_TABLE, (0, 65536, 0, 256)),
    }[Path(name).suffix]
    bring(MATERIALS, content, name=name)
    assert lakehouse.scan_table(MATERIALS).filter(material=11).collect()[
        "description"
    ].to_list() == ["x"]


@pytest.mark.parametrize(
    ("rows", "columns"), [(1_048_576, 4), (200_000, 55), (100_800, 47), (65_536, 256)]
)
def test_the_largest_sheets_in_use_are_within_the_limit(
    tmp_path: Path, rows: int, columns: int
) -> None:
    corner = f'<row r="{rows}"><c r="{column_letters(columns - 1)}{rows}"><v>1</v></c></row>'
    file = tmp_path / "datos.xlsx"
    file.write_bytes(build_xlsx(sheet_xml(TABLE + corner)))
    check_extent(file)
    assert rows * columns <= MAX_SHEET_CELLS


WRITINGS: list[Callable[[str], str]] = [
    str,
    prefixed,
    lambda sheet: sheet.replace('"', "'"),
    lambda sheet: sheet.replace("<c r=", "<c s='0' r="),
    lambda sheet: sheet.replace("<c r=", "<!-- <c> --><c\n r ="),
]
places = st.dictionaries(
    st.tuples(st.integers(0, 30), st.integers(0, 30)), st.booleans(), min_size=1, max_size=8
)


@settings(max_examples=60)
@given(places, st.sampled_from(WRITINGS), st.integers(1, 400))
def test_what_passes_is_what_the_reader_makes_room_for(
    tmp_path_factory: pytest.TempPathFactory,
    cells: dict[tuple[int, int], bool],
    writing: Callable[[str], str],
    limit: int,
) -> None:
    rows = "".join(
        f'<row r="{row + 1}">'
        + "".join(
            f'<c r="{column_letters(column)}{row + 1}">'
            f"{'<v>1</v>' if cells[row, column] else ''}</c>"
            for _, column in group
        )
        + "</row>"
        for row, group in itertools.groupby(sorted(cells), key=lambda place: place[0])
    )
    file = tmp_path_factory.mktemp("law") / "datos.xlsx"
    file.write_bytes(build_xlsx(writing(sheet_xml(rows))))
    frame = (
        fastexcel.read_excel(file)
        .load_sheet(0, header_row=None, skip_rows=0, dtypes="string")
        .to_polars()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet_extent, "MAX_SHEET_CELLS", limit)
        if frame.height * frame.width <= limit:
            check_extent(file)
        else:
            with pytest.raises(InvalidInputError):
                check_extent(file)


BROKEN = {
    "opening.xlsx": build_xlsx(
        sheet_xml(TABLE + FAR).replace('<row r="2">', '<row r="2" a="<!--">') + "<!-- -->"
    ),
    "reference.xlsx": build_xlsx(
        sheet_xml(TABLE + '<row r="3"><c r="XFDXFDXFD3"><v>1</v></c></row>')
    ),
    "doctype.xlsx": build_xlsx(
        '<!DOCTYPE worksheet [<!ATTLIST c s CDATA "1">]>' + sheet_xml(TABLE + FAR)
    ),
    "spaces.ods": build_ods(
        ODS_TABLE + ods_row("x").replace("x</text:p>", '<text:s text:c="99999999999"/></text:p>')
    ),
    "announced.xls": build_xls(XLS_TABLE, (0, 2**32 - 1, 0, 256)),
    "strings.xls": build_xls(XLS_TABLE, strings=2**31),
    "loop.xls": compound_file(b"", {2: 2}),
    "outside.xls": compound_file(b"", {2: 2**31}),
    "short.xls": build_xls(XLS_TABLE)[:700],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_reader_would_believe_is_refused(bring: Bring, name: str) -> None:
    with pytest.raises(UnreadableFileError, match=f"No se puede leer {name}"):
        bring(MATERIALS, BROKEN[name], name=name)


def archive_of(**parts: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_binary_workbook_is_refused_by_name(bring: Bring) -> None:
    with pytest.raises(UnreadableFileError, match=r"libro binario \(\.xlsb\)"):
        bring(MATERIALS, archive_of(**{"xl/workbook.bin": "x"}), name="datos.xlsb")


def test_a_sheet_may_be_any_part_of_the_archive(tmp_path: Path) -> None:
    file = tmp_path / "datos.xlsx"
    file.write_bytes(
        archive_of(
            **{"xl/worksheets/sheet1.xml": sheet_xml(TABLE), "xl/media/image1.png": FAR_SHEET}
        )
    )
    with pytest.raises(InvalidInputError, match="XFD1048576"):
        check_extent(file)
