"""A server that many connections with half a request are open to goes on answering."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e.server import Server
from tests.waiting import PATIENCE_SECONDS

HALF_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "

SMALL_SERVER = textwrap.dedent("""
    import socket, sys, uvicorn
    from ipp.entrypoints.http_connection import BoundedConnection

    class SmallConnection(BoundedConnection):
        max_connections = 8
        head_seconds = 0.5

    async def answer(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(answer, http=SmallConnection, lifespan="off")).run([listening])
""")


@pytest.fixture
def small_port() -> Iterator[int]:
    """Run a server of at most 8 connections, each with half a second for a request's head."""
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL_SERVER],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


def is_closed(connection: socket.socket) -> bool:
    """Wait until the server closes a connection without an answer."""
    connection.settimeout(PATIENCE_SECONDS)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@contextlib.contextmanager
def half_requests(port: int, many: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(many):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(HALF_REQUEST)
            opened.append(connection)
        yield opened


def test_half_a_request_is_not_waited_for_without_end(small_port: int) -> None:
    with half_requests(small_port, 3) as opened:
        assert all(is_closed(connection) for connection in opened)


def test_the_head_of_a_second_request_is_not_waited_for_either(small_port: int) -> None:
    with socket.create_connection(("127.0.0.1", small_port)) as connection:
        connection.sendall(HALF_REQUEST + b"1\r\n\r\n")
        connection.settimeout(PATIENCE_SECONDS)
        answer = b""
        while not answer.endswith(b"ok"):
            answer += connection.recv(1_000)
        connection.sendall(HALF_REQUEST)
        assert is_closed(connection)


def test_more_connections_than_the_most_are_closed_at_once(small_port: int) -> None:
    with half_requests(small_port, 12) as opened:
        assert all(is_closed(connection) for connection in opened)
    answer = httpx2.get(f"http://127.0.0.1:{small_port}/", timeout=PATIENCE_SECONDS)
    assert answer.text == "ok"


def test_1500_half_requests_stop_nobody(server: Server, request: pytest.FixtureRequest) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # The sockets are ours too.
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    with half_requests(server.port, 1_500):
        for _ in range(3):
            assert httpx2.get(f"{server.address}/healthz", timeout=PATIENCE_SECONDS).is_success
    assert "Too many open files" not in server.log.read_text()
