"""Clients that send half a request, or none, shut out nobody."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

import httpx2
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from ipp.entrypoints import http_protocol
from ipp.entrypoints.http_protocol import BoundedHttpProtocol, connection_limit
from tests.waiting import PATIENCE_SECONDS

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: "
BODY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1234"


async def answer_ok(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer once the whole body was read; the path /slow takes a second more."""
    if scope["type"] != "http":
        return
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serve(most: int, keep_alive: int = 5) -> Iterator[int]:
    """Serve with room for ``most`` connections; yield the port."""

    class Protocol(BoundedHttpProtocol):
        pass

    Protocol.most = most
    config = uvicorn.Config(
        answer_ok,
        http=Protocol,
        log_config=None,
        lifespan="off",
        port=0,
        timeout_keep_alive=keep_alive,
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def is_closed(connection: socket.socket, within: float = PATIENCE_SECONDS) -> bool:
    connection.settimeout(within)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_half_requests_beyond_the_limit_close_the_oldest_and_others_are_answered() -> None:
    with serve(20) as port, ExitStack() as stack:
        waiting = []
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(HALF)
            waiting.append(connection)
        with httpx2.Client(timeout=PATIENCE_SECONDS) as client:
            for _ in range(5):
                assert client.get(f"http://127.0.0.1:{port}/slow").text == "ok"
        assert all(is_closed(connection) for connection in waiting[:79])


@pytest.mark.parametrize("sent", [b"", HALF, BODY])
def test_a_request_that_does_not_arrive_is_given_up(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.2)
    with serve(20) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        assert is_closed(connection)
        answer = httpx2.get(f"http://127.0.0.1:{port}/slow", timeout=PATIENCE_SECONDS)
        assert answer.text == "ok", "what we are slow to answer is not late"


def test_a_head_that_trickles_is_late_as_a_whole_and_a_body_only_while_nothing_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.5)
    with serve(20) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(HALF)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not is_closed(connection, 0.05):
            assert time.monotonic() < give_up
            try:
                connection.sendall(b"x")
            except ConnectionError:
                break
    with serve(20) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(BODY)
        for _ in range(6):
            time.sleep(0.2)
            connection.sendall(b"5")
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_connection_between_two_requests_is_kept_for_as_long_as_uvicorn_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    whole = HALF + b"all\r\n\r\n"
    with serve(20, keep_alive=600) as port, socket.create_connection(("127.0.0.1", port)) as peer:
        for _ in range(2):
            peer.sendall(whole)
            answer = b""
            while not answer.endswith(b"ok\r\n0\r\n\r\n"):
                answer += peer.recv(4_096)
            assert not is_closed(peer, 1.0)
            peer.settimeout(PATIENCE_SECONDS)
        peer.sendall(HALF)
        assert is_closed(peer), "the head of the next request may be as late as the first"


def test_half_of_the_open_files_is_left_for_all_else() -> None:
    resource = pytest.importorskip("resource")
    limit = connection_limit()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert http_protocol.MIN_CONNECTIONS <= limit <= soft // 2
