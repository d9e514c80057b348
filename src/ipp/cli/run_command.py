"""``ipp validate`` and ``ipp run``: check mostradores and calculate them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, ModelOptions, parse_day, read_model_options
from ipp.cli.results_command import print_job_summary, published_rows
from ipp.core.parameters import Parameters
from ipp.entrypoints.application import open_application
from ipp.entrypoints.clock import new_job_id, utc_now
from ipp.entrypoints.local_wiring import Application
from ipp.errors import InvalidInputError
from ipp.formats.intake.id_list import read_id_list
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_plan import validate_counters as validate_mostradores
from ipp.jobs.job_spec import JobSpec, load_spec, save_spec
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import STAGES

_CounterList = Annotated[
    list[str] | None,
    Parameter(
        consume_multiple=True,
        negative="",
        help="Números separados por comas o espacios: 7051602,7051603.",
    ),
]
_ListFile = Annotated[
    Path | None, Parameter(help="Archivo csv, xlsx o Parquet con una columna mostrador.")
]
_AllCounters = Annotated[bool, Parameter(negative="", help="Todos los que tienen configuración.")]


def validate(
    *,
    mostradores: _CounterList = None,
    archivo: _ListFile = None,
    todos: _AllCounters = False,
    as_json: AsJson = False,
) -> int:
    """Dice qué mostradores tienen configuración; termina con 2 si a alguno le falta."""
    app = open_application()
    validation = validate_mostradores(
        _requested_counters(mostradores, archivo, app, todos=todos), app.warehouse
    )
    if as_json:
        console.print_json(validation.to_document())
    else:
        console.print_line(validation.message + ".")
        if validation.invalid:
            console.print_line("Sin configuración: " + ", ".join(map(str, validation.invalid)))
    return 2 if validation.invalid else 0


def run(
    *,
    mostradores: _CounterList = None,
    archivo: _ListFile = None,
    todos: _AllCounters = False,
    parametros: ModelOptions = None,
    corte: Annotated[
        str | None,
        Parameter(help="Último día de venta que cuenta, aaaa-mm-dd; el último que haya."),
    ] = None,
    reanudar: Annotated[
        str | None, Parameter(help="Repite un proceso que se interrumpió, por su job_id.")
    ] = None,
    reintentar: Annotated[
        str | None,
        Parameter(help="Calcula sólo los mostradores que fallaron de un proceso, por su job_id."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Calcula el inventario de los mostradores y publica el resultado; termina con 1 si alguno falló."""  # noqa: E501  # help text
    app = open_application()
    listed = mostradores is not None or archivo is not None or todos
    if (reanudar is not None) + (reintentar is not None) + listed > 1:
        raise InvalidInputError(
            "--reanudar y --reintentar ya saben sus mostradores.",
            hint="Deje una sola de las opciones.",
        )
    only: list[int] | None = None
    if reanudar is not None:
        spec = load_spec(reanudar, app.runner.files)
    elif reintentar is not None:
        spec = load_spec(reintentar, app.runner.files)
        only = _failed_counters(spec, app)
    else:
        parameters = read_model_options(parametros)
        spec = _plan_and_save(
            _requested_counters(mostradores, archivo, app, todos=todos),
            parameters,
            app,
            parse_day("--corte", corte),
        )
    _run_stages(spec, app.runner, only)
    print_job_summary(spec, app, as_json=as_json)
    return 1 if app.warehouse.failed_counters(spec.job_id) else 0


def _failed_counters(spec: JobSpec, app: Application) -> list[int]:
    """Return the mostradores of a job that failed. Raises `InvalidInputError` if none did."""
    published_rows(app, spec)
    failed = [int(row["mostrador"]) for row in app.warehouse.failed_counters(spec.job_id)]
    if not failed:
        raise InvalidInputError(
            f"Ningún mostrador de {spec.job_id} falló.", hint="No hay nada que reintentar."
        )
    return failed


def _plan_and_save(
    mostradores: tuple[int, ...] | None,
    parameters: Parameters,
    app: Application,
    cutoff: dt.date | None,
) -> JobSpec:
    spec = plan_job(
        mostradores,
        parameters,
        app.warehouse,
        job_id=new_job_id(),
        created_at=utc_now(),
        cutoff=cutoff,
    )
    save_spec(spec, app.runner.files)
    return spec


def _run_stages(spec: JobSpec, workspace: LocalRunner, only: Collection[int] | None) -> None:
    total = len(spec.mostradores if only is None else only)
    try:
        with console.progress_reporter() as report:
            for name, stage in STAGES.items():
                report(name, 0, total)
                counter = count(1)

                def advance(
                    mostrador: int, name: str = name, counter: Iterator[int] = counter
                ) -> None:
                    report(name, next(counter), total, mostrador=mostrador)

                stage(spec, workspace, advance, only=only)
    except BaseException as error:
        error.add_note(
            f"Siga con `ipp run --{'reanudar' if only is None else 'reintentar'} {spec.job_id}`."
        )
        raise


def _requested_counters(
    listed: list[str] | None, file: Path | None, app: Application, *, todos: bool
) -> tuple[int, ...] | None:
    """Return the requested ids, or None for all."""
    if (listed is not None) + (file is not None) + todos != 1:
        raise InvalidInputError(
            "Hay que decir qué mostradores, de una sola manera.",
            hint="Use --mostradores, --archivo o --todos.",
        )
    if todos:
        return None
    if file is not None:
        return parse_counter_ids(read_id_list(file, app.runner.scratch))
    return parse_counter_ids(part for part in re.split(r"[,;\s]+", " ".join(listed or ())) if part)
