"""Inflate the parts of a zip archive with a size limit, without trusting its stated sizes."""

from __future__ import annotations

import copy
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from ipp.errors import InvalidInputError

MAX_INFLATED_BYTES: Final = 1 << 31
"""Bytes of all parts of a workbook together; 16 million cells take about half of it."""

_CHUNK_BYTES: Final = 1 << 20
_END_RECORD: Final = struct.Struct("<4s4H2LH")
_END_SIGNATURE: Final = b"PK\5\6"
_IN_ZIP64: Final = (0xFFFF, 0xFFFFFFFF)
"""Placeholders of a count or an offset whose value is in the zip64 record."""

_ACCEPTED_COMPRESSION: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class OversizedArchiveError(InvalidInputError):
    """An archive whose parts, inflated, are larger than the limit."""


def inflate_parts(
    file: Path | IO[bytes], limit: int = MAX_INFLATED_BYTES
) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    """Yield each part of the archive in pieces, in the order of its directory.

    Raises `OversizedArchiveError` once there are more than ``limit`` bytes, and
    `zipfile.BadZipFile` where the archive is damaged, two readers might find different parts in it,
    or a part does not have its stated size.
    """
    total = 0
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive)
            for part in archive.infolist():
                total_before = total
                with archive.open(_without_stated_size(part)) as stream:
                    while piece := stream.read(_CHUNK_BYTES):
                        total += len(piece)
                        if total > limit:
                            raise _oversized_error(limit)
                        yield part, piece
                if total - total_before != part.file_size:
                    raise zipfile.BadZipFile(f"{part.filename} is not of the size that it states")
    except (
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
        raise zipfile.BadZipFile(str(error)) from error


def _without_stated_size(part: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return a copy of ``part`` that `zipfile` reads to its end, not only to its stated size.

    Raises `zipfile.BadZipFile` for any compression but store and deflate.
    """
    if part.compress_type not in _ACCEPTED_COMPRESSION:
        raise zipfile.BadZipFile(f"{part.filename} is compressed in an unusual way")
    part = copy.copy(part)
    part.file_size = 1 << 62
    return part


def _check_directory(archive: zipfile.ZipFile) -> None:
    """Raise `zipfile.BadZipFile` where another reader might find another central directory.

    The end record must be the last bytes, and point to the directory that was read.
    """
    stream = archive.fp
    assert stream is not None  # `fp` is None only once an archive is closed.
    stream.seek(-min(_END_RECORD.size, stream.seek(0, 2)), 2)
    record = stream.read()
    if len(record) != _END_RECORD.size:
        raise zipfile.BadZipFile("no end record")
    signature, _, _, _, count, _, offset, comment = _END_RECORD.unpack(record)
    plain = signature == _END_SIGNATURE and not comment
    same_count = count in (len(archive.infolist()), _IN_ZIP64[0])
    if not plain or not same_count or offset not in (archive.start_dir, _IN_ZIP64[1]):
        raise zipfile.BadZipFile("the directory of the archive is ambiguous")


def _oversized_error(limit: int) -> OversizedArchiveError:
    return OversizedArchiveError(
        f"El libro es demasiado grande: por dentro mide más de {limit >> 20:,} MB.",
        hint="Deje sólo la hoja que se lee, o guárdela como CSV.",
    )
