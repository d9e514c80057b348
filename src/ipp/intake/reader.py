"""A file of any accepted kind, as rows of raw cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import fastexcel
import polars as pl

from ipp.errors import UnreadableFileError

ROW: Final = "#fila"
"""Column with a row's number as a person sees it: the heading is row 1."""

EXCESS: Final = "#sobrante"
"""Column with the first cell of a row that has no heading above it; null where there is none."""

_WORKBOOK: Final = "libro de Excel"
_PARQUET: Final = "archivo Parquet"
_TEXT: Final = "archivo CSV"
_SUFFIXES: Final = {
    ".xlsx": _WORKBOOK, ".xlsm": _WORKBOOK, ".xls": _WORKBOOK, ".parquet": _PARQUET, ".csv": _TEXT,
}  # fmt: skip
_MAGIC: Final = {b"PK\x03\x04": _WORKBOOK, b"\xd0\xcf\x11\xe0": _WORKBOOK, b"PAR1": _PARQUET}
_CHUNK: Final = 1 << 22
"""Characters or bytes of a text looked at together."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The raw cells of a file.

    ``frame`` has `ROW`, `EXCESS` and one column for each of ``headings``, named by `cell`. ``comma`` tells
    that the file separates its cells with semicolons, so a comma in a number is the decimal one.
    """

    headings: tuple[str, ...]
    frame: pl.LazyFrame
    comma: bool = False


def cell(position: int) -> str:
    """Name of the column of `Cells.frame` under the heading at ``position``, from 0."""
    return f"#{position}"


def read_cells(file: Path, scratch: Path) -> Cells:
    """Open ``file`` by its content; a text that is not UTF-8 is rewritten into the folder ``scratch``.

    Raises `UnreadableFileError` where there is no file, it is not what its name says, or it holds no table.
    """
    kind = _kind(file)
    with readable(file):
        if kind == _WORKBOOK:
            return _workbook(file)
        if kind == _PARQUET:
            return _parquet(file)
        return _text(file, scratch)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Say in people's words that ``file`` turned out to be damaged while it was read."""
    try:
        yield
    except (pl.exceptions.PolarsError, fastexcel.FastExcelError, csv.Error) as error:
        detail = str(error).strip().splitlines() or [""]
        raise UnreadableFileError(
            f"No se puede leer {file.name}: está dañado o no es una tabla ({detail[0][:200]}).",
            hint="Ábralo, revise que las comillas estén en pares y guárdelo otra vez como CSV UTF-8 o .xlsx.",
        ) from error


def _kind(file: Path) -> str:
    if file.is_dir():
        raise UnreadableFileError(f"{file} es una carpeta.", hint="Indique un archivo dentro de ella.")
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
    except FileNotFoundError as error:
        raise UnreadableFileError(f"No existe el archivo {file}.", hint="Revise el nombre y la carpeta.") from error
    except OSError as error:
        raise UnreadableFileError(
            f"No se puede abrir {file}: {error.strerror}.",
            hint="Ciérrelo en otros programas y revise sus permisos.",
        ) from error
    if not start:
        raise UnreadableFileError(f"{file.name} está vacío.", hint="Guarde en él los encabezados y los datos.")
    kind = _MAGIC.get(start, _TEXT)
    expected = _SUFFIXES.get(file.suffix.lower(), kind)
    if kind != expected:
        raise UnreadableFileError(
            f"{file.name} no es un {expected}: su contenido es de otro tipo.",
            hint=f"Guárdelo de nuevo como {expected} o corrija la terminación de su nombre.",
        )
    return kind


def _no_table(file: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.name} no tiene encabezados ni datos.", hint="Ponga los encabezados en la primera fila."
    )


def _workbook(file: Path) -> Cells:
    """Read the first sheet; its first row with anything in it is the heading."""
    book = fastexcel.read_excel(file)
    sheet = book.load_sheet(0, header_row=None, skip_rows=0, dtypes="string").to_polars()
    top = next((row for row, cells in enumerate(sheet.iter_rows()) if any(cells)), None)
    if top is None:
        raise _no_table(file)
    headings = tuple(heading or "" for heading in sheet.row(top))
    body = sheet.slice(top + 1)
    body.columns = [cell(position) for position in range(body.width)]
    frame = body.with_row_index(ROW, offset=top + 2).with_columns(pl.lit(None, pl.String).alias(EXCESS))
    return Cells(headings, frame.lazy())


def _parquet(file: Path) -> Cells:
    frame = pl.scan_parquet(
        file, glob=False, hive_partitioning=False, row_index_name=ROW, row_index_offset=2
    )  # fmt: skip
    headings = tuple(frame.collect_schema().names()[1:])
    renaming = {heading: cell(position) for position, heading in enumerate(headings)}
    return Cells(headings, frame.rename(renaming).with_columns(pl.lit(None, pl.String).alias(EXCESS)))


def _text(file: Path, scratch: Path) -> Cells:
    source = file if _is_utf8(file) else _transcode(file, scratch / "texto.csv")
    headings, row, lines, separator = _heading(file, source)
    names = [*(cell(position) for position in range(len(headings))), EXCESS]
    frame = pl.scan_csv(
        source, separator=separator, has_header=False, skip_lines=lines,
        schema=dict.fromkeys(names, pl.String()), missing_columns="insert", extra_columns="ignore",
        raise_if_empty=False, glob=False, row_index_name=ROW, row_index_offset=row + 1,
    )  # fmt: skip
    return Cells(headings, frame, comma=separator == ";")


def _heading(file: Path, source: Path) -> tuple[tuple[str, ...], int, int, str]:
    """Give the headings of a text, their row, the lines up to their end, and the separator."""
    with source.open(encoding="utf-8-sig", newline="") as stream:
        first = next((line for line in stream if line.strip()), "")
        separator = max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        stream.seek(0)
        records = csv.reader(stream, delimiter=separator)
        for row, record in enumerate(records, start=1):
            if any(heading.strip() for heading in record):
                return tuple(record), row, records.line_num, separator
    raise _no_table(file)


def _is_utf8(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            while chunk := stream.read(_CHUNK):
                if "\0" in chunk:
                    raise _not_text(file)
    except UnicodeDecodeError:
        return False
    return True


def _transcode(file: Path, target: Path) -> Path:
    """Rewrite a text of Excel for Windows in UTF-8, a bounded part at a time."""
    try:
        with (
            file.open(encoding="cp1252", newline="") as old,
            target.open("w", encoding="utf-8", newline="") as new,
        ):
            while chunk := old.read(_CHUNK):
                if "\0" in chunk:
                    raise _not_text(file)
                new.write(chunk)
    except UnicodeDecodeError as error:
        raise _not_text(file) from error
    return target


def _not_text(file: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{file.name} no es un texto que se pueda leer.",
        hint="Guárdelo desde Excel como CSV UTF-8 o como .xlsx.",
    )
