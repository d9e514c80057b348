"""Write the generated references: tables, parameters and commands, from contracts and help texts.

A test fails when one is out of date.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Final

from ipp.cli import run_cli
from ipp.core.change_table import CHANGES
from ipp.core.contract import Column, Table
from ipp.core.parameters import PARAMETER_FIELDS, ParameterField
from ipp.core.tables import DECISION_COLUMNS, IMPORTABLE_TABLES, RESULTS
from ipp.formats.exports.table_export import ORDER_NOTE
from ipp.settings import DEFAULT_CATALOG

HERE = Path(__file__).parent

_HELP_COLUMNS: Final = 100
"""Width of the help texts, in characters."""

_COMMANDS_INTRODUCTION: Final = """# Commands

The help of every command, as `ipp COMMAND --ayuda` prints it, in the Spanish of the people who
use it. `make docs` writes this page. Variables are in [settings.md](settings.md); what to do with
the commands, in [the guides](../README.md).

Exit statuses: 0 done; 1 something failed; 2 what was given cannot be used and nothing changed, or
rows were refused; 130 interrupted. With `--json` a command prints its result as JSON on stdout;
progress and errors go to stderr.
"""


def tables_document() -> str:
    """Return the reference of every table people import or read, in Spanish."""
    parts = [
        "# Tablas\n\nQué columnas lleva cada archivo que se importa, la tabla de resultados y la "
        "de cambios. "
        "Este texto sale de los contratos del código (`make docs`).\n\n"
        "Los encabezados valen con o sin acentos, mayúsculas, puntos, espacios o guiones. "
        "Fechas: `2026-01-31`, `20260131`, `31/01/2026`, `31.01.2026` o `31-ene-2026`. "
        "Sí/no: sí, no, 1, 0, x, verdadero, falso.\n\n"
        f"Las tablas están en el catálogo `{DEFAULT_CATALOG}`; en Databricks puede ser otro, el "
        "que diga quien lo instaló (`IPP_CATALOG`, ver [settings.md](settings.md)).\n"
    ]
    parts += [
        _table(table, f"ipp import {table.title} ARCHIVO") for table in IMPORTABLE_TABLES.values()
    ]
    parts.append(_table(RESULTS, "ipp results JOB --salida ARCHIVO"))
    parts.append(
        f"En Excel hay además, junto a `{RESULTS.labels['suggested_order']}`, la columna "
        f"`{ORDER_NOTE.label}`: {ORDER_NOTE.about[:1].lower()}{ORDER_NOTE.about[1:]} "
        "Dice cuántos son en su mostrador y cuánto valen.\n"
    )
    limits = "; ".join(
        f"`{column.label}`: {column.about[:1].lower()}{column.about[1:-1]}"
        for column in DECISION_COLUMNS
    )
    parts.append(
        f"La tabla `{RESULTS.full_name(DEFAULT_CATALOG)}` tiene además, para el modelo "
        f"predictivo, columnas que los archivos no llevan: {limits}.\n"
    )
    parts.append(_table(CHANGES, "ipp audit"))
    return "\n".join(parts)


def commands_document() -> str:
    """Return the help of the command line and of each of its commands."""
    overview = _help_text()
    commands = re.findall(r"^│ ([a-z]+) ", overview, re.MULTILINE)
    parts = [_COMMANDS_INTRODUCTION, f"```text\n{overview}```\n"]
    parts += [f"## ipp {name}\n\n```text\n{_help_text(name)}```\n" for name in commands]
    return "\n".join(parts)


def _help_text(*command: str) -> str:
    """Return the help of a command at a fixed width, without trailing spaces."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(_HELP_COLUMNS)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            run_cli([*command, "--ayuda"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return "".join(f"{line.rstrip()}\n" for line in shown.getvalue().strip().splitlines())


def _table(table: Table, command: str) -> str:
    imported = table.title in IMPORTABLE_TABLES
    headings = [
        "columna",
        "qué es",
        "tipo",
        "unidad",
        *(["límites", "si falta", "también se llama"] * imported),
    ]
    lines = [
        (
            f"## {table.title}\n\n`{command}` · tabla `{table.full_name(DEFAULT_CATALOG)}` · "
            f"un renglón por {', '.join(_labels(table))}\n"
        ),
        f"| {' | '.join(headings)} |",
        f"| {' | '.join('---' for _ in headings)} |",
        *(f"| {' | '.join(_cells(column)[: len(headings)])} |" for column in table.columns),
        "",
    ]
    return "\n".join(lines)


def _labels(table: Table) -> list[str]:
    return [table.labels[name] for name in table.key]


def _cells(column: Column) -> list[str]:
    bounds = "–".join(
        "" if b is None else f"{b:,.15g}" for b in (column.minimum, column.maximum)
    ).strip("–")
    if isinstance(column.default, bool):
        missing = "sí" if column.default else "no"
    elif column.default is not None:
        missing = str(column.default)
    else:
        missing = "se rechaza" if column.required else "queda vacía"
    return [
        f"`{column.label}`",
        column.about,
        column.kind.value,
        column.unit,
        " o ".join(column.choices) or bounds,
        missing,
        ", ".join(column.aliases),
    ]


def parameters_document() -> str:
    """Return the reference of every parameter of a run, in Spanish."""
    headings = ["parámetro", "qué es", "unidad", "límites", "si no se da", "modelo", "opción"]
    lines = [
        "# Parámetros\n\nCon qué puede calcularse un proceso. Este texto sale de las declaraciones "
        "del código (`make docs`).\n\n"
        "Se dan por su nombre en la página y en `parametros` de `POST /ipp/start`, o con su opción "
        "a `ipp run`. Valen para todos los mostradores del proceso cuyo `tipo_inventario` es de "
        "ese modelo.\n",
        f"| {' | '.join(headings)} |",
        f"| {' | '.join('---' for _ in headings)} |",
        *(
            f"| {' | '.join(_parameter_cells(declared))} |"
            for declared in PARAMETER_FIELDS.values()
        ),
        "",
    ]
    return "\n".join(lines)


def _parameter_cells(declared: ParameterField) -> list[str]:
    return [
        f"`{declared.label}`",
        declared.description.es,
        declared.unit,
        f"{declared.minimum:,.15g}–{declared.maximum:,.15g}",
        "" if declared.default is None else f"{declared.default:,.15g}",
        " o ".join(declared.models),
        f"`{declared.option}`",
    ]


DOCUMENTS: Final = {
    "tablas.md": tables_document,
    "parametros.md": parameters_document,
    "commands.md": commands_document,
}
"""How to write each document."""


if __name__ == "__main__":
    for name, document in DOCUMENTS.items():
        (HERE / name).write_text(document(), encoding="utf-8")
