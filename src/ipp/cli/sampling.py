"""``ipp sample``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from cyclopts import Parameter

from ipp.cli import console
from ipp.cli.context import application
from ipp.errors import InvalidInputError
from ipp.sample import chain, write


def sample(
    *,
    mostradores: Annotated[int, Parameter(help="Cuántos mostradores, de 1 a 10000.")] = 20,
    materiales: Annotated[int, Parameter(help="Cuántos productos, de 1 a 100000.")] = 4_000,
    dias: Annotated[int, Parameter(help="Días de venta hasta --corte, de 1 a 3650.")] = 365,
    semilla: Annotated[int, Parameter(help="La misma semilla da los mismos datos.")] = 1,
    corte: Annotated[str, Parameter(help="Último día de venta, aaaa-mm-dd.")] = "2026-10-31",
) -> int:
    """Crea una cadena de farmacias inventada en IPP_HOME, en lugar de los datos que hubiera."""
    for name, value, most in (
        ("--mostradores", mostradores, 10_000), ("--materiales", materiales, 100_000), ("--dias", dias, 3_650),
    ):  # fmt: skip
        if not 1 <= value <= most:
            raise InvalidInputError(f"{name} {value} no es posible.", hint=f"De 1 a {most:,}.")
    try:
        end = dt.date.fromisoformat(corte)
    except ValueError:
        raise InvalidInputError(f"--corte {corte} no es una fecha.", hint="Escríbala aaaa-mm-dd.") from None
    app = application()
    made = chain(counters=mostradores, materials=materiales, days=dias, seed=semilla, end=end)
    with console.progress() as report:
        write(made, app.workspace.lakehouse, lambda done, total: report("muestra", done, total))
    console.say(
        f"Cadena de {console.whole(mostradores)} mostradores y {console.whole(materiales)} productos, "
        f"{dias} días de venta hasta {end}, en {app.home}"
    )
    return 0
