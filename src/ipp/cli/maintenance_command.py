"""``ipp compact`` and ``ipp vacuum``: maintenance of the tables' files."""

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
from ipp.core.tables import CURVES, FAILURES, IMPORTABLE_TABLES, NOTICES, PROCESSES, RESULTS
from ipp.entrypoints.application import open_application
from ipp.errors import InvalidInputError
from ipp.storage.lakehouse.lakehouse import CompactionReport, VacuumReport
from ipp.storage.lakehouse.maintenance import DELETED_FILE_RETENTION

_TABLES_BY_TITLE: Final[Mapping[str, Table]] = {
    **IMPORTABLE_TABLES,
    **{table.title: table for table in (RESULTS, CURVES, FAILURES, NOTICES, PROCESSES)},
}

_MAX_RETENTION_DAYS: Final = DELETED_FILE_RETENTION.days

_BYTES_PER_MEGABYTE: Final = 1e6

_TableTitle = Annotated[str | None, Parameter(help=f"Sólo una: {', '.join(_TABLES_BY_TITLE)}.")]


def compact(*, tabla: _TableTitle = None, as_json: AsJson = False) -> int:
    """Vuelve a escribir, en pocos archivos y en orden, lo que está en muchos o en desorden."""
    tables = _requested_tables(tabla)
    lakehouse = open_application().runner.lakehouse
    done: dict[str, CompactionReport] = {}
    with console.progress_reporter() as report:
        for table in tables:
            done[table.title] = lakehouse.compact_table(table, partial(report, table.title))
    if as_json:
        console.print_json({title: asdict(result) for title, result in done.items()})
        return 0
    changed = [
        [title, console.format_count(d.replaced), console.format_count(d.written)]
        for title, d in done.items()
        if d.replaced
    ]
    if changed:
        console.print_table(
            "Compactación", ["Tabla", "Reemplazados", "Escritos"], changed, texts=["Tabla"]
        )
    else:
        console.print_line("Todo está en orden: no hay nada que compactar.")
    return 0


def vacuum(
    *,
    tabla: _TableTitle = None,
    dias: Annotated[
        int,
        Parameter(
            help="Conserva los archivos de las versiones de estos días, "
            f"de 1 a {_MAX_RETENTION_DAYS}."
        ),
    ] = _MAX_RETENTION_DAYS,
    as_json: AsJson = False,
) -> int:
    """Borra los archivos que ninguna versión reciente usa, y los que dejaron procesos muertos."""
    if not 1 <= dias <= _MAX_RETENTION_DAYS:
        raise InvalidInputError(
            f"--dias {dias} no es posible.", hint=f"De 1 a {_MAX_RETENTION_DAYS}."
        )
    tables = _requested_tables(tabla)
    lakehouse = open_application().runner.lakehouse
    done: dict[str, VacuumReport] = {
        table.title: lakehouse.vacuum_table(table, dt.timedelta(days=dias)) for table in tables
    }
    if as_json:
        console.print_json({title: asdict(result) for title, result in done.items()})
        return 0
    gone = [
        [title, console.format_count(d.files), f"{d.size / _BYTES_PER_MEGABYTE:,.1f}"]
        for title, d in done.items()
        if d.files
    ]
    if gone:
        console.print_table("Archivos borrados", ["Tabla", "Archivos", "MB"], gone, texts=["Tabla"])
    else:
        console.print_line("No hay nada que borrar.")
    return 0


def _requested_tables(title: str | None) -> list[Table]:
    """Return the table with ``title``, or all. Raises `InvalidInputError` if there is none."""
    if title is None:
        return list(_TABLES_BY_TITLE.values())
    if title not in _TABLES_BY_TITLE:
        raise InvalidInputError(
            f"No existe la tabla {title}.", hint=f"Existen: {', '.join(_TABLES_BY_TITLE)}."
        )
    return [_TABLES_BY_TITLE[title]]
