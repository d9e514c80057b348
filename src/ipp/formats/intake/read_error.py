"""Translate read errors of libraries and the system into ours."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import fastexcel
import polars as pl

from ipp.errors import IppError, UnreadableFileError

WORKBOOK_KIND: Final = "libro de Excel"
PARQUET_KIND: Final = "archivo Parquet"
TEXT_KIND: Final = "archivo CSV"

OLE_SIGNATURE: Final = b"\xd0\xcf\x11\xe0"
"""The first bytes of an old .xls workbook, and of one with a password."""

KIND_BY_SIGNATURE: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": WORKBOOK_KIND,
    OLE_SIGNATURE: WORKBOOK_KIND,
    b"PAR1": PARQUET_KIND,
}

_PANIC_MODULE: Final = "pyo3_runtime"
_DISK_FULL_SIGNS: Final = ("os error 28", "No space left")


@contextmanager
def translate_read_errors(file: Path) -> Iterator[None]:
    """Translate the libraries' errors while ``file`` is read into ours.

    Raises `IppError` where the disk is full, else `UnreadableFileError`: the file is damaged.
    """
    try:
        yield
    except (
        pl.exceptions.PolarsError,
        fastexcel.FastExcelError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        if any(sign in str(error) for sign in _DISK_FULL_SIGNS):
            raise IppError(
                "No queda espacio en el disco.",
                hint="Libérelo y repita: los archivos temporales están en IPP_HOME/borradores.",
            ) from error
        raise _damaged_error(file) from error
    except BaseException as error:
        # Each library in Rust has a class of its own for its panics, which only Polars exports.
        if type(error).__module__ != _PANIC_MODULE:
            raise
        raise _damaged_error(file) from error


def _holds_no_book(file: Path) -> bool:
    """Return whether a whole archive has none of the parts that a workbook has."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.replace("\\", "/").lower() for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return not any(name.startswith("xl/") or name == "content.xml" for name in names)


def _damaged_error(file: Path) -> UnreadableFileError:
    start = b""
    with suppress(OSError), file.open("rb") as stream:
        start = stream.read(4)
    kind = KIND_BY_SIGNATURE.get(start, TEXT_KIND)
    if start == OLE_SIGNATURE:
        what = "parece un .xls antiguo o tiene contraseña"
        hint = "Ábralo en Excel, quítele la contraseña y guárdelo como .xlsx."
    elif kind == WORKBOOK_KIND and _holds_no_book(file):
        what = "es un archivo comprimido y no un libro de Excel"
        hint = "Extraiga de él la tabla e indíquela."
    elif kind == WORKBOOK_KIND:
        what = "el libro está incompleto o dañado"
        hint = "Ábralo en Excel y guárdelo otra vez como .xlsx."
    elif kind == PARQUET_KIND:
        what = "el archivo está incompleto o dañado, o tiene una columna de un tipo que no se lee"
        hint = "Cópielo o genérelo otra vez, con sus columnas como números, textos o fechas."
    else:
        what = "no se distinguen sus renglones y celdas"
        hint = "Revise que las comillas estén en pares y guárdelo otra vez como CSV UTF-8 o .xlsx."
    return UnreadableFileError(f"No se puede leer {file.name}: {what}.", hint=hint)
