"""``ipp validate`` and ``ipp run``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, chosen, day, parameter
from ipp.cli.results_command import describe, published
from ipp.core.parameters import BOUNDS, Parameters
from ipp.entrypoints.application import application
from ipp.entrypoints.clock import new_job_id, utc_now
from ipp.entrypoints.local_wiring import Application
from ipp.errors import InvalidInputError
from ipp.formats.intake.id_list import listed_in
from ipp.jobs.counter_ids import parse_mostradores
from ipp.jobs.job_plan import plan
from ipp.jobs.job_plan import validate as validate_mostradores
from ipp.jobs.job_spec import JobSpec, load_spec, save_spec
from ipp.pipeline.runners.local_runner import Workspace
from ipp.pipeline.stages import STAGES

_Listed = Annotated[
    list[str] | None,
    Parameter(consume_multiple=True, negative="", help="Números separados por comas o espacios: 7051602,7051603."),
]
_File = Annotated[Path | None, Parameter(help="Archivo csv, xlsx o Parquet con una columna mostrador.")]
_Every = Annotated[bool, Parameter(negative="", help="Todos los que tienen configuración.")]

_DEFAULTS = Parameters()
_OPTIONS = {name: "--" + bound.label.replace("_", "-") for name, bound in BOUNDS.items()}


def validate(
    *, mostradores: _Listed = None, archivo: _File = None, todos: _Every = False, as_json: AsJson = False
) -> int:
    """Dice qué mostradores tienen configuración; termina con 2 si a alguno le falta."""
    app = application()
    found = validate_mostradores(_asked(mostradores, archivo, app, todos=todos), app.warehouse)
    if as_json:
        console.print_json(found.document())
    else:
        console.say(found.message + ".")
        if found.invalid:
            console.say("Sin configuración: " + ", ".join(map(str, found.invalid)))
    return 2 if found.invalid else 0


def run(  # noqa: PLR0913  # one option for each parameter of the model
    *,
    mostradores: _Listed = None,
    archivo: _File = None,
    todos: _Every = False,
    dias_inversion_deseados: Annotated[float, parameter("investment_days")] = _DEFAULTS.investment_days,
    dias_inventario: Annotated[float, parameter("cover_days")] = _DEFAULTS.cover_days,
    joroba: Annotated[float, parameter("bump_share")] = _DEFAULTS.bump_share,
    precio_maximo: Annotated[float, parameter("max_price")] = _DEFAULTS.max_price,
    factor_forzado: Annotated[float | None, parameter("forced_factor")] = None,
    monto_deseado: Annotated[float | None, parameter("target_investment")] = None,
    corte: Annotated[
        str | None, Parameter(help="Último día de venta que cuenta, aaaa-mm-dd; el último que haya.")
    ] = None,
    reanudar: Annotated[str | None, Parameter(help="Repite un proceso que se interrumpió, por su job_id.")] = None,
    reintentar: Annotated[
        str | None, Parameter(help="Calcula sólo los mostradores que fallaron de un proceso, por su job_id.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Calcula el inventario de los mostradores y publica el resultado; termina con 1 si alguno falló."""
    app = application()
    listed = mostradores is not None or archivo is not None or todos
    if (reanudar is not None) + (reintentar is not None) + listed > 1:
        raise InvalidInputError(
            "--reanudar y --reintentar ya saben sus mostradores.", hint="Deje una sola de las opciones."
        )
    only: list[int] | None = None
    if reanudar is not None:
        spec = load_spec(reanudar, app.workspace.files)
    elif reintentar is not None:
        spec = load_spec(reintentar, app.workspace.files)
        only = _failed(spec, app)
    else:
        parameters = chosen(
            _OPTIONS,
            investment_days=dias_inversion_deseados,
            cover_days=dias_inventario,
            bump_share=joroba,
            max_price=precio_maximo,
            forced_factor=factor_forzado,
            target_investment=monto_deseado,
        )
        spec = _planned(_asked(mostradores, archivo, app, todos=todos), parameters, app, day("--corte", corte))
    _run(spec, app.workspace, only)
    describe(spec, app, as_json=as_json)
    return 1 if app.warehouse.failures(spec.job_id) else 0


def _failed(spec: JobSpec, app: Application) -> list[int]:
    """The mostradores that a job published nothing of, because they failed. Raises where there is none."""
    published(app, spec)
    failed = [int(row["mostrador"]) for row in app.warehouse.failures(spec.job_id)]
    if not failed:
        raise InvalidInputError(f"Ningún mostrador de {spec.job_id} falló.", hint="No hay nada que reintentar.")
    return failed


def _planned(
    mostradores: tuple[int, ...] | None, parameters: Parameters, app: Application, cutoff: dt.date | None
) -> JobSpec:
    spec = plan(
        mostradores,
        parameters,
        app.warehouse,
        job_id=new_job_id(),
        created_at=utc_now(),
        cutoff=cutoff,
    )
    save_spec(spec, app.workspace.files)
    return spec


def _run(spec: JobSpec, workspace: Workspace, only: Collection[int] | None) -> None:
    total = len(spec.mostradores if only is None else only)
    try:
        with console.progress() as report:
            for name, stage in STAGES.items():
                report(name, 0, total)
                counter = count(1)

                def advance(mostrador: int, name: str = name, counter: Iterator[int] = counter) -> None:
                    report(name, next(counter), total, mostrador=mostrador)

                stage(spec, workspace, advance, only=only)
    except BaseException as error:
        error.add_note(f"Siga con `ipp run --{'reanudar' if only is None else 'reintentar'} {spec.job_id}`.")
        raise


def _asked(listed: list[str] | None, file: Path | None, app: Application, *, todos: bool) -> tuple[int, ...] | None:
    """The ids asked for; None for every one."""
    if (listed is not None) + (file is not None) + todos != 1:
        raise InvalidInputError(
            "Hay que decir qué mostradores, de una sola manera.",
            hint="Use --mostradores, --archivo o --todos.",
        )
    if todos:
        return None
    if file is not None:
        return parse_mostradores(listed_in(file, app.workspace.scratch))
    return parse_mostradores(part for part in re.split(r"[,;\s]+", " ".join(listed or ())) if part)
