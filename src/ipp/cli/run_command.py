"""``ipp validate``, ``ipp run`` and ``ipp cancel``: check mostradores and calculate them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ipp import console
from ipp.cli.job_summary import print_job_summary
from ipp.cli.option import AsJson, ModelOptions, parse_day, read_model_options
from ipp.cli.results_command import check_completed, job_document
from ipp.entrypoints.application import open_application
from ipp.entrypoints.job_driver import drive_job
from ipp.entrypoints.local_wiring import Application, ControlPlane, build_control_plane
from ipp.errors import InvalidInputError, is_temporary
from ipp.formats.intake.id_list import read_id_list
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.jobs.job import Job, JobStatus
from ipp.jobs.local_caller import local_caller
from ipp.storage.files.scratch import Scratch


@dataclass(frozen=True)
class _CounterChoice:
    """The options that say which mostradores, of which a person gives one."""

    mostradores: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="Números separados por comas o espacios: 7051602,7051603.",
        ),
    ] = None
    archivo: Annotated[
        Path | None, Parameter(help="Archivo csv, xlsx o Parquet con una columna mostrador.")
    ] = None
    todos: Annotated[bool, Parameter(negative="", help="Todos los que tienen configuración.")] = (
        False
    )

    @property
    def count(self) -> int:
        """How many of the options were given."""
        return (self.mostradores is not None) + (self.archivo is not None) + self.todos

    def read_ids(self, scratch: Scratch) -> tuple[int, ...] | None:
        """Return the ids, None for all. Raises `InvalidInputError` unless one option is given."""
        if self.count != 1:
            raise InvalidInputError(
                "Hay que decir qué mostradores, de una sola manera.",
                hint="Use --mostradores, --archivo o --todos.",
            )
        if self.todos:
            return None
        if self.archivo is not None:
            return parse_counter_ids(read_id_list(self.archivo, scratch))
        text = " ".join(self.mostradores or ())
        return parse_counter_ids(part for part in re.split(r"[,;\s]+", text) if part)


_CounterOptions = Annotated[_CounterChoice, Parameter(name="*")]
_NO_CHOICE: Final = _CounterChoice()

_CANCEL_WAIT_SECONDS: Final = 15.0
"""Seconds to wait for a stage that is being cancelled to stop."""

_CANCEL_POLL_SECONDS: Final = 0.3


def validate(*, choice: _CounterOptions = _NO_CHOICE, as_json: AsJson = False) -> int:
    """Dice qué mostradores tienen configuración; termina con 2 si a alguno le falta."""
    app = open_application()
    counters = choice.read_ids(app.runner.scratch)
    validation = build_control_plane(app).service.validate_counters(counters)
    if as_json:
        console.print_json(validation.to_document())
    else:
        console.print_line(validation.message + ".")
        if validation.invalid:
            console.print_line("Sin configuración: " + ", ".join(map(str, validation.invalid)))
    return 2 if validation.invalid else 0


def run(
    *,
    choice: _CounterOptions = _NO_CHOICE,
    parametros: ModelOptions = None,
    corte: Annotated[
        str | None,
        Parameter(help="Último día de venta que cuenta, aaaa-mm-dd; el último que haya."),
    ] = None,
    reanudar: Annotated[
        str | None,
        Parameter(help="Sigue con un proceso que se interrumpió o falló, por su job_id."),
    ] = None,
    reintentar: Annotated[
        str | None,
        Parameter(help="Calcula sólo los mostradores que fallaron de un proceso, por su job_id."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Calcula los mostradores y publica el resultado; termina con 1 si alguno falló."""
    app = open_application()
    _check_one_source(choice, reanudar, reintentar)
    plane, caller = build_control_plane(app, limited=False), local_caller(admin=True)
    if reanudar is not None:
        job = plane.service.resume_job(caller, reanudar)
    elif reintentar is not None:
        job = plane.service.retry_job(caller, reintentar)
    else:
        parameters, cutoff = read_model_options(parametros), parse_day("--corte", corte)
        counters = choice.read_ids(app.runner.scratch)
        if counters is None:
            counters = plane.service.validate_counters(None).valid
        job = plane.service.start_job(caller, counters, parameters, cutoff=cutoff)
    if not job.status.ended:
        job = _wait_for_job(app, plane, job)
    check_completed(job)
    if as_json:
        console.print_json(job_document(job, app, None))
    else:
        print_job_summary(job, app)
    return 1 if app.warehouse.failed_counters(job.job_id) else 0


def _check_one_source(choice: _CounterChoice, resumed: str | None, retried: str | None) -> None:
    """Raise `InvalidInputError` if mostradores are given together with a job, or two jobs are."""
    if (choice.count > 0) + (resumed is not None) + (retried is not None) > 1:
        raise InvalidInputError(
            "--reanudar y --reintentar ya saben sus mostradores.",
            hint="Deje una sola de las opciones.",
        )


def cancel(
    job: Annotated[str, Parameter(help="El job_id del proceso.")], /, *, as_json: AsJson = False
) -> int:
    """Cancela un proceso que no ha terminado."""
    plane, caller = build_control_plane(open_application()), local_caller(admin=True)
    cancelled = plane.service.cancel_job(caller, job)
    deadline = time.monotonic() + _CANCEL_WAIT_SECONDS
    while not cancelled.status.ended and time.monotonic() < deadline:
        time.sleep(_CANCEL_POLL_SECONDS)
        cancelled = plane.service.job_status(caller, job)
    if as_json:
        console.print_json({"job_id": job, "status": cancelled.status.value})
    elif cancelled.status is JobStatus.CANCELLED:
        console.print_line(f"El proceso {job} se canceló.")
    elif cancelled.status.ended:
        console.print_line(f"El proceso {job} terminó antes de cancelarse: {cancelled.status}.")
    else:
        console.print_line(f"El proceso {job} se cancela en cuanto su etapa se detenga.")
    return 0


def _wait_for_job(app: Application, plane: ControlPlane, job: Job) -> Job:
    """Return the job as it ended, showing its progress; an error says how to go on."""
    try:
        with console.progress_reporter() as report:
            return drive_job(app, plane, job, report)
    except BaseException as error:
        # A retry that failed is completed as before, one that was interrupted waits.
        failed = isinstance(error, Exception) and not is_temporary(error)
        again = "reintentar" if job.retried and failed else "reanudar"
        error.add_note(f"Siga con `ipp run --{again} {job.job_id}`.")
        raise
