"""Serve the API documentation at ``/docs`` (Swagger UI), without any CDN."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse

from ipp.server.api.dependencies import CallerDep
from ipp.server.api.static_files import CachedStaticFiles

DOCS_STATIC_FOLDER: Final = Path(__file__).parent / "static"

DOCS_CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: own server only, no inline script or style."""


def install_docs(app: FastAPI) -> None:
    """Add the routes of the page, its static files and ``/openapi.json``.

    The page and the description need a caller, as everything else does.
    """
    app.add_api_route("/openapi.json", _serve_openapi, methods=["GET"], include_in_schema=False)
    app.add_api_route("/docs", _serve_page, methods=["GET"], include_in_schema=False)
    app.mount("/docs/static", CachedStaticFiles(directory=DOCS_STATIC_FOLDER))


async def _serve_openapi(request: Request, _caller: CallerDep) -> JSONResponse:
    return JSONResponse(request.app.openapi())


async def _serve_page(_caller: CallerDep) -> FileResponse:
    return FileResponse(
        DOCS_STATIC_FOLDER / "docs.html",
        headers={"Content-Security-Policy": DOCS_CONTENT_POLICY, "Cache-Control": "no-cache"},
    )
