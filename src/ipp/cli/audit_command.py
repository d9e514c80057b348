"""``ipp audit``: show who changed what all share."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, parse_day
from ipp.core.tables import IMPORTABLE_TABLES
from ipp.entrypoints.application import open_application
from ipp.errors import InvalidInputError
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.server.api.change_routes import ChangeDocument, change_document, start_of_day
from ipp.storage.change_record import ROWS_LABEL, ChangeState, changed_fields
from ipp.storage.warehouse.warehouse import ChangeQuery

_MAX_LIMIT: Final = 100_000


def audit(
    *,
    objeto: Annotated[
        str | None, Parameter(help=f"Sólo los de una tabla: {', '.join(IMPORTABLE_TABLES)}.")
    ] = None,
    mostrador: Annotated[
        str | None, Parameter(help="Sólo los de la configuración de un mostrador.")
    ] = None,
    importacion: Annotated[
        str, Parameter(help="Sólo los renglones de un archivo, por el número de su importación.")
    ] = "",
    texto: Annotated[str, Parameter(help="Sólo los que lo tienen: quién, valor o archivo.")] = "",
    desde: Annotated[str | None, Parameter(help="Primer día, aaaa-mm-dd.")] = None,
    limite: Annotated[int, Parameter(help=f"Cuántos a lo más, de 1 a {_MAX_LIMIT:,}.")] = 50,
    as_json: AsJson = False,
) -> int:
    """Muestra quién cambió lo que todos comparten, cuándo y cómo estaba; lo más nuevo primero."""
    if objeto is not None and objeto not in IMPORTABLE_TABLES:
        raise InvalidInputError(
            f"No existe la tabla {objeto}.", hint=f"Existen: {', '.join(IMPORTABLE_TABLES)}."
        )
    if not 1 <= limite <= _MAX_LIMIT:
        raise InvalidInputError(f"--limite {limite} no es posible.", hint=f"De 1 a {_MAX_LIMIT:,}.")
    day = parse_day("--desde", desde)
    wanted = ChangeQuery(
        limit=limite,
        title=objeto or "",
        mostrador=None if mostrador is None else parse_counter_ids([mostrador])[0],
        bulk_id=importacion,
        text=texto,
        since="" if day is None else start_of_day(day),
    )
    changes = [change_document(row) for row in open_application().warehouse.list_changes(wanted)]
    if as_json:
        console.print_json(changes)
    elif changes:
        headings = ["Cuándo", "Quién", "Por dónde", "Qué", "Antes → después"]
        console.print_table("Cambios", headings, [*map(_table_row, changes)], texts=headings)
    else:
        console.print_line("No hay cambios que mostrar.")
    return 0


def _table_row(change: ChangeDocument) -> list[str]:
    moment = dt.datetime.fromisoformat(change["cuando"]).astimezone()
    what = f"{change['operacion']} {change['objeto']} {change['clave']}".strip()
    if change["estado"] != ChangeState.DONE:
        what += f" ({change['estado']})"
    return [
        f"{moment:%Y-%m-%d %H:%M}", change["quien"], change["puerta"], what, _describe(change)
    ]  # fmt: skip


def _describe(change: ChangeDocument) -> str:
    """Return the fields that changed, or the counts of a change of many rows."""
    if change["antes"] is None and change["despues"] is None:
        detail = change["detalle"] or {}
        counts = ", ".join(f"{name}: {_cell(value)}" for name, value in detail.items())
        rows = f"; cada uno: ipp audit --importacion {change['id']}" if ROWS_LABEL in detail else ""
        return counts + rows
    if change["despues"] is None:
        return "se borró"
    fields = changed_fields(change["antes"], change["despues"])
    if change["antes"] is None:
        return ", ".join(f"{label}: {_cell(after)}" for label, _, after in fields)
    return ", ".join(f"{label}: {_cell(old)} → {_cell(new)}" for label, old, new in fields)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "vacío"
    if isinstance(value, bool):
        return "sí" if value else "no"
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
