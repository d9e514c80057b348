"""Files uploaded by a browser, which are read in a child process."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

from fastapi import Depends, Request, UploadFile

from ipp.errors import InvalidInputError
from ipp.formats.intake.bounded_reader import BoundedReader
from ipp.formats.intake.zip_archive import inflate_parts
from ipp.storage.files.scratch import Scratch

MAX_UPLOAD_BYTES: Final = 8 * 2**20
"""Bytes of the largest file; a list or configurations of 10,000 mostradores need a tenth."""

MAX_INFLATED_BYTES: Final = 32 * MAX_UPLOAD_BYTES
"""Bytes of the largest workbook once inflated.

A zip full of repetitions inflates to a thousand times its size (zip bomb).
"""

_UNSAFE_NAME_PATTERN: Final = re.compile(r"[^\w.() -]")
"""Characters of an uploaded file's name that are replaced."""

MAX_NAME_CHARACTERS: Final = 50
"""Characters of a file's name that are kept, from its end, where the extension is."""


async def _get_scratch(request: Request) -> Scratch:
    return cast("Scratch", request.app.state.scratch)


ScratchDep = Annotated[Scratch, Depends(_get_scratch)]
"""Where uploaded files are read."""


async def _get_reader(request: Request) -> BoundedReader:
    return cast("BoundedReader", request.app.state.reader)


ReaderDep = Annotated[BoundedReader, Depends(_get_reader)]
"""The reader that runs what parses an uploaded file."""

Answer = TypeVar("Answer")


def read_upload(
    reader: BoundedReader,
    upload: UploadFile | None,
    folder: Path,
    function: Callable[..., Answer],
    *arguments: Any,
) -> Answer:
    """Return ``function(file, *arguments)`` of an uploaded file, called in a child process.

    The file is saved in ``folder``. Raises what `save_upload`, ``function`` and
    `BoundedReader.read` raise, and `OversizedArchiveError` for a workbook that inflates to more
    than `MAX_INFLATED_BYTES`.
    """
    file = save_upload(upload, folder)
    answer: Answer = reader.read(_read_file, file, function, file, *arguments)
    return answer


def _read_file(function: Callable[..., Answer], file: Path, *arguments: Any) -> Answer:
    """Return ``function(file, *arguments)`` of a file that inflates to an accepted size."""
    # The reader of any other file reports what is wrong with it.
    with suppress(zipfile.BadZipFile):
        for _ in inflate_parts(file, MAX_INFLATED_BYTES):
            pass
    return function(file, *arguments)


def save_upload(upload: UploadFile | None, folder: Path) -> Path:
    """Write an uploaded file into ``folder``, under a safe form of its name.

    Raises `InvalidInputError` if nothing was sent, or if it exceeds `MAX_UPLOAD_BYTES`.
    """
    if upload is None or not upload.filename:
        raise InvalidInputError(
            "No se eligió ningún archivo.", hint="Elija un archivo csv o xlsx y repita."
        )
    content = upload.file.read(MAX_UPLOAD_BYTES + 1)
    if len(content) > MAX_UPLOAD_BYTES:
        raise InvalidInputError(
            "El archivo es demasiado grande.",
            hint=f"Debe medir {MAX_UPLOAD_BYTES >> 20} MB a lo más.",
        )
    name = _UNSAFE_NAME_PATTERN.sub("_", upload.filename.replace("\\", "/").rpartition("/")[2])[
        -MAX_NAME_CHARACTERS:
    ]
    path = folder / (name.strip(". ") or "archivo")
    path.write_bytes(content)
    return path
