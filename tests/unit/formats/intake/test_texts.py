"""Separated texts as they come: quotes that mean inches, Excel's variants, headings below."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipp.core.tables import COUNTERS, MATERIALS, SELLOUT
from ipp.errors import InvalidInputError, MissingColumnError, RejectedRowsError, UnreadableFileError
from ipp.formats.intake import csv_file
from ipp.formats.intake.file_reader import ROW_COLUMN, cell_column, read_cells
from ipp.formats.intake.table_import import ImportReport
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Bring = Callable[..., ImportReport]

HEADING = "material;descripcion;precio\n"


def descriptions(lakehouse: DeltaLakehouse) -> list[str]:
    rows = (
        lakehouse.scan_table(MATERIALS)
        .filter(pl.col("description").is_not_null())
        .sort("material")
        .collect()
    )
    return rows["description"].to_list()


@pytest.fixture(params=[1, 2, 3, 1 << 22])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at so many bytes together: where a part of the text ends means nothing."""
    monkeypatch.setattr(csv_file, "_CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("chunk")
def test_an_inch_mark_is_a_letter_where_no_cell_is_quoted(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    bring(MATERIALS, HEADING + '11;TUBO 3" NARIZ;5\n12;x;6\n13;TUBO 4";7\n14;EL "BUENO";8\n')
    assert descriptions(lakehouse) == ['TUBO 3" NARIZ', "x", 'TUBO 4"', 'EL "BUENO"']


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_quoted_cells_may_hold_anything(
    bring: Bring, lakehouse: DeltaLakehouse, start: str
) -> None:
    lines = (
        '"material";"descripcion";precio\r\n11;"TUBO 3"" NARIZ";5\r\n12;"a;b";6\r\n'
        '13;"""c""";"7"\r\n14;"";"8"'
    )
    bring(MATERIALS, start + lines)
    assert descriptions(lakehouse) == ['TUBO 3" NARIZ', "a;b", '"c"']


cells_written = st.text(alphabet='ab"\n,;\r 1é', max_size=6).filter(
    lambda text: not text or bool(text.strip())
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(st.tuples(cells_written, cells_written, st.just("z")), min_size=1, max_size=8),
    separator=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_by_the_rules_reads_back(
    tmp_path: Path, lines: list[tuple[str, str, str]], separator: str, quoting: Literal[0, 1]
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator, quoting=quoting).writerows([("x", "y", "z"), *lines])
    file = tmp_path / "ventas[1].csv"
    file.write_text(stream.getvalue(), encoding="utf-8", newline="")
    read = (
        read_cells(file, tmp_path)
        .frame.select(cell_column(0), cell_column(1), cell_column(2))
        .collect()
        .fill_null("")
    )
    assert read.rows() == lines


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    ("lines", "row"),
    [
        ('11;"a";5\n12;TUBO 3" NARIZ;5\n', 3),
        ('11;"a";5\n12;TUBO 3";5\n13;x;1\n14;TUBO 4";5\n', 3),
        ('11;"a\nb";5\n12;TUBO 3" NARIZ;5\n13;"c";2\n', 3),
        ('11;"a;5\n12;b;5\n', 2),
        ('11;b;5\n12;"a;5\n13;"c";5\n', 3),
        ('11;"TUBO 3" NARIZ";5\n', 2),
    ],
)
def test_the_row_of_a_quote_without_its_pair_is_named(bring: Bring, lines: str, row: int) -> None:
    for start in ("", "sep=;\n"):
        with pytest.raises(
            UnreadableFileError, match=f"en la fila {row} hay una comilla sin pareja"
        ) as caught:
            bring(MATERIALS, start + HEADING + lines)
        assert '"TUBO 3"" NARIZ"' in caught.value.hint


@pytest.mark.usefixtures("chunk")
def test_the_first_of_several_quotes_without_a_pair_is_named(bring: Bring) -> None:
    with pytest.raises(UnreadableFileError, match="en la fila 1 hay una comilla sin pareja"):
        bring(MATERIALS, '"mat"erial;descripcion;precio\n11;"b"c;5\n12;"d"e;5\n')


def test_the_line_that_names_the_separator_is_no_row(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("sep=|\r\na|b\r\n1|2,5\r\n", newline="")
    cells = read_cells(file, tmp_path)
    assert cells.headings == ("a", "b")
    assert cells.frame.select(ROW_COLUMN, cell_column(0), cell_column(1)).collect().rows() == [
        (2, "1", "2,5")
    ]


def test_a_text_of_unicode_that_is_cut_off_is_no_text(bring: Bring) -> None:
    with pytest.raises(UnreadableFileError, match="no es un texto"):
        bring(COUNTERS, "mostrador\tcp\n1\t6000\n".encode("utf-16")[:-1])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_text_with_a_character_zero_is_no_text(bring: Bring, encoding: str) -> None:
    with pytest.raises(UnreadableFileError, match="no es un texto"):
        bring(COUNTERS, "mostrador\tcp\tnombre\n1\t6000\tA\0ó\n".encode(encoding))


def test_lone_returns_end_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b'a,b\r1,"x,y"\r\r2,z')
    rows = (
        read_cells(file, tmp_path)
        .frame.select(ROW_COLUMN, cell_column(0), cell_column(1))
        .collect()
        .rows()
    )
    assert [row for row in rows if row[1]] == [(2, "1", "x,y"), (4, "2", "z")]


def test_headings_further_down_are_pointed_at(bring: Bring) -> None:
    with pytest.raises(MissingColumnError) as caught:
        bring(SELLOUT, "Ventas de enero\n\nmostrador,material,fecha,piezas\n1,11,2024-01-01,2\n")
    assert caught.value.message == "En datos.csv, la fila 1 no tiene ningún encabezado conocido."
    assert caught.value.hint == "Los encabezados parecen estar en la fila 3: borre las de arriba."


def test_headings_too_far_down_are_missing(bring: Bring) -> None:
    with pytest.raises(MissingColumnError, match="le falta «mostrador»"):
        bring(
            SELLOUT,
            "Ventas\n" + "x\n" * 19 + "mostrador,material,fecha,piezas\n1,11,2024-01-01,2\n",
        )


def test_a_file_that_may_not_be_opened_is_said_in_spanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a")

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidInputError, match="no hay permiso") as caught:
        read_cells(file, tmp_path)
    assert "denied" not in str(caught.value)


def test_a_cell_too_many_is_not_hidden_by_inch_marks(bring: Bring) -> None:
    with pytest.raises(RejectedRowsError, match="sobra «6»"):
        bring(MATERIALS, HEADING + '11;TUBO 3" NARIZ;5;6\n')


@pytest.mark.parametrize("line", ["11;x;5;", "11;x;5; ", "11;x;5;; ", "11;x;5;\t;\u00a0"])
def test_separators_too_many_at_the_end_of_a_row_lose_nothing(bring: Bring, line: str) -> None:
    assert bring(MATERIALS, HEADING + f"{line}\n12;y;6\n").rows_accepted == 2


def test_a_cell_too_many_is_found_behind_an_empty_one(bring: Bring) -> None:
    with pytest.raises(RejectedRowsError, match="fila 2: sobra «6»"):
        bring(MATERIALS, HEADING + "11;x;5; ;6\n12;y;6\n")
