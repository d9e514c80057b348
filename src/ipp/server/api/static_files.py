"""Files for browsers that lie in the package, with nothing from elsewhere."""

from __future__ import annotations

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope


class CachedStaticFiles(StaticFiles):
    """Files whose address has their version in it, or that a browser asks again for."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, kept for a year where its folder names its version."""
        response = await super().get_response(path, scope)
        kept = "public, max-age=31536000, immutable" if "/" in path else "no-cache"
        response.headers["Cache-Control"] = kept
        return response
