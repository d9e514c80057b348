"""HTTP connections with limits: their number, and the time that a request may take to arrive."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, Final, cast

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

if sys.platform != "win32":
    import resource

_LOG: Final = logging.getLogger("ipp.server")

MAX_CONNECTIONS: Final = 2_000
MIN_CONNECTIONS: Final = 16
HEAD_SECONDS: Final = 10.0
"""Time that the head of a request may take, from the connection or the head's first byte."""

BODY_SECONDS: Final = 30.0
"""Time without a byte of a body that has not ended."""

_CHECK_SECONDS: Final = 2.0
_WANTED_FILES: Final = 8_192
"""Files that the process may have open; many systems allow 1,024 unless asked for more."""


def connection_limit() -> int:
    """Raise the limit of open files as far as allowed; return how many connections fit in half."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _WANTED_FILES if soft == resource.RLIM_INFINITY else soft
    return max(min(MAX_CONNECTIONS, files // 2), MIN_CONNECTIONS)


class BoundedHttpProtocol(H11Protocol):
    """A connection that is closed while its request does not arrive.

    Beyond ``most`` connections, each new one closes the one whose request's head has been awaited
    longest, so that clients who send half a request shut out nobody but each other.
    """

    most = MAX_CONNECTIONS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._data_at = self._head_since = self.loop.time()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for the connection, and begin to watch it."""
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self.most:
            self._close_longest_waiting()
        self.loop.call_later(_CHECK_SECONDS, self._check_progress)

    @override
    def data_received(self, data: bytes) -> None:
        """Handle data, and note when the head of the next request began."""
        waited = self._awaits_head() and self.timeout_keep_alive_task is None
        super().data_received(data)
        self._data_at = self.loop.time()
        if not waited:
            self._head_since = self._data_at

    def _awaits_head(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever uvicorn declares
        answering = cycle is not None and not cycle.response_complete
        return self.conn.their_state is h11.IDLE and not answering

    def _awaits_body(self) -> bool:
        # Where reading is paused it is us who are slow.
        return self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused

    def _check_progress(self) -> None:
        if self.transport.is_closing():
            return
        now = self.loop.time()
        # Between two requests, how long to wait is uvicorn's setting.
        started = self._awaits_head() and self.timeout_keep_alive_task is None
        late = started and now - self._head_since > HEAD_SECONDS
        if late or (self._awaits_body() and now - self._data_at > BODY_SECONDS):
            self.transport.abort()
        else:
            self.loop.call_later(_CHECK_SECONDS, self._check_progress)

    def _close_longest_waiting(self) -> None:
        connections = cast("set[BoundedHttpProtocol]", self.connections)
        waiting = [c for c in connections if c._awaits_head() and not c.transport.is_closing()]
        longest = min(waiting, key=lambda c: c._head_since, default=self)
        _LOG.warning("more than %d connections: one is closed", self.most)
        self.connections.discard(longest)
        longest.transport.abort()
