"""Exit statuses of every process, and the report of an error that ends it."""

from __future__ import annotations

import sqlite3
import sys
from typing import Final

from ipp.errors import (
    InvalidInputError,
    IppError,
    clean_text,
    describe_os_error,
    describe_sqlite_error,
    is_machine_error,
)
from ipp.settings import is_debugging

DONE, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130
"""Success; a failure that is not the caller's fault; invalid input; Ctrl-C."""

_UNEXPECTED: Final = -1
"""In place of an exit status, for an error that nobody foresaw."""

_RETRY_HINT: Final = "Nada quedó a medias: se puede repetir."


def report_error(error: BaseException) -> int:
    """Write what went wrong and what to do to stderr; return the exit status.

    With ``IPP_DEBUG`` an unexpected error is raised.
    """
    message, hint, status = _explain_error(error)
    if status == _UNEXPECTED:
        if is_debugging():
            raise error
        status = FAILED
    sys.stderr.write(f"Error: {message}\n" + (f"  → {hint}\n" if hint else ""))
    return status


def describe_error(error: BaseException) -> str:
    """Return what went wrong and what to do, as a job that failed says it."""
    message, hint, _status = _explain_error(error)
    return f"{message} {hint}".rstrip()


def _explain_error(error: BaseException) -> tuple[str, str, int]:
    """Return what went wrong, what to do and the exit status."""
    message, hint, status = str(error), _RETRY_HINT, FAILED
    match error:
        case IppError():
            message, hint = error.message, error.hint
            status = INVALID if isinstance(error, InvalidInputError) else FAILED
        case sqlite3.Error():
            reason = describe_sqlite_error(error)
            message = f"No se pudo usar la base de datos de los procesos: {reason}."
        case BaseException() if isinstance(error, OSError) or is_machine_error(error):
            file = clean_text(str(getattr(error, "filename", None) or "un archivo"))
            message = f"No se pudo leer o escribir {file}: {describe_os_error(error)}."
        case MemoryError():
            message, hint = "Falta memoria.", "Cierre otros programas y repita."
        case BaseException() if "KeyboardInterrupt" in repr(error):
            # A KeyboardInterrupt, or a library's own error that wraps one.
            message, status = "Interrumpido.", INTERRUPTED
        case _:
            detail = clean_text(message).strip() or "sin más detalle"
            message = f"Algo falló que no se esperaba ({type(error).__name__}): {detail}"
            hint = "Repita con IPP_DEBUG=1 para ver dónde, y mándelo a quien mantiene IPP."
            status = _UNEXPECTED
    return message, " ".join(getattr(error, "__notes__", ())) or hint, status
