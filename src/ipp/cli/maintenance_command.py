"""``ipp compact`` and ``ipp vacuum``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Final

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson
from ipp.core.contract import Table
from ipp.core.tables import CURVES, FAILURES, IMPORTABLE, NOTICES, PROCESSES, RESULTS
from ipp.entrypoints.application import application
from ipp.errors import InvalidInputError
from ipp.storage.lakehouse.lakehouse import Compaction, Vacuum
from ipp.storage.lakehouse.maintenance import REMEMBERED

_TABLES: Final[Mapping[str, Table]] = {
    **IMPORTABLE,
    **{table.title: table for table in (RESULTS, CURVES, FAILURES, PROCESSES)},
    **{table.title: table for table in (RESULTS, CURVES, FAILURES, NOTICES)},
}

_LONGEST: Final = REMEMBERED.days

_MEGABYTE: Final = 1e6

_Wanted = Annotated[str | None, Parameter(help=f"Sólo una: {', '.join(_TABLES)}.")]


def compact(*, tabla: _Wanted = None, as_json: AsJson = False) -> int:
    """Vuelve a escribir, en pocos archivos y en orden, lo que está en muchos o en desorden."""
    tables = _asked(tabla)
    lakehouse = application().workspace.lakehouse
    done: dict[str, Compaction] = {}
    with console.progress() as report:
        for table in tables:
            done[table.title] = lakehouse.compact(table, partial(report, table.title))
    if as_json:
        console.print_json({title: asdict(made) for title, made in done.items()})
        return 0
    changed = [[title, console.whole(d.replaced), console.whole(d.written)] for title, d in done.items() if d.replaced]
    if changed:
        console.print_table("Compactación", ["Tabla", "Reemplazados", "Escritos"], changed, texts=["Tabla"])
    else:
        console.say("Todo está en orden: no hay nada que compactar.")
    return 0


def vacuum(
    *,
    tabla: _Wanted = None,
    dias: Annotated[
        int, Parameter(help=f"Conserva los archivos de las versiones de estos días, de 1 a {_LONGEST}.")
    ] = _LONGEST,
    as_json: AsJson = False,
) -> int:
    """Borra los archivos que ninguna versión de los últimos días usa, y lo que dejaron procesos muertos."""
    if not 1 <= dias <= _LONGEST:
        raise InvalidInputError(f"--dias {dias} no es posible.", hint=f"De 1 a {_LONGEST}.")
    tables = _asked(tabla)
    lakehouse = application().workspace.lakehouse
    done: dict[str, Vacuum] = {table.title: lakehouse.vacuum(table, dt.timedelta(days=dias)) for table in tables}
    if as_json:
        console.print_json({title: asdict(made) for title, made in done.items()})
        return 0
    gone = [[title, console.whole(d.files), f"{d.size / _MEGABYTE:,.1f}"] for title, d in done.items() if d.files]
    if gone:
        console.print_table("Archivos borrados", ["Tabla", "Archivos", "MB"], gone, texts=["Tabla"])
    else:
        console.say("No hay nada que borrar.")
    return 0


def _asked(title: str | None) -> list[Table]:
    """The table of that title, or all. Raises `InvalidInputError` where there is none."""
    if title is None:
        return list(_TABLES.values())
    if title not in _TABLES:
        raise InvalidInputError(f"No existe la tabla {title}.", hint=f"Existen: {', '.join(_TABLES)}.")
    return [_TABLES[title]]
