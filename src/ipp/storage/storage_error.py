"""Translate errors of disks, SQLite and table libraries into `UnavailableError`, in Spanish."""

from __future__ import annotations

import errno
import re
from typing import Final

from ipp.errors import UnavailableError, describe_os_error

RETRY_SECONDS: Final = 5.0
"""Seconds after which a caller may try again."""

_OS_ERROR_PATTERN: Final = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust name the error of the operating system."""

_MACHINE_ERRORS: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    }
)
"""Errors that any other file would meet as well."""

_MACHINE_REASONS: Final = {
    errno.EDQUOT: "la cuota del disco está llena",
    errno.EIO: "el disco falla",
    errno.EMFILE: "hay demasiados archivos abiertos",
    errno.ENFILE: "hay demasiados archivos abiertos",
    errno.ENOMEM: "falta memoria",
}

_SQLITE_REASONS: Final = {
    5: "otro proceso lo está usando",  # SQLITE_BUSY
    6: "otro proceso lo está usando",  # SQLITE_LOCKED
    8: "no se deja escribir",  # SQLITE_READONLY
    10: "el disco falla o está lleno",  # SQLITE_IOERR
    11: "está dañado",  # SQLITE_CORRUPT
    13: "el disco está lleno",  # SQLITE_FULL
    14: "no se puede abrir",  # SQLITE_CANTOPEN
    26: "está dañado",  # SQLITE_NOTADB
}
"""Reasons by the primary code of an error of SQLite."""


def unavailable_error(what: str, error: BaseException) -> UnavailableError:
    """Return ``error``, met while reading or writing ``what``, as one that may pass.

    A library's own text is left out: it has paths, colour codes and a trace of its calls.
    """
    return UnavailableError(
        f"No se pudo leer o escribir {what}: {_describe_reason(error)}.",
        hint="Repita en unos segundos; si sigue, mire si el disco está lleno o no deja escribir, "
        "o si falta un archivo.",
        retry_after=RETRY_SECONDS,
    )


def is_machine_error(error: BaseException) -> bool:
    """Return whether an error is of the machine, such as a full disk, whatever file meets it."""
    return isinstance(error, MemoryError) or _error_number(error) in _MACHINE_ERRORS


def _describe_reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return _MACHINE_REASONS[errno.ENOMEM]
    if code := getattr(error, "sqlite_errorcode", None):
        return _SQLITE_REASONS.get(code & 0xFF, "la base de datos no responde")
    number = _error_number(error)
    if number in _MACHINE_REASONS:
        return _MACHINE_REASONS[number]
    if number:
        return describe_os_error(OSError(number, "el sistema no lo permite"))
    return "un archivo falta o está dañado"


def _error_number(error: BaseException) -> int:
    """Return the operating system's number of an error, also where a library tells it; else 0."""
    number = error.errno if isinstance(error, OSError) else None
    found = _OS_ERROR_PATTERN.search(str(error))
    return number or (int(found[1]) if found else 0)
