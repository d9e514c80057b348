"""``ipp results``: the results of a job, on the terminal or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from ipp import console
from ipp.cli.job_summary import (
    job_locations,
    print_curve,
    print_job_summary,
    print_top_products,
    summarise_job,
)
from ipp.cli.option import AsJson
from ipp.cli.stage_export import StageOutput, save_stage_output
from ipp.core.tables import RESULTS
from ipp.entrypoints.application import open_application
from ipp.entrypoints.local_wiring import Application, build_control_plane
from ipp.errors import InvalidInputError, IppError, NotFoundError
from ipp.formats.exports.table_export import WORKBOOK_TABLE, annotate_orders
from ipp.formats.spreadsheet import write_table
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.jobs.job import Job, JobStatus
from ipp.jobs.job_service import NotCompletedError
from ipp.jobs.job_spec import JobSpec, load_spec, saved_specs
from ipp.jobs.job_store import JobCursor
from ipp.jobs.local_caller import local_caller
from ipp.jobs.published_job import job_of_spec

_PAGE_JOBS = 200
"""Jobs read at a time."""

_STATUS_WORDS = {
    JobStatus.COMPLETED: "completado",
    JobStatus.FAILED: "falló",
    JobStatus.CANCELLED: "cancelado",
}
"""What the list says of a job that has ended."""


class JobStoppedError(IppError):
    """The job failed or was cancelled."""

    code = "proceso_detenido"


def results(
    job: Annotated[
        str | None, Parameter(help="El job_id que dijo `ipp run`; sin él, se enumeran todos.")
    ] = None,
    /,
    *,
    mostrador: Annotated[
        str | None, Parameter(help="Sólo este mostrador, con sus productos.")
    ] = None,
    salida: Annotated[
        Path | None, Parameter(help="Guarda los renglones en un archivo xlsx, csv o parquet.")
    ] = None,
    etapa: Annotated[
        StageOutput, Parameter(help="Qué renglones se guardan: los publicados o los de una etapa.")
    ] = ("publicacion"),
    as_json: AsJson = False,
) -> int:
    """Muestra o guarda los resultados de un proceso."""
    app = open_application()
    if job is None:
        if mostrador is not None or salida is not None:
            raise InvalidInputError(
                "Falta el job_id.", hint="`ipp results` sin argumentos los enumera."
            )
        _list_jobs(app, as_json=as_json)
        return 0
    if etapa != "publicacion":
        _export_stage(app, job, etapa, mostrador, salida)
        return 0
    found = _published_job(app, job)
    number = None if mostrador is None else _requested_counter(mostrador, found)
    if salida is not None:
        _save(_all_rows(app, found, number), salida, app)
    if as_json:
        console.print_json(job_document(found, app, number))
    else:
        print_job_summary(found, app, number)
        if number is not None:
            print_top_products(app, found, number)
            print_curve(app, found, number)
    if salida is not None and not as_json:
        console.print_line(f"Guardado en {salida.absolute()}")
    return 0


def _export_stage(
    app: Application, job_id: str, stage: StageOutput, mostrador: str | None, path: Path | None
) -> None:
    """Save the output of a stage, of all mostradores or of one."""
    if path is None:
        raise InvalidInputError("--etapa guarda un archivo.", hint="Diga cuál con --salida.")
    spec = load_spec(job_id, app.runner.files)
    number = None if mostrador is None else _requested_counter(mostrador, spec)
    save_stage_output(app, spec, stage, number, path)
    console.print_line(f"Guardado en {path.absolute()}")


def _published_job(app: Application, job_id: str) -> Job:
    """Return a completed job. Raises `NotFoundError` if there is no such job, or as it ended."""
    service, caller = build_control_plane(app).service, local_caller(admin=True)
    try:
        return service.published(caller, job_id)
    except NotCompletedError as error:
        check_completed(error.job)
        raise NotFoundError(
            f"Proceso no completado: {job_id}.",
            hint=f"Termínelo con `ipp run --reanudar {job_id}`.",
        ) from None
    except NotFoundError:
        load_spec(job_id, app.runner.files)
        raise NotFoundError(
            f"Proceso no completado: {job_id}.",
            hint=f"Termínelo con `ipp run --reanudar {job_id}`.",
        ) from None


def check_completed(job: Job) -> None:
    """Raise `JobStoppedError` if the job failed or was cancelled, or if its retry failed."""
    if job.failure is not None:
        raise JobStoppedError(
            f"El proceso {job.job_id} falló: {job.failure.what}",
            hint="Corrija la causa y siga con "
            f"`ipp run --{'reintentar' if job.retried else 'reanudar'} {job.job_id}`.",
        )
    if job.status is JobStatus.CANCELLED:
        raise JobStoppedError(
            f"El proceso {job.job_id} se canceló.", hint="Empiece otro con los mismos mostradores."
        )


def _all_rows(app: Application, job: Job, mostrador: int | None) -> pl.DataFrame:
    """Return the published rows of a job, or of one mostrador."""
    frames = [pl.DataFrame(schema=RESULTS.schema)]
    return pl.concat([*frames, *app.warehouse.iterate_rows(job.job_id, mostrador)])


def _save(rows: pl.DataFrame, path: Path, app: Application) -> None:
    """Write the rows to a file. Raises as `write_table` does.

    A workbook also says which products an order leaves out.
    """
    if path.suffix.lower() == ".xlsx":
        write_table(
            path,
            annotate_orders(rows),
            WORKBOOK_TABLE.labels,
            app.runner.scratch,
            WORKBOOK_TABLE.formats,
        )
    else:
        write_table(path, rows, RESULTS.labels, app.runner.scratch, RESULTS.formats)


def _requested_counter(mostrador: str, spec: Job | JobSpec) -> int:
    (number,) = parse_counter_ids([mostrador])
    if number not in spec.mostradores:
        raise NotFoundError(
            f"El mostrador {number} no está en {spec.job_id}.",
            hint=f"Están: {_counter_list(spec)}.",
        )
    return number


def _list_jobs(app: Application, *, as_json: bool) -> None:
    """Print every job, newest first, and its status."""
    jobs = sorted(_all_jobs(app), key=lambda job: (job.created_at, job.job_id), reverse=True)
    if as_json:
        documents = [
            {
                "job_id": job.job_id,
                "created_at": job.created_at.isoformat(),
                "mostradores_count": len(job.mostradores),
                "status": job.status.value,
                "completed": job.status is JobStatus.COMPLETED,
            }
            for job in jobs
        ]
        console.print_json(documents)
        return
    if not jobs:
        console.print_line("Todavía no hay procesos: empiece uno con `ipp run`.")
        return
    rows = [
        [
            job.job_id,
            f"{job.created_at.astimezone():%Y-%m-%d %H:%M}",
            console.format_count(len(job.mostradores)),
            _STATUS_WORDS.get(job.status, "sin terminar"),
        ]
        for job in jobs
    ]
    console.print_table(
        "Procesos",
        ["Proceso", "Creado", "Mostradores", "Estado"],
        rows,
        texts={"Proceso", "Estado"},
    )


def _all_jobs(app: Application) -> list[Job]:
    """Return every job: those that are stored, and those that left results or a specification."""
    service, caller = build_control_plane(app).service, local_caller(admin=True)
    jobs: dict[str, Job] = {}
    after: JobCursor | None = None
    while page := service.list_jobs(caller, status=None, limit=_PAGE_JOBS, after=after):
        jobs |= {job.job_id: job for job in page}
        after = JobCursor(page[-1].created_at, page[-1].job_id)
    published = set(app.warehouse.published_jobs())
    for spec in saved_specs(app.runner.files):
        if spec.job_id not in jobs:
            done = spec.job_id in published
            status = JobStatus.COMPLETED if done else JobStatus.JOB1_RUNNING
            jobs[spec.job_id] = job_of_spec(spec, status)
    for job_id in published - jobs.keys():
        jobs[job_id] = service.completed_job(caller, job_id)
    return list(jobs.values())


def job_document(job: Job, app: Application, mostrador: int | None) -> dict[str, object]:
    """Return a job's results as JSON, with the rows of ``mostrador`` unless it is None."""
    failures = app.warehouse.failed_counters(job.job_id)
    document: dict[str, object] = {
        "job_id": job.job_id,
        "mostradores": list(map(str, job.mostradores)),
        "mostradores_count": len(job.mostradores),
        "fecha_corte": job.cutoff.isoformat(),
        "parametros": job.parameters.to_labels(),
        **job_locations(job, app),
        "summary": summarise_job(app, job, mostrador).to_dicts(),
        "success": not failures,
        "mostradores_failed": failures,
        "notices": app.warehouse.notices(job.job_id),
    }
    if mostrador is not None:
        rows = _all_rows(app, job, mostrador)
        document["rows"] = rows.rename(dict(RESULTS.labels)).to_dicts()
    return document


def _counter_list(spec: Job | JobSpec) -> str:
    return ", ".join(map(str, spec.mostradores[:10])) + (" …" if len(spec.mostradores) > 10 else "")
