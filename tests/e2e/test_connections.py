"""A server that many connections with half a request are open to goes on answering."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e.server import Server
from tests.waiting import PATIENCE_SECONDS

HALF_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@contextlib.contextmanager
def half_requests(port: int, many: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(many):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(HALF_REQUEST)
            opened.append(connection)
        yield opened


def test_1500_half_requests_stop_nobody(server: Server, request: pytest.FixtureRequest) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # The sockets are ours too.
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    with half_requests(server.port, 1_500):
        for _ in range(3):
            assert httpx2.get(f"{server.address}/healthz", timeout=PATIENCE_SECONDS).is_success
    assert "Too many open files" not in server.log.read_text()
