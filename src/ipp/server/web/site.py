"""Install the pages in an application: static files, routes and error pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse

from ipp.formats.intake.table_import import TableImporter
from ipp.server.api.dependencies import CallerDep, prefixed_path
from ipp.server.api.static_files import CachedStaticFiles
from ipp.server.web import (
    configuration_import,
    configuration_pages,
    error_pages,
    job_progress,
    new_job,
    sign_in,
)
from ipp.server.web.oidc import OidcClient
from ipp.server.web.page import PageRoute
from ipp.server.web.results import result_pages
from ipp.storage.files.scratch import Scratch

PAGE_STATIC_FOLDER: Final = Path(__file__).parent / "static"


def install_pages(
    app: FastAPI, scratch: Scratch, importer: TableImporter, issuer: OidcClient | None = None
) -> None:
    """Serve the pages from ``app``, with its services; uploaded files are read under ``scratch``.

    ``importer`` stores the rows of those files. People sign in at ``issuer``, if there is one.
    """
    app.mount(
        "/pagina", GZipMiddleware(CachedStaticFiles(directory=PAGE_STATIC_FOLDER)), name="pagina"
    )
    home = APIRouter(route_class=PageRoute, include_in_schema=False)

    @home.get("/")
    def begin(request: Request, by: CallerDep) -> Response:
        """Redirect to the first page."""
        del by
        return RedirectResponse(prefixed_path(request, "/nuevo"), status_code=303)

    routers = [
        home,
        new_job.new_job_router(scratch),
        job_progress.router,
        result_pages.router,
    ]
    routers += [configuration_import.import_router(scratch, importer), configuration_pages.router]
    if issuer is not None:
        routers.append(sign_in.sign_in_router(issuer))
    error_pages.install_error_pages(app)
    for router in routers:
        app.include_router(router)
