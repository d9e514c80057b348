"""What is scanned from the bytes of a sheet is what its XML says, however it is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.formats.cell_reference import column_letters
from ipp.formats.intake import sheet_xml
from ipp.formats.intake.cell_scan import scan_cells
from ipp.formats.intake.sheet_extent import SheetOutline

FLAWED = ['t="e"><v>#N/A</v></c>', "><f>1+1</f></c>", "><f>1+1</f><v></v></c>", '><f si="0"/></c>']
SOUND = [
    "><v>1</v></c>", "/>", 't="n"><v>1.5</v></c>', 't="s"><v>0</v></c>', 't="b"><v>1</v></c>',
    't="inlineStr"><is><t>x</t></is></c>', 't="str"><f>A1</f><v>x</v></c>',
    "><f>1+1</f><v>2</v></c>", 't="d"><v>2026-01-31</v></c>',
]  # fmt: skip
STYLES = st.sampled_from(["", ' s="0"', ' s="12345"'])
PLACES = st.tuples(st.integers(1, 1_048_576), st.integers(0, 16_383))
BODIES = st.sampled_from([*SOUND, *FLAWED])
CELLS = st.lists(st.tuples(PLACES, STYLES, BODIES), max_size=8, unique_by=lambda cell: cell[0])
CUTS = st.lists(st.integers(0, 400), max_size=6)


def cell_xml(place: tuple[int, int], style: str, body: str) -> str:
    space = "" if body[0] in "/>" else " "
    return f'<row><c r="{column_letters(place[1])}{place[0]}"{style}{space}{body}</row>'


@given(CELLS)
def test_cells_are_where_the_xml_says_and_of_its_type(
    cells: list[tuple[tuple[int, int], str, str]],
) -> None:
    text = "".join(itertools.starmap(cell_xml, cells)).encode()
    scan = scan_cells(text)
    assert scan is not None
    parsed = [*sheet_xml._parse_cells(text)]
    assert scan.rows.tolist() == [cell.row for cell in parsed]
    assert scan.columns.tolist() == [cell.column for cell in parsed]
    assert scan.numeric.tolist() == [cell.kind in {"", "n"} for cell in parsed]
    if not scan.doubtful:
        assert not any(cell.unusable for cell in parsed)


@pytest.mark.parametrize("style", ["", ' s="7"'])
@pytest.mark.parametrize("body", [body for body in SOUND if "<f>1" not in body])
def test_what_common_programs_write_is_not_doubted(style: str, body: str) -> None:
    scan = scan_cells(cell_xml((2, 3), style, body).encode())
    assert scan is not None
    assert not scan.doubtful


@given(CELLS, CUTS)
def test_how_the_text_is_cut_makes_no_difference(
    cells: list[tuple[tuple[int, int], str, str]], cuts: list[int]
) -> None:
    rows = "".join(itertools.starmap(cell_xml, cells))
    text = f"<worksheet><sheetData>{rows}</sheetData><mergeCell /></worksheet>".encode()
    whole, pieces = SheetOutline(), SheetOutline()
    whole.feed(text)
    for first, last in itertools.pairwise([0, *sorted(cuts), len(text)]):
        pieces.feed(text[first:last])
    for outline in (whole, pieces):
        outline.finish()
        assert outline.merged
    assert whole.area == pieces.area
    assert whole.doubtful == pieces.doubtful
    for (row, column), _, _ in cells:
        for top in (row - 1, row):
            numbers = whole.has_only_numbers(column, top)
            assert numbers == pieces.has_only_numbers(column, top)


def test_a_column_with_a_text_below_its_heading_has_not_only_numbers() -> None:
    outline = SheetOutline()
    text = cell_xml((1, 0), "", 't="s"><v>0</v></c>') + cell_xml((2, 0), "", "><v>1</v></c>")
    outline.feed(f"<sheetData>{text}".encode())
    outline.feed(cell_xml((3, 1), "", 't="str"><v>x</v></c>').encode())
    outline.finish()
    assert outline.has_only_numbers(0, 1)
    assert not outline.has_only_numbers(0, 0)
    assert not outline.has_only_numbers(1, 2)
