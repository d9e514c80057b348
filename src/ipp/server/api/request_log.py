"""ASGI middleware: request id, log line, metrics and security headers."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ipp.server.api.problem_response import PanicError
from ipp.server.api.request_counter import RequestCounter

_LOG: Final = logging.getLogger("ipp.server.api")
_HSTS_POLICY: Final = "max-age=31536000"
"""Browsers that reached us by https ask by https alone for a year (HSTS)."""

_REQUEST_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """Middleware that gives each request of ``app`` an id and a log line.

    The log has no bodies, tokens or query strings. It names the caller by the ``sub`` that
    `ipp.server.api.dependencies.get_caller` found; empty where nobody was asked for. A valid
    ``X-Request-Id`` of the caller is kept; the id is in ``request.state.request_id`` and in the
    response. Headers that every response needs are added here.
    """

    # Starlette's BaseHTTPMiddleware runs each request as a second task behind a queue, which costs
    # as much as reading a job, so this is plain ASGI.

    def __init__(self, app: ASGIApp, counts: RequestCounter) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        header = Headers(scope=scope).get("x-request-id", "")
        request_id = header if _REQUEST_ID_PATTERN.fullmatch(header) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        start = time.perf_counter()
        answered = False

        async def answer(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _HSTS_POLICY
                self._log_request(scope, request_id, message["status"], time.perf_counter() - start)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            if not answered:  # The outer error handler answers, with the same id.
                self._log_request(scope, request_id, 500, time.perf_counter() - start)
            raise
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as panic:  # of a library written in Rust
            if not answered:
                self._log_request(scope, request_id, 503, time.perf_counter() - start)
            raise PanicError from panic

    def _log_request(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        self._counts.count_request(scope, status, seconds)
        _LOG.info(
            "request",
            extra={
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "caller": scope["state"].get("caller", ""),
                "status": status,
                "ms": round(seconds * 1_000, 1),
            },
        )
