"""Read a file of any accepted format as rows of raw cells."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ipp.core.contract import Column
from ipp.errors import UnreadableFileError, describe_os_error
from ipp.formats.intake.csv_file import read_csv
from ipp.formats.intake.excel_sheet import read_sheet
from ipp.formats.intake.parquet_file import read_parquet
from ipp.formats.intake.raw_cell import (
    EXCESS_COLUMN,
    ROW_COLUMN,
    ExpectedColumns,
    RawCells,
    cell_column,
)
from ipp.formats.intake.read_error import (
    KIND_BY_SIGNATURE,
    PARQUET_KIND,
    TEXT_KIND,
    WORKBOOK_KIND,
    translate_read_errors,
)

__all__ = [
    "EXCESS_COLUMN",
    "ROW_COLUMN",
    "RawCells",
    "cell_column",
    "read_cells",
    "translate_read_errors",
]

_KIND_BY_SUFFIX: Final = {
    ".xlsx": WORKBOOK_KIND,
    ".xlsm": WORKBOOK_KIND,
    ".xls": WORKBOOK_KIND,
    ".parquet": PARQUET_KIND,
    ".csv": TEXT_KIND,
}


_START_BYTES: Final = 64

_UNREAD_STARTS: Final = (
    (b"%PDF", "un PDF"),
    (b"\x1f\x8b", "un archivo comprimido (.gz)"),
    (b"{\\rtf", "un documento de Word (.rtf)"),
    (b"{", "un JSON"),
    (b"[{", "un JSON"),
    (b"[[", "un JSON"),
    (b"<", "una página web o un XML"),
    (b"MIME-Version", "una página web (.mht)"),
)
"""How files of other kinds begin, after a byte-order mark and spaces, and what they are."""


def read_cells(
    file: Path,
    scratch: Path,
    columns: Sequence[Column] = (),
    needed: Sequence[Column] | None = None,
) -> RawCells:
    """Read ``file`` in the format of its content.

    A text that is not UTF-8 is rewritten into the folder ``scratch``. ``columns`` are those that
    the caller will read. ``needed`` identifies the right sheet of a workbook, and defaults to the
    required columns without a default; where no sheet has them, the first non-empty one is read.

    Raises `UnreadableFileError` where there is no file, its content does not match its extension,
    or it holds no table; `MissingColumnError` where the headings are below the first row;
    `InvalidInputError` where several sheets have the needed columns.
    """
    if needed is None:
        needed = [column for column in columns if column.required and column.default is None]
    expected = ExpectedColumns(columns, needed)
    kind = _detect_kind(file)
    with translate_read_errors(file):
        if kind == WORKBOOK_KIND:
            return read_sheet(file, expected)
        if kind == PARQUET_KIND:
            return read_parquet(file, expected)
        return read_csv(file, scratch, expected)


def _detect_kind(file: Path) -> str:
    if file.is_dir():
        raise UnreadableFileError(
            f"{file} es una carpeta.", hint="Indique un archivo dentro de ella."
        )
    try:
        with file.open("rb") as stream:
            start = stream.read(_START_BYTES)
    except FileNotFoundError as error:
        raise UnreadableFileError(
            f"No existe el archivo {file}.", hint="Revise el nombre y la carpeta."
        ) from error
    except OSError as error:
        raise UnreadableFileError(
            f"No se puede abrir {file}: {describe_os_error(error)}.",
            hint="Ciérrelo en otros programas y revise sus permisos.",
        ) from error
    if not start:
        raise UnreadableFileError(
            f"{file.name} está vacío.", hint="Guarde en él los encabezados y los datos."
        )
    kind = KIND_BY_SIGNATURE.get(start[:4], TEXT_KIND)
    expected = _KIND_BY_SUFFIX.get(file.suffix.lower(), kind)
    if kind != expected:
        raise UnreadableFileError(
            f"{file.name} no es un {expected}: su contenido es de otro tipo.",
            hint=f"Guárdelo de nuevo como {expected} o corrija la terminación de su nombre.",
        )
    if kind == TEXT_KIND:
        _check_start(file, start)
    return kind


def _check_start(file: Path, start: bytes) -> None:
    """Raise `UnreadableFileError` for a text that is not a table, or no text."""
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    what = next((what for sign, what in _UNREAD_STARTS if text.startswith(sign)), None)
    if what is not None:
        raise UnreadableFileError(
            f"{file.name} es {what}, que no se lee.",
            hint="Guarde la tabla como .xlsx, CSV UTF-8 o Parquet.",
        )
