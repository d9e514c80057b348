"""The workspace's HTTP: checks the token, injects the requested faults, and routes the request."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.cloud.workspace.access import Access
from tests.cloud.workspace.fault import Fault, Faults
from tests.cloud.workspace.route import Answer, Call, Route, error_answer

_ASKED = 100_000
_LONGEST = 16 * 2**20
_OURS = "/admin/"
_FOR_ANYONE = ("/oidc/", "/.well-known/")
_BUSY = 429


class Application:
    """Answers by ``routes``; those below ``/admin/`` need no token and have no faults."""

    def __init__(self, routes: Sequence[Route], access: Access, faults: Faults) -> None:
        self._routes = routes
        self._access = access
        self._asked: deque[dict[str, Any]] = deque(maxlen=_ASKED)
        self.faults = faults

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> Answer:
        """The answer to a request, which is done by then."""
        url = urlsplit(target)
        authorization = headers.get("Authorization", "")
        if url.path.startswith(_FOR_ANYONE):
            return self._signing_in(method, url.path, headers, authorization, content)
        if not url.path.startswith(_OURS) and (refused := self._access.refused(authorization)):
            return refused
        try:
            body = json.loads(content) if content else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return error_answer(400, "MALFORMED_REQUEST", "The body is not a JSON object.")
        for wanted, path, respond in self._routes:
            if wanted == method and (match := path.fullmatch(url.path)):
                return respond(Call(match, dict(parse_qsl(url.query)), body))
        return error_answer(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {url.path}'")

    def note(self, method: str, path: str, fault: Fault | None, status: int) -> None:
        """Keep that a request came; ``status`` 0 where it had no answer."""
        kind = "" if fault is None else f"{'after' if fault.after else 'before'} {fault.kind}"
        self._asked.append({"method": method, "path": path, "fault": kind, "status": status})

    def asked(self) -> list[dict[str, Any]]:
        return list(self._asked)

    def _signing_in(
        self, method: str, path: str, headers: Mapping[str, str], authorization: str, content: bytes
    ) -> Answer:
        here = f"http://{headers.get('Host', '')}/oidc"
        if method == "POST" and path == "/oidc/v1/token":
            return self._access.token(
                authorization, dict(parse_qsl(content.decode(errors="replace")))
            )
        if method == "GET" and path == "/oidc/.well-known/oauth-authorization-server":
            return 200, {
                "authorization_endpoint": f"{here}/v1/authorize",
                "token_endpoint": f"{here}/v1/token",
            }
        if method == "GET" and path == "/.well-known/databricks-config":
            return 200, {"oidc_endpoint": here}
        return error_answer(404, "ENDPOINT_NOT_FOUND", "No such endpoint.")


class _Handler(BaseHTTPRequestHandler):
    application: ClassVar[Application]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the application keeps what came."""

    def _respond(self) -> None:
        content = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _LONGEST))
        path = urlsplit(self.path).path
        fault = None if path.startswith(_OURS) else self.application.faults.next(path)
        if fault and not fault.after and self._suffered(path, fault, b""):
            return
        status, answer = self.application.answer(
            self.command, self.path, dict(self.headers), content
        )
        written = json.dumps(answer).encode()
        if fault and fault.after and self._suffered(path, fault, written):
            return
        if not path.startswith(_OURS):
            self.application.note(self.command, path, fault, status)
        self._say(status, written, {})

    def _suffered(self, path: str, fault: Fault, written: bytes) -> bool:
        """Let the fault happen; False where the request goes on."""
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return False
        if fault.kind == "status":
            self.application.note(self.command, path, fault, fault.status)
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            code = "REQUEST_LIMIT_EXCEEDED" if fault.status == _BUSY else "TEMPORARILY_UNAVAILABLE"
            said = {"error_code": code, "message": "The service is at its limit."}
            self._say(fault.status, json.dumps(said).encode(), headers)
            return True
        self.application.note(self.command, path, fault, 0)
        if fault.kind == "cut":
            self._say(200, written or b"{}", {}, cut=True)
        self.close_connection = True
        return True

    def _say(
        self, status: int, written: bytes, headers: Mapping[str, str], *, cut: bool = False
    ) -> None:
        with suppress(ConnectionError):  # whoever asked gave up
            self.send_response(status)
            sent = {
                "Content-Type": "application/json",
                "Content-Length": str(len(written)),
                **headers,
            }
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(written[: len(written) // 2] if cut else written)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def server_of(application: Application, address: tuple[str, int]) -> ThreadingHTTPServer:
    """A server that listens and does not answer yet."""
    handler = type("Handler", (_Handler,), {"application": application})
    return _Server(address, handler)
