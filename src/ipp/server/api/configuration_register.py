"""The register of configurations: a row a mostrador, changed one at a time by people who may do so at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final

from ipp.core.tables import CONFIGURATIONS
from ipp.errors import BusyError, IppError, NotFoundError
from ipp.storage.warehouse.warehouse import TableRow, Warehouse

CONFIGURATIONS_PATH: Final = "/configuraciones"
"""Where the register is found."""

CheckRow = Callable[[TableRow], None]
"""Looks at a row before it is changed, and raises where it must not be."""

_MAX_ATTEMPTS: Final = 10
"""How often a change is tried where others change the same row at the same moment."""


class ConfiguredError(IppError):
    """The mostrador has a configuration already."""

    code = "ya_configurado"


class UnknownCounterError(IppError):
    """The mostrador that is to be configured is not in the table of mostradores."""

    code = "mostrador_desconocido"


class ChangedError(IppError):
    """The configuration is no longer the one that the caller saw."""

    code = "configuracion_cambiada"


def row_version(row: TableRow) -> str:
    """Tells one content of a row from another: of equal rows it is equal."""
    content = json.dumps([row[column.name] for column in CONFIGURATIONS.columns], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def find_configuration(warehouse: Warehouse, mostrador: int) -> TableRow:
    """The configuration of ``mostrador``. Raises `NotFoundError` where it has none."""
    found = warehouse.get_configuration(mostrador)
    if found is None:
        raise NotFoundError(
            f"El mostrador {mostrador} no tiene configuración.",
            hint=f"Créela con POST {CONFIGURATIONS_PATH}, o revise el número.",
        )
    return found


def add_configuration(warehouse: Warehouse, row: TableRow) -> None:
    """Give a mostrador its configuration.

    Raises `UnknownCounterError` for a mostrador that is not there, `ConfiguredError` where it has a configuration.
    """
    mostrador = row["mostrador"]
    if warehouse.unknown_counters((mostrador,)):
        raise UnknownCounterError(
            f"El mostrador {mostrador} no está en la tabla de mostradores.",
            hint="Revise el número, o importe antes su renglón de mostradores.",
        )
    if not warehouse.insert_configuration(row):
        raise ConfiguredError(
            f"El mostrador {mostrador} ya tiene configuración.",
            hint=f"Cámbiela con PUT {CONFIGURATIONS_PATH}/{mostrador}.",
        )


def change_configuration(warehouse: Warehouse, row: TableRow, check: CheckRow) -> None:
    """Put ``row`` in the place of its mostrador's. Raises `NotFoundError` where there is none, and as ``check``."""
    _change_with_retries(
        warehouse,
        row["mostrador"],
        check,
        lambda before: warehouse.update_configuration(before, row),
    )


def remove_configuration(warehouse: Warehouse, mostrador: int, check: CheckRow) -> None:
    """Take a mostrador's configuration away. Raises `NotFoundError` where it has none, and as ``check``."""
    _change_with_retries(warehouse, mostrador, check, warehouse.delete_configuration)


def _change_with_retries(
    warehouse: Warehouse, mostrador: int, check: CheckRow, write: Callable[[TableRow], bool]
) -> None:
    """Look, check and write until nobody wrote in between. Raises `BusyError` where somebody always does."""
    for _ in range(_MAX_ATTEMPTS):
        before = find_configuration(warehouse, mostrador)
        check(before)
        if write(before):
            return
    raise BusyError(
        f"Otros están cambiando la configuración del mostrador {mostrador}.",
        hint="Espere un momento y repita.",
    )
