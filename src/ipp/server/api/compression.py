"""ASGI middleware: compress answers with gzip where that saves a person time."""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import (
    DEFAULT_EXCLUDED_CONTENT_TYPES,
    GZipResponder,
    IdentityResponder,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ipp.formats.exports.export import MEDIA_TYPES

MIN_COMPRESSED_BYTES: Final = 1_000
"""Smallest body to compress: a shorter one fits in one packet anyway."""

COMPRESSION_LEVEL: Final = 5
"""Of 9. A table of 100 products: 57 KB, at level 1 7.6 KB in 0.3 ms, at 5 6.4 in 0.6, at 9 6.2 in
1.8."""

_UNCOMPRESSED_TYPES: Final = (*DEFAULT_EXCLUDED_CONTENT_TYPES, *MEDIA_TYPES.values())
"""Content types that are sent as they are.

The framework's include event streams, of which every event must leave at once, and pictures. A
downloaded xlsx or Parquet is compressed already. A CSV keeps its length, which shows the progress
of the download and whether all of it came, and its megabytes would occupy the event loop; who wants
fewer bytes takes Parquet.
"""

_REFUSED_PATTERN: Final = re.compile(r"\bgzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)", re.IGNORECASE)


class Compression:
    """Middleware that compresses what ``app`` answers, for clients that accept gzip.

    The entity tag of a compressed answer becomes a weak one: its bytes are others than those of the
    same answer uncompressed, so a range of the one must not continue the other.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        responder: IdentityResponder | None = None

        async def choose(message: Message) -> None:
            nonlocal responder
            # A responder costs a tenth of a status, which is the answer that is asked for most.
            if message["type"] == "http.response.start" and not _is_short(message):
                responder = self._build_responder(scope)
                responder.send = weaken_etag
            if responder is None:
                await send(message)
            else:
                await responder.send_with_compression(message)

        async def weaken_etag(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                etag = headers.get("etag", "")
                if "content-encoding" in headers and etag.startswith('"'):
                    headers["etag"] = f"W/{etag}"
            await send(message)

        await self._app(scope, receive, choose)

    def _build_responder(self, scope: Scope) -> IdentityResponder:
        """Return what compresses an answer, or says that it depends on what the client accepts."""
        least, never = MIN_COMPRESSED_BYTES, _UNCOMPRESSED_TYPES
        if not accepts_gzip(scope):
            return IdentityResponder(self._app, least, exclude_content_types=never)
        return GZipResponder(self._app, least, COMPRESSION_LEVEL, exclude_content_types=never)


def _is_short(start: Message) -> bool:
    """Return whether an answer says, as it starts, that it is too short to compress."""
    length = next((value for name, value in start["headers"] if name == b"content-length"), b"")
    return length.isdigit() and int(length) < MIN_COMPRESSED_BYTES


def accepts_gzip(scope: Scope) -> bool:
    """Return whether the client of a request accepts gzip."""
    accepted = Headers(scope=scope).get("accept-encoding", "")
    return "gzip" in accepted.lower() and not _REFUSED_PATTERN.search(accepted)
