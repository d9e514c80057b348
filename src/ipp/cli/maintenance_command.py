"""``ipp compact`` and ``ipp vacuum``: maintenance of the tables' and the jobs' files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Final

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson
from ipp.core.change_table import CHANGES
from ipp.core.contract import Table
from ipp.core.tables import IMPORTABLE_TABLES
from ipp.entrypoints.application import open_application
from ipp.entrypoints.clock import utc_now
from ipp.entrypoints.local_wiring import build_control_plane
from ipp.errors import InvalidInputError, name_some
from ipp.jobs.expired_data import PUBLISHED_TABLES
from ipp.jobs.job import RETENTION
from ipp.storage.lakehouse.change_log import ChangeLog
from ipp.storage.lakehouse.lakehouse import CompactionReport, Lakehouse, VacuumReport
from ipp.storage.lakehouse.maintenance import DELETED_FILE_RETENTION

_TABLES_BY_TITLE: Final[Mapping[str, Table]] = {
    **IMPORTABLE_TABLES,
    **{table.title: table for table in (*PUBLISHED_TABLES, CHANGES)},
}

_MAX_RETENTION_DAYS: Final = DELETED_FILE_RETENTION.days

_BYTES_PER_MEGABYTE: Final = 1e6

_FILES_TITLE: Final = "archivos"
"""What the files of jobs are called among the tables."""

_TableTitle = Annotated[str | None, Parameter(help=f"Sólo una: {', '.join(_TABLES_BY_TITLE)}.")]

_KeptDays = Annotated[
    int,
    Parameter(
        help=f"Conserva los archivos de las versiones de estos días, de 1 a {_MAX_RETENTION_DAYS}."
    ),
]
_ResultDays = Annotated[
    int | None,
    Parameter(
        help="Borra también los resultados publicados hace más de estos días, desde "
        f"{RETENTION.days}; sin ella los de IPP_RETENTION_DAYS; si no, se conservan todos."
    ),
]


def compact(*, tabla: _TableTitle = None, as_json: AsJson = False) -> int:
    """Vuelve a escribir, en pocos archivos y en orden, lo que está en muchos o en desorden."""
    tables = _requested_tables(tabla)
    lakehouse = _open_lakehouse()
    done: dict[str, CompactionReport] = {}
    with console.progress_reporter(lines=False) as report:
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
    dias: _KeptDays = _MAX_RETENTION_DAYS,
    resultados: _ResultDays = None,
    as_json: AsJson = False,
) -> int:
    """Borra los archivos que ninguna versión reciente usa, y lo que dejaron procesos olvidados.

    Un proceso se olvida a los siete días de su último cambio; sus resultados se conservan.
    """
    if not 1 <= dias <= _MAX_RETENTION_DAYS:
        raise InvalidInputError(
            f"--dias {dias} no es posible.", hint=f"De 1 a {_MAX_RETENTION_DAYS}."
        )
    tables, app = _requested_tables(tabla), open_application()
    ChangeLog(app.runner.lakehouse).copy_records()
    kept = _result_retention(app.settings.retention_days if resultados is None else resultados)
    plane, now = build_control_plane(app), utc_now()
    expired: Sequence[str] = ()
    if tabla is None and kept is not None:
        expired = plane.delete_results(app, now - kept)
    done: dict[str, VacuumReport] = {
        table.title: app.runner.lakehouse.vacuum_table(table, dt.timedelta(days=dias))
        for table in tables
    }
    runs = 0
    if tabla is None:
        done[_FILES_TITLE] = plane.remove_files(app, now)
        runs = plane.delete_ended_runs(now)
    if as_json:
        counts = {} if tabla is not None else {"ejecuciones": runs, "procesos": list(expired)}
        console.print_json({title: asdict(result) for title, result in done.items()} | counts)
        return 0
    _print_removed(done, runs, expired)
    return 0


def _result_retention(days: int | None) -> dt.timedelta | None:
    """Return for how long results are kept, None for ever. Raises `InvalidInputError`."""
    if days is None:
        return None
    if days < RETENTION.days:
        raise InvalidInputError(
            f"No se pueden borrar resultados de hace {days} días.",
            hint=f"Indique en --resultados o IPP_RETENTION_DAYS {RETENTION.days} días o más.",
        )
    return dt.timedelta(days=days)


def _print_removed(done: Mapping[str, VacuumReport], runs: int, expired: Sequence[str]) -> None:
    """Print what a vacuum removed: files by table, ended runs and jobs with their results."""
    gone = [
        [title, console.format_count(d.files), f"{d.size / _BYTES_PER_MEGABYTE:,.1f}"]
        for title, d in done.items()
        if d.files
    ]
    if gone:
        console.print_table("Archivos borrados", ["Tabla", "Archivos", "MB"], gone, texts=["Tabla"])
    if runs:
        console.print_line(f"Ejecuciones terminadas que se borraron: {runs:,}.")
    if expired:
        console.print_line(
            f"Procesos cuyos resultados se borraron: {name_some(expired)}. Sus archivos se irán "
            "cuando ninguna versión reciente de las tablas los use."
        )
    if not (gone or runs or expired):
        console.print_line("No hay nada que borrar.")


def _open_lakehouse() -> Lakehouse:
    """Return the tables, with every change recorded: maintenance may remove old commits."""
    lakehouse = open_application().runner.lakehouse
    ChangeLog(lakehouse).copy_records()
    return lakehouse


def _requested_tables(title: str | None) -> list[Table]:
    """Return the table with ``title``, or all. Raises `InvalidInputError` if there is none."""
    if title is None:
        return list(_TABLES_BY_TITLE.values())
    if title not in _TABLES_BY_TITLE:
        raise InvalidInputError(
            f"No existe la tabla {title}.", hint=f"Existen: {', '.join(_TABLES_BY_TITLE)}."
        )
    return [_TABLES_BY_TITLE[title]]
