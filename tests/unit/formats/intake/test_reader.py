"""Which files can be read, and what is said of the others."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ipp.core.tables import COUNTERS, SELLOUT, STOCK
from ipp.errors import InvalidInputError, MissingColumnError, UnreadableFileError
from ipp.formats.intake.file_reader import ROW_COLUMN, cell_column, read_cells
from ipp.formats.intake.table_import import ImportReport
from tests.books import write_book

Bring = Callable[..., ImportReport]


def rows(file: Path, tmp_path: Path) -> list[tuple[object, ...]]:
    cells = read_cells(file, tmp_path)
    columns = [cell_column(position) for position in range(len(cells.headings))]
    return cells.frame.select(ROW_COLUMN, *columns).collect().rows()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_are_numbered_as_a_person_sees_them(tmp_path: Path, end: str) -> None:
    file = tmp_path / "datos.csv"
    lines = ["", "a,b", "1,2", "", ",", '"x', 'y",3', "4,5", ""]
    file.write_text(end.join(lines), encoding="utf-8", newline="")
    numbers = {first: row for row, first, _ in rows(file, tmp_path) if first}
    assert numbers == {"1": 3, f"x{end}y": 6, "4": 7}


def test_rows_of_a_workbook_are_numbered_as_a_person_sees_them(tmp_path: Path) -> None:
    file = tmp_path / "datos.xlsx"
    file.write_bytes(write_book([], ["a", "b"], ["1", 2], [], [None, 4.5]))
    assert [row for row in rows(file, tmp_path) if any(row[1:])] == [
        (3, "1", "2"),
        (5, None, "4.5"),
    ]


def archive_of(name: str) -> bytes:
    """An archive with one file in it, which is no workbook."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "mostrador,cp\n1,2\n")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "a.csv está vacío"),
        ("a.xlsx", b"", "a.xlsx está vacío"),
        ("a.csv", b"\n \n", "a.csv no tiene encabezados"),
        ("a.csv", b"mostrador,cp\n", "a.csv sólo tiene encabezados"),
        ("a.csv", b"mostrador,cp", "a.csv sólo tiene encabezados"),
        ("a.csv", b"mostrador,cp\n\n , \n", "a.csv sólo tiene encabezados"),
        ("a.xlsx", b"mostrador,cp\n1,2\n", "a.xlsx no es un libro de Excel"),
        ("a.xlsx", b"PK\x03\x04 cut off", "No se puede leer a.xlsx: el libro está incompleto"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
         "No se puede leer a.xls: parece un .xls antiguo o tiene contraseña."),
        ("a.parquet", b"mostrador,cp\n1,2\n", "a.parquet no es un archivo Parquet"),
        ("a.parquet", b"PAR1 cut off", "No se puede leer a.parquet: el archivo está incompleto"),
        ("a.csv", b"PK\x03\x04", "a.csv no es un archivo CSV"),
        ("a.csv", b"mostrador,cp\n1,2\0\n", "a.csv no es un texto"),
        ("a.csv", b"mostrador,nombre,cp\n1,\x81,2\n", "a.csv no es un texto"),
        ("a.csv", b'mostrador,cp\n1,"2\n3,4\n', "No se puede leer a.csv"),
        ("a.json", b'\xef\xbb\xbf {"a": 1,\n "b": 2}', "a.json es un JSON, que no se lee"),
        ("a.csv", b'[{"mostrador": 1}]', "a.csv es un JSON"),
        ("a.fods", b'<?xml version="1.0"?>\n<office:document/>', "a.fods es una página web"),
        ("a.html", b"\n<html><table>", "a.html es una página web o un XML"),
        ("a.pdf", b"%PDF-1.7\n", "a.pdf es un PDF"),
        ("a.csv.gz", b"\x1f\x8b\x08\0\0", "a.csv.gz es un archivo comprimido"),
        ("a.zip", archive_of("tabla.csv"),
         "No se puede leer a.zip: es un archivo comprimido y no un libro"),
        ("a.txt", b"mostrador|cp\n1|2\n", "a.txt separa sus celdas con «|»"),
        ("a.xlsx", write_book(), "a.xlsx no tiene encabezados"),
        ("a.xlsx", write_book(["mostrador", "cp"]), "a.xlsx sólo tiene encabezados"),
    ],
)  # fmt: skip
def test_what_holds_no_table_is_told_apart(
    bring: Bring, name: str, content: bytes, says: str
) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        bring(COUNTERS, content, name=name)
    assert caught.value.message.startswith(says)
    assert caught.value.hint


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="es una carpeta"):
        read_cells(tmp_path, tmp_path)
    with pytest.raises(UnreadableFileError, match=r"No existe el archivo .*nada\.csv"):
        read_cells(tmp_path / "nada.csv", tmp_path)


def test_a_missing_column_is_named_beside_those_found(bring: Bring) -> None:
    with pytest.raises(MissingColumnError) as caught:
        bring(SELLOUT, "Cliente,Material,Color\n1,11,rojo\n")
    assert caught.value.message == (
        "A datos.csv le falta «fecha», «piezas». Encabezados encontrados: «Cliente», «Material», "
        "«Color»."
    )
    assert "piezas se acepta también como unidades o cantidad" in caught.value.hint


def test_two_headings_for_one_column_are_refused(bring: Bring) -> None:
    with pytest.raises(
        InvalidInputError, match="«SKU» y «Material» son la misma columna, material"
    ):
        bring(STOCK, "mostrador,SKU,Material,stock\n1,11,11,3\n")
