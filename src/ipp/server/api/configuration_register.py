"""Register of counter configurations, changed one row at a time with optimistic locking."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final

from ipp.core.tables import CONFIGURATIONS
from ipp.errors import BusyError, IppError, NotFoundError
from ipp.storage.change_record import Author
from ipp.storage.warehouse.warehouse import TableRow, Warehouse

CONFIGURATIONS_PATH: Final = "/configuraciones"
"""Path of the register in the API."""

CheckRow = Callable[[TableRow], None]
"""Check a row before it is changed; raises if it must not be."""

_MAX_ATTEMPTS: Final = 10
"""Attempts at a change while others change the same row."""


class ConfiguredError(IppError):
    """The counter already has a configuration."""

    code = "ya_configurado"


class UnknownCounterError(IppError):
    """The counter to configure is not in the table of counters."""

    code = "mostrador_desconocido"


class ChangedError(IppError):
    """The configuration changed since the caller read it."""

    code = "configuracion_cambiada"


def row_version(row: TableRow) -> str:
    """Return a hash of the row's content, used as its ETag."""
    content = json.dumps([row[column.name] for column in CONFIGURATIONS.columns], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def find_configuration(warehouse: Warehouse, mostrador: int) -> TableRow:
    """Return the configuration of ``mostrador``. Raises `NotFoundError` if it has none."""
    row = warehouse.get_configuration(mostrador)
    if row is None:
        raise NotFoundError(
            f"El mostrador {mostrador} no tiene configuración.",
            hint=f"Créela con POST {CONFIGURATIONS_PATH}, o revise el número.",
        )
    return row


def add_configuration(warehouse: Warehouse, row: TableRow, author: Author) -> None:
    """Add the configuration of a counter, as a change of ``author``.

    Raises `UnknownCounterError` for an unknown counter, `ConfiguredError` if it already has one.
    """
    mostrador = row["mostrador"]
    if warehouse.unknown_counters((mostrador,)):
        raise UnknownCounterError(
            f"El mostrador {mostrador} no está en la tabla de mostradores.",
            hint="Revise el número, o importe antes su renglón de mostradores.",
        )
    if not warehouse.insert_configuration(row, author):
        raise ConfiguredError(
            f"El mostrador {mostrador} ya tiene configuración.",
            hint=f"Cámbiela con PUT {CONFIGURATIONS_PATH}/{mostrador}.",
        )


def change_configuration(
    warehouse: Warehouse, row: TableRow, check: CheckRow, author: Author
) -> None:
    """Replace the counter's row with ``row``. Raises `NotFoundError`, and as ``check``."""
    _change_with_retries(
        warehouse,
        row["mostrador"],
        check,
        lambda before: warehouse.update_configuration(before, row, author),
    )


def remove_configuration(
    warehouse: Warehouse, mostrador: int, check: CheckRow, author: Author
) -> None:
    """Delete the counter's configuration. Raises `NotFoundError`, and as ``check``."""
    _change_with_retries(
        warehouse, mostrador, check, lambda before: warehouse.delete_configuration(before, author)
    )


def _change_with_retries(
    warehouse: Warehouse, mostrador: int, check: CheckRow, write: Callable[[TableRow], bool]
) -> None:
    """Read, check and write until no other write intervenes (optimistic locking).

    Raises `BusyError` after `_MAX_ATTEMPTS`.
    """
    for _ in range(_MAX_ATTEMPTS):
        before = find_configuration(warehouse, mostrador)
        check(before)
        if write(before):
            return
    raise BusyError(
        f"Otros están cambiando la configuración del mostrador {mostrador}.",
        hint="Espere un momento y repita.",
    )
