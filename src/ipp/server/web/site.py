"""The page on a server: its files, its routes, and where it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse

from ipp.server.api.dependencies import By, address
from ipp.server.api.static_files import Vendored
from ipp.server.web import (
    configuration_import,
    configuration_pages,
    counter_names,
    error_pages,
    job_progress,
    new_job,
    sign_in,
)
from ipp.server.web.oidc import Issuer
from ipp.server.web.page import PageRoute
from ipp.server.web.results import result_pages
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

STATIC: Final = Path(__file__).parent / "static"


def install(app: FastAPI, scratch: Scratch, lakehouse: Lakehouse, issuer: Issuer | None = None) -> None:
    """Serve the page from ``app``, with the services it has; files that people drop are read under ``scratch``.

    What the contract has no question for is read from the tables of ``lakehouse``. People sign in at ``issuer``, where
    there is one.
    """
    app.mount("/pagina", GZipMiddleware(Vendored(directory=STATIC)), name="pagina")
    home = APIRouter(route_class=PageRoute, include_in_schema=False)

    @home.get("/")
    def begin(request: Request, by: By) -> Response:
        """Where the page begins."""
        del by
        return RedirectResponse(address(request, "/nuevo"), status_code=303)

    routers = [home, new_job.routes(scratch), job_progress.router, result_pages.routes(lakehouse)]
    routers += [configuration_import.routes(scratch, lakehouse), configuration_pages.router]
    if issuer is not None:
        routers.append(sign_in.routes(issuer))
    counter_names.install(app, lakehouse)
    error_pages.install(app)
    for router in routers:
        app.include_router(router)
