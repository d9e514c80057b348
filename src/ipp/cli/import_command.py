"""``ipp import``: import a file into a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ipp import console
from ipp.core.contract import Table, normalise_label
from ipp.core.tables import IMPORTABLE_TABLES
from ipp.entrypoints.application import open_application
from ipp.errors import InvalidInputError, RejectedRowsError
from ipp.formats.intake.table_import import ImportReport
from ipp.jobs.change_author import change_author
from ipp.jobs.local_caller import local_caller
from ipp.storage.change_record import Door

_SIMILARITY_THRESHOLD: Final = 0.8
"""Similarity, from 0 to 1, from which a heading counts as a misspelling of another."""


def import_(
    tabla: Annotated[str, Parameter(help=f"Qué es: {', '.join(IMPORTABLE_TABLES)}.")],
    archivo: Annotated[
        Path, Parameter(help="Archivo csv, xlsx o Parquet con una fila de encabezados.")
    ],
    /,
    *,
    permitir_rechazos: Annotated[
        bool, Parameter(negative="", help="Escribe los renglones buenos aunque haya rechazos.")
    ] = False,
    sumar: Annotated[
        bool,
        Parameter(
            negative="",
            help="Suma los renglones de un mismo día (tickets) y resta las devoluciones; sellout.",
        ),
    ] = False,
    as_json: Annotated[
        bool, Parameter(name="--json", negative="", help="Escribe el resultado como JSON.")
    ] = False,
) -> int:
    """Importa un archivo a una tabla; un archivo dado dos veces no cambia nada la segunda."""
    table = IMPORTABLE_TABLES.get(tabla)
    if table is None:
        raise InvalidInputError(
            f"No existe la tabla {tabla}.", hint=f"Existen: {', '.join(IMPORTABLE_TABLES)}."
        )
    if sumar:
        table = table.adding_rows()
    app = open_application()
    try:
        report = app.importer.import_file(
            table,
            archivo,
            rejections=app.rejections,
            today=dt.datetime.now().astimezone().date(),
            author=change_author(local_caller(), Door.COMMAND),
            allow_rejections=permitir_rechazos,
        )
    except RejectedRowsError as error:
        if as_json and error.report is not None:
            console.print_json(asdict(error.report))
        raise
    if as_json:
        console.print_json(asdict(report))
    else:
        _print_report(report, table)
    return 2 if report.rows_rejected else 0


def _print_report(report: ImportReport, table: Table) -> None:
    console.print_line(_report_sentence(report))
    if report.ignored_columns:
        console.print_line(
            f"Columnas que no se usaron: {_ignored_columns(report.ignored_columns, table)}."
        )
    for warning in report.warnings:
        console.print_line(f"Aviso: {warning}.")


def _report_sentence(report: ImportReport) -> str:
    read = f"{report.table}: {_count_phrase(report.rows_read, 'renglón leído', 'renglones leídos')}"
    outcome = (
        f"{_count_phrase(report.rows_added, 'nuevo', 'nuevos')}, "
        f"{_count_phrase(report.rows_changed, 'cambiado', 'cambiados')}"
        if report.changed
        else "nada cambió"
    )
    refused = (
        f"; {_count_phrase(report.rows_rejected, 'rechazado', 'rechazados')}, "
        f"en {report.rejections}"
        if report.rows_rejected
        else ""
    )
    return f"{read}, {outcome}{refused}."


def _count_phrase(count: int, one: str, several: str) -> str:
    return f"{console.format_count(count)} {one if count == 1 else several}"


def _ignored_columns(headings: Sequence[str], table: Table) -> str:
    """Return the headings as text, each with the column that was probably meant."""
    spellings = {
        spelling: column.label for column in table.columns for spelling in column.spellings
    }
    named = []
    for heading in headings:
        near = get_close_matches(
            normalise_label(heading), spellings, n=1, cutoff=_SIMILARITY_THRESHOLD
        )
        named.append(f"«{heading}»" + (f" (¿{spellings[near[0]]}?)" if near else ""))
    return ", ".join(named)
