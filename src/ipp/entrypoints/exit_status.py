"""Exit statuses of every process, and the report of an error that ends it."""

from __future__ import annotations

import sys
from typing import Final

from ipp.errors import InvalidInputError, IppError, describe_os_error
from ipp.settings import is_debugging

DONE, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130
"""Success; a failure that is not the caller's fault; invalid input; Ctrl-C."""

_RETRY_HINT: Final = "Nada quedó a medias: se puede repetir."


def report_error(error: BaseException) -> int:
    """Write what went wrong and what to do to stderr; return the exit status."""
    message, hint, status = str(error), _RETRY_HINT, FAILED
    match error:
        case IppError():
            message, hint = error.message, error.hint
            status = INVALID if isinstance(error, InvalidInputError) else FAILED
        case OSError():
            file = error.filename or "un archivo"
            message = f"No se pudo leer o escribir {file}: {describe_os_error(error)}."
        case BaseException() if "KeyboardInterrupt" in repr(error):
            # A KeyboardInterrupt, or a library's own error that wraps one.
            message, status = "Interrumpido.", INTERRUPTED
        case _:
            if is_debugging():
                raise error
            detail = message.strip() or "sin más detalle"
            message = f"Algo falló que no se esperaba ({type(error).__name__}): {detail}"
            hint = "Repita con IPP_DEBUG=1 para ver dónde, y mándelo a quien mantiene IPP."
    hint = " ".join(getattr(error, "__notes__", ())) or hint
    sys.stderr.write(f"Error: {message}\n" + (f"  → {hint}\n" if hint else ""))
    return status
