"""Files that a browser sends."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Final

from fastapi import UploadFile

from ipp.errors import InvalidInputError
from ipp.formats.intake.zip_archive import OversizedArchiveError, inflate_parts

LARGEST: Final = 8 * 2**20
"""Bytes of the largest file; a list or the configurations of 10,000 mostradores take a tenth of them."""

LARGEST_OPEN: Final = 32 * LARGEST
"""Bytes of what a workbook, which is a zip, holds: one full of repetitions would be a thousand times its size."""

_ODD: Final = re.compile(r"[^\w.() -]")
"""What a name given by a browser may hold that a file's name had better not."""

_LONGEST: Final = 50
"""Characters of a file's name that are kept: its end, where it says what it is."""


def save_upload(upload: UploadFile | None, folder: Path) -> Path:
    """Put what a browser sent into ``folder``, under its name as far as that can name a file.

    Raises `InvalidInputError` where nothing was sent, more than `LARGEST`, or what holds more than `LARGEST_OPEN`.
    """
    if upload is None or not upload.filename:
        raise InvalidInputError("No se eligió ningún archivo.", hint="Elija un archivo csv o xlsx y repita.")
    content = upload.file.read(LARGEST + 1)
    if len(content) > LARGEST or not _fits_open(content):
        raise InvalidInputError("El archivo es demasiado grande.", hint=f"Debe medir {LARGEST >> 20} MB a lo más.")
    name = _ODD.sub("_", upload.filename.replace("\\", "/").rpartition("/")[2])[-_LONGEST:]
    path = folder / (name.strip(". ") or "archivo")
    path.write_bytes(content)
    return path


def _fits_open(content: bytes) -> bool:
    """Whether the parts of a zip are within the limit; of what is none, its reader says what it should have been."""
    try:
        for _ in inflate_parts(io.BytesIO(content), LARGEST_OPEN):
            pass
    except OversizedArchiveError:
        return False
    except zipfile.BadZipFile:
        return True
    return True
