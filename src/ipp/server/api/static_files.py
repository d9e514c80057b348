"""Serve the static files of the package, without any CDN."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope
from typing_extensions import override

from ipp.server.api.compression import MIN_COMPRESSED_BYTES, accepts_gzip

_MAX_COMPRESSED_FILES: Final = 32
"""Compressed files kept in memory: all that the package has, half a megabyte."""

_LENGTH_HEADERS: Final = ("content-length", "accept-ranges")
"""Headers of an answer that are not those of the same compressed."""


class CachedStaticFiles(StaticFiles):
    """Static files, cached for a year if their path names a version, else revalidated.

    Each is compressed once, as well as gzip can, and kept.
    """

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file with its Cache-Control; a folder in ``path`` names the version."""
        response = await super().get_response(path, scope)
        policy = "public, max-age=31536000, immutable" if "/" in path else "no-cache"
        response.headers["Cache-Control"] = policy
        response.headers.add_vary_header("Accept-Encoding")
        if isinstance(response, FileResponse) and _is_compressible(response, scope):
            return await _compress_response(response)
        return response


def _is_compressible(file: FileResponse, scope: Scope) -> bool:
    asked_whole = not any(name == b"range" for name, _ in scope["headers"])
    length = int(file.headers.get("content-length", "0"))
    return asked_whole and length >= MIN_COMPRESSED_BYTES and accepts_gzip(scope)


async def _compress_response(file: FileResponse) -> Response:
    """Return the same answer with the file compressed."""
    assert file.stat_result is not None  # Starlette gives it, and so the length and the tag.
    content = await run_in_threadpool(_compress_file, Path(file.path), file.stat_result.st_mtime_ns)
    kept = {name: value for name, value in file.headers.items() if name not in _LENGTH_HEADERS}
    return Response(content, headers={**kept, "content-encoding": "gzip"})


@lru_cache(maxsize=_MAX_COMPRESSED_FILES)
def _compress_file(path: Path, changed_ns: int) -> bytes:
    """Return a file compressed; ``changed_ns`` tells its versions apart."""
    del changed_ns
    return gzip.compress(path.read_bytes(), mtime=0)
