"""``ipp sample``: create a fictitious pharmacy chain to try IPP with."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, parse_day
from ipp.core.tables import IMPORTABLE_TABLES
from ipp.entrypoints.application import open_application
from ipp.entrypoints.local_wiring import Application
from ipp.errors import InvalidInputError
from ipp.jobs.change_author import change_author
from ipp.jobs.local_caller import local_caller
from ipp.sample import invent_chain, write_chain
from ipp.storage.change_record import Door

_LAST_SALE_DAY = dt.date(2026, 10, 31)
"""Last day of the sample's sell-out, fixed so that a seed gives the same data on any day."""


def sample(
    *,
    mostradores: Annotated[int, Parameter(help="Cuántos mostradores, de 1 a 10000.")] = 20,
    materiales: Annotated[int, Parameter(help="Cuántos productos, de 1 a 100000.")] = 4_000,
    dias: Annotated[int, Parameter(help="Días de venta hasta --corte, de 1 a 3650.")] = 365,
    semilla: Annotated[int, Parameter(help="La misma semilla da los mismos datos.")] = 1,
    corte: Annotated[
        str, Parameter(help="Último día de venta, aaaa-mm-dd.")
    ] = _LAST_SALE_DAY.isoformat(),
    as_json: AsJson = False,
) -> int:
    """Crea una cadena de farmacias inventada en IPP_HOME, donde no haya datos importados."""
    _check_size("--mostradores", mostradores, 10_000)
    _check_size("--materiales", materiales, 100_000)
    _check_size("--dias", dias, 3_650)
    if semilla < 0:
        raise InvalidInputError(f"--semilla {semilla} no es posible.", hint="De 0 en adelante.")
    end = parse_day("--corte", corte) or _LAST_SALE_DAY
    app = open_application()
    _refuse_real_data(app)
    chain = invent_chain(
        counters=mostradores, materials=materiales, days=dias, seed=semilla, end=end
    )
    with console.progress_reporter() as report:
        write_chain(
            chain,
            app.runner.lakehouse,
            app.runner.scratch,
            partial(report, "muestra"),
            change_author(local_caller(), Door.COMMAND),
        )
    if as_json:
        console.print_json(
            {"mostradores": mostradores, "materiales": materiales, "home": str(app.home)}
        )
        return 0
    console.print_line(
        f"Cadena de {console.format_count(mostradores)} mostradores "
        f"y {console.format_count(materiales)} productos, "
        f"{dias} días de venta hasta {end}, en {app.home}"
    )
    return 0


def _check_size(option: str, value: int, maximum: int) -> None:
    """Raise `InvalidInputError` unless ``value`` is from 1 to ``maximum``."""
    if not 1 <= value <= maximum:
        raise InvalidInputError(f"{option} {value} no es posible.", hint=f"De 1 a {maximum:,}.")


_MARK_FILE = "MUESTRA.txt"
_MARK_TEXT = (
    "Los datos de esta carpeta son inventados: los creó `ipp sample`, que puede reemplazarlos.\n"
)


def _refuse_real_data(app: Application) -> None:
    """Refuse to replace imported data; mark the folder as a sample before writing to it.

    Raises `InvalidInputError`.
    """
    mark = app.home / _MARK_FILE
    if mark.exists():
        return
    existing = [
        table.title
        for table in IMPORTABLE_TABLES.values()
        if app.runner.lakehouse.table_exists(table)
    ]
    if existing:
        raise InvalidInputError(
            f"{app.home} tiene datos importados: {', '.join(existing)}.",
            hint="La muestra los reemplazaría; indique otra carpeta en IPP_HOME.",
        )
    app.home.mkdir(parents=True, exist_ok=True)
    mark.write_text(_MARK_TEXT, encoding="utf-8")
