"""Install the pages in an application: static files, routes and error pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from ipp.formats.intake.bounded_reader import BoundedReader
from ipp.server.api.dependencies import CallerDep, prefixed_path
from ipp.server.api.static_files import CachedStaticFiles
from ipp.server.web import (
    change_pages,
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


_home_router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)


@_home_router.get("/")
def begin(request: Request, caller: CallerDep) -> Response:
    """Redirect to the first page."""
    del caller
    return RedirectResponse(prefixed_path(request, "/nuevo"), status_code=303)


def install_pages(app: FastAPI, scratch: Scratch, issuer: OidcClient | None = None) -> None:
    """Serve the pages from ``app``, with its services; uploaded files are read in ``scratch``.

    People sign in at ``issuer``, if there is one. ``app.state.reader`` reads uploaded files.
    """
    app.state.scratch = scratch
    app.state.reader = BoundedReader([new_job.__name__, configuration_import.__name__])
    app.mount("/pagina", CachedStaticFiles(directory=PAGE_STATIC_FOLDER), name="pagina")
    routers = [
        _home_router,
        new_job.router,
        job_progress.router,
        result_pages.router,
        change_pages.router,
        configuration_import.router,
        configuration_pages.router,
    ]
    if issuer is not None:
        routers.append(sign_in.sign_in_router(issuer))
    error_pages.install_error_pages(app)
    for router in routers:
        app.include_router(router)
