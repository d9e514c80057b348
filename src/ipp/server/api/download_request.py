"""Resolve a download request into an export."""

from __future__ import annotations

from typing import Final

from ipp.formats.exports.export import Export, ExportFormat
from ipp.jobs.job_service import Caller
from ipp.server.api.dependencies import Services
from ipp.server.api.query_parameter import parse_counter_id
from ipp.server.api.row_routes import completed_job

DOWNLOAD_PATH: Final = "/ipp/results/{job_id}/download"


def requested_export(
    services: Services,
    caller: Caller,
    job_id: str,
    kind: ExportFormat,
    mostrador: str | None,
    locale: str,
) -> tuple[Export, str]:
    """Return the requested export and its file name.

    Raises `NotFoundError` for another user's job or a counter that is not in it,
    `NotCompletedError`, and `BodyError` for an invalid counter number.
    """
    number = None if mostrador is None else parse_counter_id(mostrador)
    job = completed_job(services, caller, job_id, number)
    mostradores = tuple(sorted(job.mostradores)) if number is None else (number,)
    name = f"{job_id}.{kind}" if number is None else f"{job_id}-{number}.{kind}"
    export = Export(job_id, mostradores, kind, locale == "es", job.created_at, whole=number is None)
    return export, name
