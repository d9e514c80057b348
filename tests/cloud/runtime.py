"""Lambda's side of a function: the Runtime API over HTTP, and the function in Lambda's runtime."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_SECONDS

REGION = "us-east-1"

RUNTIME = (sys.executable, "-m", "awslambdaric")
"""The runtime that Lambda starts, with what is installed here."""

TIMEOUT = 29.0
"""Seconds that a function is told it has, as API Gateway waits no longer."""


class FunctionError(Exception):
    """The function raised; its argument is what the runtime said of it."""


@dataclass
class _Invocation:
    event: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answered: threading.Event = field(default_factory=threading.Event)
    content: bytes = b""
    failed: bool = False


class Function:
    """One function of a stack, in a process that lives between events; ``begin`` starts one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin: Callable[[], subprocess.Popen[bytes]]
        self.process: subprocess.Popen[bytes]
        self._waiting: queue.Queue[_Invocation] = queue.Queue()
        self._running: dict[str, _Invocation] = {}
        self._lives = 0
        self._changing = threading.Lock()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the function's answer.

        Raises `FunctionError` where it raises, TimeoutError where it takes too long.
        """
        invocation = _Invocation(json.dumps(event).encode())
        self._waiting.put(invocation)
        if not invocation.answered.wait(PATIENCE_SECONDS):
            raise TimeoutError(self.name)
        content = json.loads(invocation.content or b"null")
        if invocation.failed:
            raise FunctionError(content)
        return content

    def kill(self) -> None:
        """Kill the process at once, wherever it is.

        Callers that wait are told, and the next event finds another process.
        """
        with self._changing:
            self._lives += 1
            self.process.kill()
            self.process.wait()
            for request_id in list(self._running):
                self.ended(request_id, b'{"errorType": "Runtime.ExitError"}', failed=True)
            self.process = self.begin()

    def next(self) -> _Invocation | None:
        """Wait for the event that the runtime is given next; None where its process is gone."""
        life = self._lives
        invocation = self._waiting.get()
        with self._changing:
            if life != self._lives:
                self._waiting.put(invocation)
                return None
            self._running[invocation.request_id] = invocation
            return invocation

    def ended(self, request_id: str, content: bytes, *, failed: bool) -> None:
        """What the runtime made of an event; what a process says that is no more is not heard."""
        if invocation := self._running.pop(request_id, None):
            invocation.content, invocation.failed = content, failed
            invocation.answered.set()


def _handler_of(function: Function) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            invocation = function.next()
            if invocation is None:
                self.close_connection = True
                return
            self.send_response(200)
            for name, value in {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + TIMEOUT) * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": (
                    f"arn:aws:lambda:{REGION}:123456789012:function:{function.name}"
                ),
                "Content-Type": "application/json",
                "Content-Length": str(len(invocation.event)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(invocation.event)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            *_, request_id, what = self.path.split("/")
            if request_id != "init":
                function.ended(request_id, content, failed=what == "error")
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a function that ends leaves without a word."""


@contextmanager
def run_function(
    name: str, handler: str, environ: Mapping[str, str], log: Path, runtime: Sequence[str] = RUNTIME
) -> Iterator[Function]:
    """Run a function in a process with ``environ`` until the block ends; it writes to ``log``."""
    function = Function(name)
    server = _Server(("127.0.0.1", 0), _handler_of(function))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    own = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }

    def begin() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*runtime, handler],
                env={**environ, **own},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    function.begin = begin
    function.process = begin()
    try:
        yield function
    finally:
        function.process.kill()
        function.process.wait()
        server.shutdown()
        server.server_close()
