"""The register of configurations: a row a mostrador, changed one at a time by people who may do so at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl

from ipp.core.tables import CONFIGURATIONS, COUNTERS
from ipp.errors import IppError, NotFoundError
from ipp.lakehouse.base import Lakehouse

PATH: Final = "/configuraciones"
"""Where the register is found."""

Row = Mapping[str, Any]
"""A row of `CONFIGURATIONS`, by the names in code."""

Check = Callable[[Row], None]
"""Looks at a row before it is changed, and raises where it must not be."""


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


def find(lakehouse: Lakehouse, mostrador: int) -> Row:
    """The configuration of ``mostrador``. Raises `NotFoundError` where it has none."""
    found = lakehouse.scan(CONFIGURATIONS).filter(pl.col("mostrador") == mostrador).limit(1).collect()
    if found.is_empty():
        raise _missing(mostrador)
    return found.row(0, named=True)


def add(lakehouse: Lakehouse, row: Row) -> None:
    """Give a mostrador its configuration.

    Raises `UnknownCounterError` for a mostrador that is not there, `ConfiguredError` where it has a configuration.
    """
    mostrador = row["mostrador"]
    known = lakehouse.scan(COUNTERS).filter(pl.col("mostrador") == mostrador).limit(1).collect()
    if known.is_empty():
        raise UnknownCounterError(
            f"El mostrador {mostrador} no está en la tabla de mostradores.",
            hint="Revise el número, o importe antes su renglón de mostradores.",
        )
    with lakehouse.writing(CONFIGURATIONS):
        rows = lakehouse.scan(CONFIGURATIONS).collect()
        if mostrador in rows["mostrador"]:
            raise ConfiguredError(
                f"El mostrador {mostrador} ya tiene configuración.", hint=f"Cámbiela con PUT {PATH}/{mostrador}."
            )
        lakehouse.replace(CONFIGURATIONS, _with(rows, row))


def change(lakehouse: Lakehouse, row: Row, check: Check) -> None:
    """Put ``row`` in the place of its mostrador's. Raises `NotFoundError` where there is none, and as ``check``."""
    with lakehouse.writing(CONFIGURATIONS):
        lakehouse.replace(CONFIGURATIONS, _with(_others(lakehouse, row["mostrador"], check), row))


def remove(lakehouse: Lakehouse, mostrador: int, check: Check) -> None:
    """Take a mostrador's configuration away. Raises `NotFoundError` where it has none, and as ``check``."""
    with lakehouse.writing(CONFIGURATIONS):
        lakehouse.replace(CONFIGURATIONS, _others(lakehouse, mostrador, check).lazy())


def _others(lakehouse: Lakehouse, mostrador: int, check: Check) -> pl.DataFrame:
    rows = lakehouse.scan(CONFIGURATIONS).collect()
    mine = rows.filter(pl.col("mostrador") == mostrador)
    if mine.is_empty():
        raise _missing(mostrador)
    check(mine.row(0, named=True))
    return rows.filter(pl.col("mostrador") != mostrador)


def _with(rows: pl.DataFrame, row: Row) -> pl.LazyFrame:
    return pl.concat([rows, pl.DataFrame([row], schema=CONFIGURATIONS.schema)]).sort("mostrador").lazy()


def _missing(mostrador: int) -> NotFoundError:
    return NotFoundError(
        f"El mostrador {mostrador} no tiene configuración.", hint=f"Créela con POST {PATH}, o revise el número."
    )
