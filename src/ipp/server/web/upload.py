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

MAX_UPLOAD_BYTES: Final = 8 * 2**20
"""Bytes of the largest file; a list or the configurations of 10,000 mostradores take a tenth of them."""

MAX_INFLATED_BYTES: Final = 32 * MAX_UPLOAD_BYTES
"""Bytes of what a workbook, which is a zip, holds: one full of repetitions would be a thousand times its size."""

_UNSAFE_NAME_PATTERN: Final = re.compile(r"[^\w.() -]")
"""What a name given by a browser may hold that a file's name had better not."""

_MAX_NAME_CHARACTERS: Final = 50
"""Characters of a file's name that are kept: its end, where it says what it is."""


def save_upload(upload: UploadFile | None, folder: Path) -> Path:
    """Put what a browser sent into ``folder``, under its name as far as that can name a file.

    Raises `InvalidInputError` where nothing was sent, more than `MAX_UPLOAD_BYTES`, or what holds more than `MAX_INFLATED_BYTES`.
    """
    if upload is None or not upload.filename:
        raise InvalidInputError(
            "No se eligió ningún archivo.", hint="Elija un archivo csv o xlsx y repita."
        )
    content = upload.file.read(MAX_UPLOAD_BYTES + 1)
    if len(content) > MAX_UPLOAD_BYTES or not _fits_inflated(content):
        raise InvalidInputError(
            "El archivo es demasiado grande.",
            hint=f"Debe medir {MAX_UPLOAD_BYTES >> 20} MB a lo más.",
        )
    name = _UNSAFE_NAME_PATTERN.sub("_", upload.filename.replace("\\", "/").rpartition("/")[2])[
        -_MAX_NAME_CHARACTERS:
    ]
    path = folder / (name.strip(". ") or "archivo")
    path.write_bytes(content)
    return path


def _fits_inflated(content: bytes) -> bool:
    """Whether the parts of a zip are within the limit; of what is none, its reader says what it should have been."""
    try:
        for _ in inflate_parts(io.BytesIO(content), MAX_INFLATED_BYTES):
            pass
    except OversizedArchiveError:
        return False
    except zipfile.BadZipFile:
        return True
    return True
