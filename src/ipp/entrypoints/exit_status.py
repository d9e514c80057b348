"""Exit statuses of every process, and what it writes of an error that ends it."""

from __future__ import annotations

import os
import sys
from typing import Final

from ipp.errors import InvalidInputError, IppError, describe_os_error

DONE, FAILED, INVALID, INTERRUPTED = 0, 1, 2, 130
"""It worked; it failed for a reason that is not the caller's; the input cannot be used; Ctrl-C."""

_RETRY_HINT: Final = "Nada quedó a medias: se puede repetir."


def report_error(error: BaseException) -> int:
    """Say what went wrong and what to do; give back the exit status that it means."""
    message, hint, status = str(error), _RETRY_HINT, FAILED
    match error:
        case IppError():
            message, hint = error.message, error.hint
            status = INVALID if isinstance(error, InvalidInputError) else FAILED
        case OSError():
            message = f"No se pudo leer o escribir {error.filename or 'un archivo'}: {describe_os_error(error)}."
        case BaseException() if "KeyboardInterrupt" in repr(
            error
        ):  # itself, or what a library made of it
            message, status = "Interrumpido.", INTERRUPTED
        case _:
            if os.environ.get("IPP_DEBUG"):
                raise error
            message = f"Algo falló que no se esperaba ({type(error).__name__}): {message.strip() or 'sin más detalle'}"
            hint = "Repita con IPP_DEBUG=1 para ver dónde, y mándelo a quien mantiene IPP."
    hint = " ".join(getattr(error, "__notes__", ())) or hint
    sys.stderr.write(f"Error: {message}\n" + (f"  → {hint}\n" if hint else ""))
    return status
