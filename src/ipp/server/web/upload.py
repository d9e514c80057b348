"""Files uploaded by a browser."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Annotated, Final, cast

from fastapi import Depends, Request, UploadFile

from ipp.errors import InvalidInputError
from ipp.formats.intake.table_import import TableImporter
from ipp.formats.intake.zip_archive import OversizedArchiveError, inflate_parts

MAX_UPLOAD_BYTES: Final = 8 * 2**20
"""Bytes of the largest file; a list or configurations of 10,000 mostradores need a tenth."""

MAX_INFLATED_BYTES: Final = 32 * MAX_UPLOAD_BYTES
"""Bytes of the largest workbook once inflated.

A zip full of repetitions inflates to a thousand times its size (zip bomb).
"""

_UNSAFE_NAME_PATTERN: Final = re.compile(r"[^\w.() -]")
"""Characters of an uploaded file's name that are replaced."""

_MAX_NAME_CHARACTERS: Final = 50
"""Characters of a file's name that are kept, from its end, where the extension is."""


async def _get_importer(request: Request) -> TableImporter:
    return cast("TableImporter", request.app.state.importer)


ImporterDep = Annotated[TableImporter, Depends(_get_importer)]
"""The importer of uploaded files, in whose scratch folder they are read."""


def save_upload(upload: UploadFile | None, folder: Path) -> Path:
    """Write an uploaded file into ``folder``, under a safe form of its name.

    Raises `InvalidInputError` if nothing was sent, if it exceeds `MAX_UPLOAD_BYTES`, or if it
    inflates to more than `MAX_INFLATED_BYTES`.
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
    """Return whether the parts of a zip are within the limit.

    Any other file passes: its reader reports what is wrong with it.
    """
    try:
        for _ in inflate_parts(io.BytesIO(content), MAX_INFLATED_BYTES):
            pass
    except OversizedArchiveError:
        return False
    except zipfile.BadZipFile:
        return True
    return True
