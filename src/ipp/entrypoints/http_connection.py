"""HTTP connections that are bounded in number and in the time of a request's head."""

from __future__ import annotations

import asyncio
import resource
from typing import Final, cast

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MAX_CONNECTIONS: Final = 4_000
"""Connections at a time; the next one is closed. A browser has six, one of them for events."""

_OTHER_FILES: Final = 256
"""Files that the process may open besides: tables, databases, downloads."""

HEAD_SECONDS: Final = 20.0
"""Seconds in which the head of a request must be complete."""


class BoundedConnection(H11Protocol):
    """A connection of the server that does not wait for a request's head without end.

    Uvicorn itself bounds only the time between a response and the next request, so sockets with
    half a request would stay open until no more can be opened.
    """

    max_connections = MAX_CONNECTIONS
    """For all connections of the process; `allow_connections` lowers it where files are few."""
    head_seconds = HEAD_SECONDS
    _head_timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
        else:
            self._await_head()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_waiting():
            self._await_head()
        else:
            self._stop_waiting()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_waiting(self) -> bool:
        """Return whether no request is being answered."""
        # Uvicorn declares that there is always one.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._close_unless_answering)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_unless_answering(self) -> None:
        self._head_timer = None
        if self._is_waiting():
            self.transport.close()


def allow_connections() -> None:
    """Let the process open a file for each of the connections, as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    BoundedConnection.max_connections = max(1, allowed - _OTHER_FILES)
