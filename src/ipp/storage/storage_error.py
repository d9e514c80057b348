"""Translate errors of disks, SQLite and table libraries into `UnavailableError`, in Spanish."""

from __future__ import annotations

from typing import Final

from ipp.errors import (
    UnavailableError,
    describe_os_error,
    describe_sqlite_error,
    is_sqlite_error,
    os_error_number,
)

RETRY_SECONDS: Final = 5.0
"""Seconds after which a caller may try again."""


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


def _describe_reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "falta memoria"
    if is_sqlite_error(error):
        return describe_sqlite_error(error)
    if number := os_error_number(error):
        return describe_os_error(OSError(number, "el sistema no lo permite"))
    return "un archivo falta o está dañado"
