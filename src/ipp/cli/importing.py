"""``ipp import``."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ipp.cli import console
from ipp.cli.context import application
from ipp.core.tables import IMPORTABLE
from ipp.errors import InvalidInputError, RejectedRowsError
from ipp.intake.importing import ImportReport, import_file


def import_(
    tabla: Annotated[str, Parameter(help=f"Qué es: {', '.join(IMPORTABLE)}.")],
    archivo: Annotated[Path, Parameter(help="Archivo csv, xlsx o Parquet con una fila de encabezados.")],
    /,
    *,
    permitir_rechazos: Annotated[
        bool, Parameter(negative="", help="Escribe los renglones buenos aunque haya rechazos.")
    ] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Escribe el resultado como JSON.")] = False,
) -> int:
    """Importa un archivo a una tabla; un archivo dado dos veces no cambia nada la segunda."""
    table = IMPORTABLE.get(tabla)
    if table is None:
        raise InvalidInputError(f"No existe la tabla {tabla}.", hint=f"Existen: {', '.join(IMPORTABLE)}.")
    app = application()
    try:
        report = import_file(
            table,
            archivo,
            app.workspace.lakehouse,
            rejections=app.rejections,
            today=dt.datetime.now().astimezone().date(),
            allow_rejections=permitir_rechazos,
        )
    except RejectedRowsError as error:
        if as_json and error.report is not None:
            console.print_json(asdict(error.report))
        raise
    if as_json:
        console.print_json(asdict(report))
    else:
        console.say(_sentence(report))
    return 2 if report.rows_rejected else 0


def _sentence(report: ImportReport) -> str:
    read = f"{report.table}: {console.whole(report.rows_read)} renglones leídos"
    outcome = (
        f"{console.whole(report.rows_added)} nuevos, {console.whole(report.rows_changed)} cambiados"
        if report.changed
        else "nada cambió"
    )
    refused = (
        f"; {console.whole(report.rows_rejected)} rechazados, en {report.rejections}" if report.rows_rejected else ""
    )
    return f"{read}, {outcome}{refused}."
