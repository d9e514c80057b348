"""``ipp sample``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, day
from ipp.core.tables import IMPORTABLE
from ipp.entrypoints.application import application
from ipp.entrypoints.local_wiring import Application
from ipp.errors import InvalidInputError
from ipp.sample import chain, write

_END = dt.date(2026, 10, 31)
"""Last day of the sample's sell-out: fixed, so that the same seed gives the same data on any day."""


def sample(
    *,
    mostradores: Annotated[int, Parameter(help="Cuántos mostradores, de 1 a 10000.")] = 20,
    materiales: Annotated[int, Parameter(help="Cuántos productos, de 1 a 100000.")] = 4_000,
    dias: Annotated[int, Parameter(help="Días de venta hasta --corte, de 1 a 3650.")] = 365,
    semilla: Annotated[int, Parameter(help="La misma semilla da los mismos datos.")] = 1,
    corte: Annotated[str, Parameter(help="Último día de venta, aaaa-mm-dd.")] = _END.isoformat(),
    as_json: AsJson = False,
) -> int:
    """Crea una cadena de farmacias inventada en IPP_HOME, donde no haya datos importados."""
    for name, value, most in (
        ("--mostradores", mostradores, 10_000), ("--materiales", materiales, 100_000), ("--dias", dias, 3_650),
    ):  # fmt: skip
        if not 1 <= value <= most:
            raise InvalidInputError(f"{name} {value} no es posible.", hint=f"De 1 a {most:,}.")
    end = day("--corte", corte) or _END
    app = application()
    _spare_real_data(app)
    made = chain(counters=mostradores, materials=materiales, days=dias, seed=semilla, end=end)
    with console.progress() as report:
        write(made, app.workspace.lakehouse, app.workspace.scratch, lambda done, total: report("muestra", done, total))
    if as_json:
        console.print_json({"mostradores": mostradores, "materiales": materiales, "home": str(app.home)})
        return 0
    console.say(
        f"Cadena de {console.whole(mostradores)} mostradores y {console.whole(materiales)} productos, "
        f"{dias} días de venta hasta {end}, en {app.home}"
    )
    return 0


_MARK = "MUESTRA.txt"
_MARKED = "Los datos de esta carpeta son inventados: los creó `ipp sample`, que puede reemplazarlos.\n"


def _spare_real_data(app: Application) -> None:
    """Refuse to replace tables that no sample made; mark the folder before it gets them."""
    mark = app.home / _MARK
    if mark.exists():
        return
    if kept := [table.title for table in IMPORTABLE.values() if app.workspace.lakehouse.exists(table)]:
        raise InvalidInputError(
            f"{app.home} tiene datos importados: {', '.join(kept)}.",
            hint="La muestra los reemplazaría; indique otra carpeta en IPP_HOME.",
        )
    app.home.mkdir(parents=True, exist_ok=True)
    mark.write_text(_MARKED, encoding="utf-8")
