"""Everything that can go wrong and be said to a person.

One root. An error carries what was wrong and where (``message``) and what to do about it (``hint``), both in
Spanish, and a ``code`` that does not change when the wording does.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any, ClassVar, Final

MAX_NAMED: Final = 20
"""Things that an error names one by one."""

MAX_ECHO_CHARS: Final = 200
"""Characters of the longest value that an error repeats."""


def shorten(value: object) -> str:
    """Return ``value`` as an error repeats it: its first `MAX_ECHO_CHARS` characters at most."""
    text = str(value)
    return text if len(text) <= MAX_ECHO_CHARS else f"{text[: MAX_ECHO_CHARS - 3]}..."


def name_some(values: Sequence[object], most: int = MAX_NAMED, *, between: str = ", ") -> str:
    """Return the first ``most`` of ``values`` as a list to read, and how many more there are."""
    shown = between.join(map(shorten, values[:most]))
    more = len(values) - most
    return f"{shown} y {more:,} más" if more > 0 else shown


def join_sentences(*texts: str) -> str:
    """Return those of ``texts`` that say anything as one, each with its full stop."""
    said = [text.strip().removesuffix("…") + "..." * text.strip().endswith("…") for text in texts]
    return " ".join(text if text.endswith(".") else f"{text}." for text in said if text)


class IppError(Exception):
    """Root of every error that IPP raises on purpose."""

    code: ClassVar[str] = "ipp"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return join_sentences(self.message, self.hint)


class InvalidInputError(IppError):
    """What the caller gave cannot be used; nothing was changed."""

    code = "entrada_invalida"


class UnreadableFileError(InvalidInputError):
    """A file is not what its name says, or holds no table."""

    code = "archivo_ilegible"


class MissingColumnError(InvalidInputError):
    """A table lacks a column it needs."""

    code = "columna_faltante"


class RejectedRowsError(InvalidInputError):
    """Some rows of a file were refused, so none was written.

    ``report`` is the import's `ipp.formats.intake.table_import.ImportReport`; a layer above, so its type is not named.
    """

    code = "filas_rechazadas"

    def __init__(self, message: str, *, hint: str, report: Any) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class NotConfiguredError(InvalidInputError):
    """A mostrador was asked for that has no configuration."""

    code = "sin_configuracion"


class NotFoundError(InvalidInputError):
    """A job, a mostrador or a table that was asked for is not there."""

    code = "no_encontrado"


class UnavailableError(IppError):
    """What was asked did not answer just now; nothing is known of what it did. ``retry_after`` is in seconds."""

    code = "no_disponible"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class IncompleteError(UnavailableError):
    """What would be asked is not set up yet; ``missing`` names what is not set."""

    code = "configuracion_incompleta"

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(
            "Configuración de Databricks incompleta", hint=f"Falta fijar {', '.join(missing)}."
        )


class RefusedError(IppError):
    """What was asked was understood and refused: asking again changes nothing."""

    code = "rechazado"


class BusyError(IppError):
    """Another process is writing the same table."""

    code = "ocupado"


_OS_ERROR_REASONS: Final = {
    errno.ENOENT: "no existe",
    errno.EACCES: "no hay permiso",
    errno.EPERM: "no hay permiso",
    errno.EROFS: "el disco es de sólo lectura",
    errno.EISDIR: "es una carpeta",
    errno.ENOTDIR: "una parte de la ruta no es una carpeta",
    errno.ENOSPC: "el disco está lleno",
    errno.ENAMETOOLONG: "el nombre es demasiado largo",
}


def describe_os_error(error: OSError) -> str:
    """Why the operating system refused, in Spanish where it is one of the usual reasons."""
    return _OS_ERROR_REASONS.get(error.errno or 0) or error.strerror or str(error)
