"""Route that redirects a download to a precomputed file in S3."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from ipp.errors import NotFoundError
from ipp.formats.exports.export import ExportFormat
from ipp.server.api.dependencies import CallerDep, ServicesDep
from ipp.server.api.download_request import DOWNLOAD_PATH, requested_export
from ipp.server.api.problem_response import BodyError
from ipp.server.api.query_parameter import StrictRoute
from ipp.server.api.row_routes import check_published
from ipp.storage.files.s3_files import S3Files


def redirect_router(files: S3Files) -> APIRouter:
    """Build the route over ``files``, which the publication stage wrote."""
    router = APIRouter(route_class=StrictRoute)

    @router.get(DOWNLOAD_PATH, status_code=302, response_class=RedirectResponse)
    def download(
        services: ServicesDep,
        caller: CallerDep,
        job_id: str,
        format: ExportFormat = ExportFormat.CSV,
        mostrador: str | None = None,
        locale: Literal["mx", "es"] = "mx",
    ) -> RedirectResponse:
        """Redirect to a temporary URL of a job's results, of one counter or all."""
        export, name = requested_export(services, caller, job_id, format, mostrador, locale)
        link = files.presign_download(export.object_key, name=name, media_type=format.media_type)
        if link is None and format is ExportFormat.XLSX and mostrador is None:
            raise BodyError(
                [
                    (
                        "format",
                        "son más renglones que los de una hoja: pida un mostrador a la vez, o csv",
                    )
                ]
            )
        if link is None:
            if not export.whole:
                check_published(services, job_id, *export.mostradores)
            raise NotFoundError(
                f"El archivo de {job_id} ya no está.", hint="Empiece el proceso otra vez."
            )
        return RedirectResponse(link, status_code=302)

    return router
