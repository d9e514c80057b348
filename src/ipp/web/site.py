"""The page on a server: its files, its routes, and where it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse

from ipp.api.vendored import Vendored
from ipp.api.wiring import By, address
from ipp.files.scratch import Scratch
from ipp.lakehouse.base import Lakehouse
from ipp.web import asking, configurations, counters, entry, importing, results, told, watching
from ipp.web.issuer import Issuer
from ipp.web.pages import PageRoute

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

    routers = [home, asking.routes(scratch), watching.router, results.routes(lakehouse)]
    routers += [importing.routes(scratch, lakehouse), configurations.router]
    if issuer is not None:
        routers.append(entry.routes(issuer))
    counters.install(app, lakehouse)
    told.install(app)
    for router in routers:
        app.include_router(router)
