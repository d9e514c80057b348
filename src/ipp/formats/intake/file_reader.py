"""A file of any accepted kind, as rows of raw cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column
from ipp.errors import UnreadableFileError, reason_of
from ipp.formats.intake.csv_file import read_text
from ipp.formats.intake.excel_sheet import read_sheet
from ipp.formats.intake.raw_cell import EXCESS, ROW, Cells, Wanted, cell
from ipp.formats.intake.read_error import MAGIC, PARQUET, TEXT, WORKBOOK, readable

__all__ = ["EXCESS", "ROW", "Cells", "cell", "read_cells", "readable"]

_SUFFIXES: Final = {
    ".xlsx": WORKBOOK, ".xlsm": WORKBOOK, ".xls": WORKBOOK, ".parquet": PARQUET, ".csv": TEXT,
}  # fmt: skip


def read_cells(
    file: Path, scratch: Path, columns: Sequence[Column] = (), needed: Sequence[Column] | None = None
) -> Cells:
    """Open ``file`` by its content; a text that is not UTF-8 is rewritten into the folder ``scratch``.

    ``columns`` are those that somebody is going to read; ``needed``, which are the required ones without a
    default where it is left out, tell the right sheet of a workbook from the others. Where no sheet has them
    it is the first that has anything.

    Raises `UnreadableFileError` where there is no file, it is not what its name says, or it holds no table;
    `MissingColumnError` where the headings stand further down; `InvalidInputError` where several sheets have
    the needed columns.
    """
    if needed is None:
        needed = [column for column in columns if column.required and column.default is None]
    wanted = Wanted(columns, needed)
    kind = _kind(file)
    with readable(file):
        if kind == WORKBOOK:
            return read_sheet(file, wanted)
        if kind == PARQUET:
            return _parquet(file)
        return read_text(file, scratch, wanted)


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
            f"No se puede abrir {file}: {reason_of(error)}.",
            hint="Ciérrelo en otros programas y revise sus permisos.",
        ) from error
    if not start:
        raise UnreadableFileError(f"{file.name} está vacío.", hint="Guarde en él los encabezados y los datos.")
    kind = MAGIC.get(start, TEXT)
    expected = _SUFFIXES.get(file.suffix.lower(), kind)
    if kind != expected:
        raise UnreadableFileError(
            f"{file.name} no es un {expected}: su contenido es de otro tipo.",
            hint=f"Guárdelo de nuevo como {expected} o corrija la terminación de su nombre.",
        )
    return kind


def _parquet(file: Path) -> Cells:
    frame = pl.scan_parquet(
        file, glob=False, hive_partitioning=False, row_index_name=ROW, row_index_offset=2
    )  # fmt: skip
    headings = tuple(frame.collect_schema().names()[1:])
    renaming = {heading: cell(position) for position, heading in enumerate(headings)}
    return Cells(headings, frame.rename(renaming).with_columns(pl.lit(None, pl.String).alias(EXCESS)))
