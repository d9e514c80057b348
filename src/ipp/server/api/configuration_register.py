"""The register of configurations: a row a mostrador, changed one at a time by people who may do so at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final

from ipp.core.tables import CONFIGURATIONS
from ipp.errors import BusyError, IppError, NotFoundError
from ipp.storage.warehouse.warehouse import Row, Warehouse

PATH: Final = "/configuraciones"
"""Where the register is found."""

Check = Callable[[Row], None]
"""Looks at a row before it is changed, and raises where it must not be."""

_TURNS: Final = 10
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


def version_of(row: Row) -> str:
    """Tells one content of a row from another: of equal rows it is equal."""
    content = json.dumps([row[column.name] for column in CONFIGURATIONS.columns], default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def find(warehouse: Warehouse, mostrador: int) -> Row:
    """The configuration of ``mostrador``. Raises `NotFoundError` where it has none."""
    found = warehouse.configuration(mostrador)
    if found is None:
        raise NotFoundError(
            f"El mostrador {mostrador} no tiene configuración.", hint=f"Créela con POST {PATH}, o revise el número."
        )
    return found


def add(warehouse: Warehouse, row: Row) -> None:
    """Give a mostrador its configuration.

    Raises `UnknownCounterError` for a mostrador that is not there, `ConfiguredError` where it has a configuration.
    """
    mostrador = row["mostrador"]
    if warehouse.unknown((mostrador,)):
        raise UnknownCounterError(
            f"El mostrador {mostrador} no está en la tabla de mostradores.",
            hint="Revise el número, o importe antes su renglón de mostradores.",
        )
    if not warehouse.insert(row):
        raise ConfiguredError(
            f"El mostrador {mostrador} ya tiene configuración.", hint=f"Cámbiela con PUT {PATH}/{mostrador}."
        )


def change(warehouse: Warehouse, row: Row, check: Check) -> None:
    """Put ``row`` in the place of its mostrador's. Raises `NotFoundError` where there is none, and as ``check``."""
    _changed(warehouse, row["mostrador"], check, lambda before: warehouse.update(before, row))


def remove(warehouse: Warehouse, mostrador: int, check: Check) -> None:
    """Take a mostrador's configuration away. Raises `NotFoundError` where it has none, and as ``check``."""
    _changed(warehouse, mostrador, check, warehouse.delete)


def _changed(warehouse: Warehouse, mostrador: int, check: Check, write: Callable[[Row], bool]) -> None:
    """Look, check and write until nobody wrote in between. Raises `BusyError` where somebody always does."""
    for _ in range(_TURNS):
        before = find(warehouse, mostrador)
        check(before)
        if write(before):
            return
    raise BusyError(
        f"Otros están cambiando la configuración del mostrador {mostrador}.", hint="Espere un momento y repita."
    )
