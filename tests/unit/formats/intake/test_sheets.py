"""What the cells of a workbook are beside their texts, and which of its sheets is read."""

from __future__ import annotations

import datetime as dt
import io
import struct
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.contract import Table
from ipp.core.tables import CONFIGURATIONS, MATERIALS, SELLOUT, STOCK
from ipp.errors import InvalidInputError, MissingColumnError, RejectedRowsError
from ipp.formats.intake import sheet_xml
from ipp.formats.intake.file_reader import read_cells
from ipp.formats.intake.sheet_extent import SheetOutline
from ipp.formats.intake.sheet_marks import UnusableCell
from ipp.formats.intake.table_import import ImportReport
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.books import SHEET_PART, build_xls, build_xlsx, replace_parts, save_book, write_book
from tests.books import sheet_xml as render_sheet

Bring = Callable[..., ImportReport]

PRICES = ["material", "descripcion", "precio"]
STOCKS = ["mostrador", "material", "existencia", "fecha"]


def sheets(**content: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, lines in content.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
    return save_book(book)


def edited(content: bytes, old: bytes, new: bytes) -> bytes:
    """The workbook with its first sheet's XML as another program would have written it."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        sheet = source.read(SHEET_PART)
    return replace_parts(content, {SHEET_PART: sheet.replace(old, new)})


def refusal(bring: Bring, table: Table, content: bytes) -> str:
    with pytest.raises(RejectedRowsError) as caught:
        bring(table, content, name="libro.xlsx")
    return caught.value.message.partition("ninguno: ")[2]


def oddities(folder: Path, rows: str) -> list[UnusableCell]:
    """What the XML of a sheet with these rows tells of cells that cannot be used."""
    file = folder / "libro.xlsx"
    file.write_bytes(build_xlsx(render_sheet(rows)))
    xml = sheet_xml.SheetXml.open_sheet(file, "Sheet", {SHEET_PART: SheetOutline(unclear=True)})
    assert xml is not None
    xml.find_numeric_rows([0])
    marks = xml.read_marks(10)
    return [*marks.unusable] if marks else []


NOT_AVAILABLE = "tiene el error #N/A: corríjala"
LOST = "es una fórmula sin calcular: ábralo en Excel y guárdelo"


@pytest.fixture(params=[64, 1 << 20])
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at so many bytes together: where a part of the XML ends means nothing."""
    monkeypatch.setattr(sheet_xml, "_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("blank", [0, 1, 2, 27])
def test_an_error_is_no_empty_cell(bring: Bring, blank: int) -> None:
    left: list[object] = [None] * blank
    content = write_book(
        [*left, *PRICES], [*left, 11, "x", "#DIV/0!"], [*left, 12, "#N/A", 3], [*left, 13, "y", 4]
    )
    assert refusal(bring, MATERIALS, content) == (
        f"fila 2, precio «#DIV/0!» tiene el error #DIV/0!: corríjala; fila 3, descripcion «#N/A» "
        f"{NOT_AVAILABLE}."
    )


@pytest.mark.usefixtures("part")
def test_a_formula_that_nobody_calculated_is_no_empty_cell(bring: Bring) -> None:
    content = write_book([], PRICES, [11, "x", "=1+1"], [12, "y", 3], ["=A4+1"])
    assert refusal(bring, MATERIALS, content) == (
        f"fila 3, precio «=1+1» {LOST}; fila 5, material «=A4+1» {LOST}."
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<f>1+1</f><v></v>", b"<f>1+1</f>"),
        (b"<f>1+1</f><v />", b"<f>1+1</f>"),
        (b"<f>1+1</f><v />", b"<f>1+1</f><v></v>"),
        (b"<f>1+1</f><v />", b'<f t="shared" si="0"/>'),
    ],
)
def test_a_lost_formula_is_found_in_every_writing(bring: Bring, old: bytes, new: bytes) -> None:
    content = edited(write_book(PRICES, [11, "x", "=1+1"], [12, "y", 3]), old, new)
    assert LOST in refusal(bring, MATERIALS, content)


def test_an_error_is_found_where_names_have_a_prefix(bring: Bring) -> None:
    content = write_book(PRICES, [11, "x", "#N/A"], [12, "y", "=1+1"])
    for name in (b"worksheet", b"sheetData", b"row", b"c", b"v", b"f", b"is", b"t"):
        content = edited(content, b"<" + name + b">", b"<x:" + name + b">")
        content = edited(content, b"<" + name + b" ", b"<x:" + name + b" ")
        content = edited(content, b"</" + name + b">", b"</x:" + name + b">")
    content = edited(content, b" xmlns=", b" xmlns:x=")
    content = edited(content, b"<v />", b"")
    found = refusal(bring, MATERIALS, content)
    assert NOT_AVAILABLE in found
    assert LOST in found


def test_a_formula_whose_value_is_an_empty_text_is_empty(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    content = write_book(PRICES, [11, "=IF(1,,)", 3])
    content = edited(content, b'<c r="B2"><f>', b'<c r="B2" t="str"><f>')
    bring(MATERIALS, content, name="libro.xlsx")
    assert lakehouse.scan_table(MATERIALS).filter(material=11).collect()[
        "description"
    ].to_list() == [None]


def test_an_error_in_a_column_that_nobody_asked_for_is_left_alone(bring: Bring) -> None:
    assert (
        bring(
            MATERIALS, write_book([*PRICES, "nota"], [11, "x", 3, "#N/A"]), name="libro.xlsx"
        ).rows_rejected
        == 0
    )


def test_an_id_that_excel_has_altered_is_refused(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    lines: list[list[object]] = [
        ["material", "ean"],
        [11, 7501234567890123],
        [12, "7501234567890123"],
        [13, 750123456789012],
    ]
    message = refusal(bring, MATERIALS, write_book(*lines))
    assert message == (
        "fila 2, ean «7501234567890123» Excel ya perdió cifras de este número: guárdelo como texto."
    )
    bring(MATERIALS, write_book(lines[0], *lines[2:]), name="libro.xlsx")
    eans = lakehouse.scan_table(MATERIALS).sort("material").collect()["ean"].drop_nulls().to_list()
    assert eans == [7501234567890123, 750123456789012]


@pytest.mark.parametrize("blank", [0, 2])
def test_a_date_that_shows_as_a_number_is_a_date(
    bring: Bring, lakehouse: DeltaLakehouse, blank: int
) -> None:
    left: list[object] = [None] * blank
    moment = dt.datetime(2024, 1, 31, 13, 5)  # noqa: DTZ001  # a workbook's moments know no time zone
    lines: list[list[object]] = [
        [1, 11, 1, 45322],
        [1, 12, 1, 45322.75],
        [1, 13, 1, moment],
        [1, 14, 1, "31/01/2024"],
    ]
    bring(
        STOCK, write_book([*left, *STOCKS], *([*left, *line] for line in lines)), name="libro.xlsx"
    )
    assert (
        lakehouse.scan_table(STOCK).collect()["counted_on"].to_list() == [dt.date(2024, 1, 31)] * 4
    )


def test_a_date_counts_from_the_day_that_the_workbook_says(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(STOCKS)
    book.active.append([1, 11, 1, 45322 - 1462])
    bring(STOCK, save_book(book), name="libro.xlsx")
    assert lakehouse.scan_table(STOCK).collect()["counted_on"].to_list() == [dt.date(2024, 1, 31)]


def test_a_number_written_as_text_is_no_date(bring: Bring) -> None:
    message = refusal(bring, STOCK, write_book(STOCKS, [1, 11, 1, "45322"], [1, 12, 1, 45322]))
    assert message.startswith(
        "fila 2, fecha «45322» parece el número con que Excel guarda una fecha: "
    )
    assert "fila 3" not in message


def test_a_year_is_no_date(bring: Bring) -> None:
    assert "es anterior a 2000-01-01" in refusal(bring, STOCK, write_book(STOCKS, [1, 11, 1, 2024]))


def test_empty_cells_may_come_from_merged_ones(bring: Bring) -> None:
    lines: list[Sequence[object]] = [STOCKS, [1, 11, 1], [None, 12, 1]]
    content = write_book(*lines, also=lambda sheet: sheet.merge_cells("A2:A3"))
    assert refusal(bring, STOCK, content) == (
        "fila 3, mostrador: la celda está vacía (¿celdas combinadas?): escriba un valor."
    )
    assert (
        refusal(bring, STOCK, write_book(*lines))
        == "fila 3, mostrador: la celda está vacía: escriba un valor."
    )


SALES: list[list[object]] = [["mostrador", "material", "fecha", "piezas"], [1, 11, "2024-01-31", 2]]


def test_the_sheet_with_the_headings_is_read(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    content = sheets(
        Portada=[["Ventas"]], Nada=[], Datos=SALES, Notas=[["mostrador", "nota"], [1, "x"]]
    )
    bring(SELLOUT, content, name="libro.xlsx")
    assert lakehouse.scan_table(SELLOUT).collect()["units"].to_list() == [2]


def test_where_no_sheet_has_them_the_first_is_spoken_of(bring: Bring) -> None:
    with pytest.raises(
        MissingColumnError, match=r"A la hoja «Portada» de libro\.xlsx le falta «mostrador»"
    ):
        bring(
            SELLOUT,
            sheets(Nada=[], Portada=[["Ventas"]], Otra=[["mostrador"], [1]]),
            name="libro.xlsx",
        )


def test_two_sheets_with_the_headings_are_refused(bring: Bring) -> None:
    with pytest.raises(
        InvalidInputError, match="2 hojas con los encabezados que se buscan: «enero», «febrero»"
    ) as caught:
        bring(SELLOUT, sheets(enero=SALES, otra=[["x"]], febrero=SALES), name="libro.xlsx")
    assert caught.value.hint == "Deje una sola hoja con esos encabezados."


def test_headings_further_down_are_pointed_at(bring: Bring) -> None:
    for content in (
        write_book(["Ventas"], [], *SALES),
        sheets(Uno=[["Ventas"], [], *SALES], Dos=[["x"]]),
    ):
        with pytest.raises(MissingColumnError) as caught:
            bring(SELLOUT, content, name="libro.xlsx")
        assert (
            caught.value.hint == "Los encabezados parecen estar en la fila 3: borre las de arriba."
        )


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("<!-- {} -->", 0),
        ("<!--><c>{}-->", 0),
        ("<!----><!-- <![CDATA[ -->{}", 1),
        ("<![CDATA[ <!-- ]]>{}", 1),
        ("<![CDATA[{}]]>", 0),
    ],
)
def test_what_is_not_parsed_has_no_cells(tmp_path: Path, written: str, found: int) -> None:
    error = '<c r="A3" t="e"><v>#N/A</v></c>'
    odd = oddities(
        tmp_path, f'<row r="1"><c r="A1"><v>1</v></c></row>{written.format(f"<row>{error}</row>")}'
    )
    assert len(odd) == found


@pytest.mark.usefixtures("part")
def test_a_value_may_be_a_section_of_characters(tmp_path: Path) -> None:
    (odd,) = oddities(tmp_path, '<row r="1"><c r="A1" t="e"><v><![CDATA[<#N/A>&]]>]</v></c></row>')
    assert odd.text == "<#N/A>&]"


@given(
    st.lists(
        st.sampled_from(["<!--", "-->", "<![CDATA[", "]]>", "<c>", "<", "!", "-", "]", "&", "é"])
    ),
    st.integers(1, 9),
)
def test_where_the_text_is_cut_means_nothing(words: list[str], size: int) -> None:
    text = "".join(words).encode()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert b"".join(sheet_xml._parsed_text(chunks)) == b"".join(sheet_xml._parsed_text([text]))


OPENED_BYTES = 400_000
"""So many that reading on to their end from each opening would take many minutes."""


@pytest.mark.parametrize(
    "opening",
    ["<c>", "<c ", "<c><v ", "<c><f ", "<c><v>", "a", " a", "<c a=", "<c a='", "<a:", "<!--",
     "<![CDATA["],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "<c {}>", "<!-- {} -->"])
def test_what_opens_and_never_closes_is_read_once(
    tmp_path: Path, opening: str, around: str
) -> None:
    began = time.process_time()
    oddities(
        tmp_path,
        '<row r="1"><c r="A1" t="e"><v/></c>'
        + around.format(opening * (OPENED_BYTES // len(opening)))
        + "</row>",
    )
    assert time.process_time() - began < 60


def test_a_switch_with_an_error_is_not_its_default(bring: Bring) -> None:
    content = write_book(["mostrador", "incluye_otc"], [1, "#N/A"])
    assert NOT_AVAILABLE in refusal(bring, CONFIGURATIONS, content)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (0x0205, struct.pack("<3H2B", 1, 2, 0, 0x2A, 1)),
        (0x0006, struct.pack("<3H6BH8x", 1, 2, 0, 2, 0, 0x2A, 0, 0, 0, 0xFFFF)),
    ],
)
def test_an_error_of_an_old_workbook_empties_no_cell(kind: int, data: bytes, bring: Bring) -> None:
    lines = [PRICES, ["11", "x"], ["12", "y", "3"]]
    cells = {(n, m): text for n, line in enumerate(lines) for m, text in enumerate(line)}
    content = build_xls(cells, (0, 3, 0, 3), others=[(kind, data)])
    with pytest.raises(RejectedRowsError) as caught:
        bring(MATERIALS, content, name="libro.xls")
    assert f"ninguno: fila 2, precio «#N/A» {NOT_AVAILABLE}." in caught.value.message


def test_a_boolean_of_an_old_workbook_is_no_error(bring: Bring) -> None:
    cells = {(0, place): heading for place, heading in enumerate(PRICES)} | {(1, 0): "11"}
    true = (0x0205, struct.pack("<3H2B", 1, 1, 0, 1, 0))
    content = build_xls(cells, (0, 2, 0, 3), others=[true])
    assert bring(MATERIALS, content, name="libro.xls").rows_accepted == 1


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_a_category_that_a_file_stores_as_a_number_is_its_digits(
    bring: Bring, lakehouse: DeltaLakehouse, kind: str
) -> None:
    """11.0 is no delicate group; 11 is."""
    categories = [11.0, 22.0, 1.5]
    if kind == "xlsx":
        lines = [(11 + n, category) for n, category in enumerate(categories)]
        content = write_book(("material", "categoria"), *lines)
    else:
        stream = io.BytesIO()
        frame = pl.DataFrame({"material": [11, 12, 13], "categoria": categories})
        frame.write_parquet(stream)
        content = stream.getvalue()
    bring(MATERIALS, content, name=f"datos.{kind}")
    stored = lakehouse.scan_table(MATERIALS).filter(pl.col("category").is_not_null())
    assert stored.sort("material").collect()["category"].to_list() == ["11", "22", "1.5"]


def test_the_sheet_is_the_one_with_what_a_table_cannot_do_without(tmp_path: Path) -> None:
    """Not the first, and not only one that has every optional column as well."""
    file = tmp_path / "libro.xlsx"
    needed = [[column.label for column in MATERIALS.columns if column.required]]
    file.write_bytes(sheets(notas=[["Catálogo de enero"]], datos=needed, otra=[["Pendientes"]]))
    assert [*read_cells(file, tmp_path, MATERIALS.columns).headings] == needed[0]
