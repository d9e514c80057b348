"""Errors that are shown to a person.

They share one root. An error carries what was wrong and where (``message``) and what to do about it
(``hint``), both in Spanish, and a ``code`` that does not change when the wording does.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final

MAX_NAMED: Final = 20
"""Maximum number of items that an error lists by name."""

MAX_ECHO_CHARS: Final = 200
"""Maximum length, in characters, of a value that an error repeats."""


def shorten(value: object) -> str:
    """Return ``value`` as text, cut to at most `MAX_ECHO_CHARS` characters."""
    text = str(value)
    return text if len(text) <= MAX_ECHO_CHARS else f"{text[: MAX_ECHO_CHARS - 3]}..."


def name_some(values: Sequence[object], most: int = MAX_NAMED, *, between: str = ", ") -> str:
    """Return the first ``most`` of ``values`` as readable text, with the count of the rest."""
    listed = between.join(map(shorten, values[:most]))
    more = len(values) - most
    return f"{listed} y {more:,} más" if more > 0 else listed


def join_sentences(*texts: str) -> str:
    """Join the non-empty ``texts`` into one, each ending in a full stop."""
    # A trailing ellipsis is spelled as three stops, so that "Espere…" does not end as "Espere….".
    sentences = [
        text.strip().removesuffix("…") + "..." * text.strip().endswith("…") for text in texts
    ]
    return " ".join(text if text.endswith(".") else f"{text}." for text in sentences if text)


class IppError(Exception):
    """Base class of every error that IPP raises on purpose."""

    code: ClassVar[str] = "ipp"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return join_sentences(self.message, self.hint)


class InvalidInputError(IppError):
    """The caller's input cannot be used; nothing was changed."""

    code = "entrada_invalida"


class UnreadableFileError(InvalidInputError):
    """A file is not of the type that its name says, or holds no table."""

    code = "archivo_ilegible"


class MissingColumnError(InvalidInputError):
    """A table lacks a column it needs."""

    code = "columna_faltante"


class RejectedRowsError(InvalidInputError):
    """Some rows of a file were rejected, so none was written.

    ``report`` is the import's `ipp.formats.intake.table_import.ImportReport`. Its type is not
    declared, because that module belongs to a layer above this one.
    """

    code = "filas_rechazadas"

    def __init__(self, message: str, *, hint: str, report: Any) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class NotConfiguredError(InvalidInputError):
    """A requested mostrador has no configuration."""

    code = "sin_configuracion"


class NotFoundError(InvalidInputError):
    """A requested job, mostrador, table or file does not exist."""

    code = "no_encontrado"


class UnavailableError(IppError):
    """A service did not answer, and may or may not have acted; ``retry_after`` is in seconds."""

    code = "no_disponible"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class IncompleteError(UnavailableError):
    """Databricks is not fully configured; ``missing`` names the variables that are not set."""

    code = "configuracion_incompleta"

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(
            "Configuración de Databricks incompleta", hint=f"Falta fijar {', '.join(missing)}."
        )


class RefusedError(IppError):
    """A service understood the request and refused it: repeating it changes nothing."""

    code = "rechazado"


class BusyError(IppError):
    """Another process is writing the same table."""

    code = "ocupado"


_MACHINE_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EAGAIN}
)
"""Errors that whatever is written or opened next will meet as well."""

_OS_ERROR_PATTERN: Final = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust name the operating system's error."""


def os_error_number(error: BaseException) -> int:
    """Return the operating system's number of an error, also a library's that tells it; else 0."""
    number = error.errno if isinstance(error, OSError) else None
    found = _OS_ERROR_PATTERN.search(str(error))
    return number or (int(found[1]) if found else 0)


_SQLITE_BUSY, _SQLITE_LOCKED, _SQLITE_IOERR, _SQLITE_FULL = 5, 6, 10, 13
"""SQLite's primary codes, by number: a process without a database does not load its library."""

_SQLITE_REASONS: Final = {
    _SQLITE_BUSY: "otro proceso la está usando",
    _SQLITE_LOCKED: "otro proceso la está usando",
    _SQLITE_FULL: "el disco está lleno",
    _SQLITE_IOERR: "el disco falla o está lleno",
    3: "no hay permiso",
    8: "no se deja escribir",
    11: "está dañada",
    14: "no se puede abrir",
    26: "no es una base de datos",
}
"""Reasons of SQLite by the primary code of its errors."""

_SQLITE_MACHINE_CODES: Final = frozenset(
    {_SQLITE_BUSY, _SQLITE_LOCKED, _SQLITE_IOERR, _SQLITE_FULL}
)


def is_sqlite_error(error: BaseException) -> bool:
    """Return whether an error is of SQLite, and tells its code."""
    return _sqlite_code(error) != 0


def describe_sqlite_error(error: BaseException) -> str:
    """Return why SQLite refused, in Spanish."""
    return _SQLITE_REASONS.get(_sqlite_code(error), "la base de datos no responde")


def _sqlite_code(error: BaseException) -> int:
    """Return the primary code of an error of SQLite; 0 for others."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_machine_error(error: BaseException) -> bool:
    """Return whether an error is of the machine, such as a full disk, and not of one file."""
    return _sqlite_code(error) in _SQLITE_MACHINE_CODES or os_error_number(error) in _MACHINE_ERRORS


def is_temporary(error: BaseException) -> bool:
    """Return whether the same call may succeed later: the cause is the machine, not the data."""
    return isinstance(error, (UnavailableError, BusyError)) or is_machine_error(error)


_OS_ERROR_REASONS: Final = {
    errno.ENOENT: "no existe",
    errno.EACCES: "no hay permiso",
    errno.EPERM: "no hay permiso",
    errno.EROFS: "el disco es de sólo lectura",
    errno.EISDIR: "es una carpeta",
    errno.ENOTDIR: "una parte de la ruta no es una carpeta",
    errno.ENOSPC: "el disco está lleno",
    errno.EDQUOT: "su cuota del disco está llena",
    errno.EFBIG: "el archivo pasa del tamaño permitido",
    errno.EMFILE: "hay demasiados archivos abiertos",
    errno.ENFILE: "hay demasiados archivos abiertos",
    errno.EAGAIN: "faltan recursos por ahora",
    errno.ENOMEM: "falta memoria",
    errno.EIO: "el disco falla",
    errno.EXDEV: "las dos carpetas están en discos distintos",
    errno.EBUSY: "está en uso",
    errno.ENOTEMPTY: "la carpeta no está vacía",
    errno.EEXIST: "ya existe",
    errno.ENAMETOOLONG: "el nombre es demasiado largo",
}


def describe_os_error(error: BaseException) -> str:
    """Return why the operating system refused, in Spanish for the usual reasons."""
    reason = _OS_ERROR_REASONS.get(os_error_number(error))
    return reason or getattr(error, "strerror", None) or clean_text(str(error))


_ANSI_PATTERN: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PARTIAL_PATTERN: Final = re.compile(r"\.([^/\s]+)\.\d+-[0-9a-f]{8}\.partial")


def clean_text(text: str) -> str:
    """Return a library's text without colour codes, and with the final names of partial files."""
    return _PARTIAL_PATTERN.sub(r"\1", _ANSI_PATTERN.sub("", text))
