"""A request's id, in and out, its line in the log and its place in the counts."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Final, Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG: Final = logging.getLogger("ipp.server.api")
_REQUEST_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestCounter(Protocol):
    """Counts what was answered."""

    def count_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered with ``status`` after ``seconds``."""
        ...


class RequestLog:
    """Gives each request of ``app`` an id, and a line in the log without bodies, tokens or queries.

    The id is the caller's own where it is one; ``request.state.request_id`` has it, and the answer's header. What an
    answer must not lack, whatever made it, is put on it here.
    """

    # Not the framework's own kind of middleware: that one runs each request as a second task behind a queue, which
    # costs as much as reading a job does.

    def __init__(self, app: ASGIApp, counts: RequestCounter) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID_PATTERN.fullmatch(given) else secrets.token_hex(8)
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
                self._log_request(scope, request_id, message["status"], time.perf_counter() - start)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            if not answered:  # what nobody expected is answered further out, with the same id
                self._log_request(scope, request_id, 500, time.perf_counter() - start)
            raise

    def _log_request(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        self._counts.count_request(scope, status, seconds)
        _LOG.info(
            "request",
            extra={
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(seconds * 1_000, 1),
            },
        )
