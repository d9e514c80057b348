"""Serve the static files of the package, without any CDN."""

from __future__ import annotations

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope
from typing_extensions import override


class CachedStaticFiles(StaticFiles):
    """Static files, cached for a year if their path names a version, else revalidated."""

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file with its Cache-Control; a folder in ``path`` names the version."""
        response = await super().get_response(path, scope)
        policy = "public, max-age=31536000, immutable" if "/" in path else "no-cache"
        response.headers["Cache-Control"] = policy
        return response
