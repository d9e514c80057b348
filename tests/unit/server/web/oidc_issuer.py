"""A small HTTP issuer: it publishes addresses and keys, signs anybody in, takes a code once."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.unit.server.api import callers
from tests.unit.server.api.callers import AUDIENCE, encode_jwks, rsa_jwk

ANSWERS = ("https://ipp.example", "http://127.0.0.1:8000")
"""Where the application is, which people may be sent back to."""

PEOPLE = {"ana": "Ana Peña", "beto": "Beto Ruiz"}
"""Whom it knows, by their names in tokens."""


EDITORS = {"ana"}
"""Who of them may change what all share."""


class PretendIssuer:
    """Signs everybody in as ``who``; where that is empty, a page of its own asks them.

    The application is at ``answers``. ``claims`` change its tokens, ``published`` its metadata.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.who = "ana"
        self.answers = set(ANSWERS)
        self.claims: dict[str, Any] = {}
        self.secret = ""
        self.refuses = False
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.published: dict[str, Any] = {
            "issuer": url,
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint": f"{url}/token",
            "end_session_endpoint": f"{url}/logout",
        }

    def get(self, path: str, asked: dict[str, str]) -> tuple[int, bytes, str]:
        """Status, content and where one is sent."""
        match path:
            case "/.well-known/openid-configuration":
                return 200, json.dumps(self.published).encode(), ""
            case "/.well-known/jwks.json":
                return 200, encode_jwks(rsa_jwk()), ""
            case "/authorize" if not (self.who or "who" in asked):
                return 200, self._page(asked), ""
            case "/authorize":
                return 302, b"", self._let_in(asked)
            case "/logout":
                assert asked["client_id"] == AUDIENCE
                assert asked["logout_uri"] == asked["post_logout_redirect_uri"]
                assert asked["logout_uri"].removesuffix("/salir") in self.answers
                return 302, b"", asked["logout_uri"]
        return 404, b"", ""

    def _page(self, asked: dict[str, str]) -> bytes:
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(asked[name])}">'
            for name in asked
        )
        buttons = "".join(
            f'<button name="who" value="{who}">{name}</button>' for who, name in PEOPLE.items()
        )
        head = (
            '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
            "<title>El emisor</title>"
        )
        return f"{head}<form>{fields}{buttons}</form>".encode()

    def _let_in(self, asked: dict[str, str]) -> str:
        assert asked["client_id"] == AUDIENCE
        assert asked["redirect_uri"].removesuffix("/entrada") in self.answers
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert asked["scope"].split() == ["openid", "email", "profile"]
        if self.refuses:
            query = urlencode({"error": "access_denied", "state": asked["state"]})
            return f"{asked['redirect_uri']}?{query}"
        code = secrets.token_urlsafe(12)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token_of(self, who: str, *groups: str) -> str:
        """Return the token of somebody in ``groups``, as a program has it."""
        now = int(time.time())
        said = {"iss": self.url, "sub": who, "name": PEOPLE.get(who, who), "cognito:groups": groups}
        return callers.sign_token({**said, "iat": now, "exp": now + 3_600})

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        """The token for a code, which is void from then on."""
        asked = self.codes.pop(form["code"], None)
        expected = base64.b64encode(f"{AUDIENCE}:{self.secret}".encode()).decode()
        if asked is None or authorization != (f"Basic {expected}" if self.secret else ""):
            return 400, b'{"error": "invalid_grant"}'
        challenge = base64.urlsafe_b64encode(
            hashlib.sha256(form["code_verifier"].encode()).digest()
        ).decode()
        assert challenge.rstrip("=") == asked["code_challenge"]
        assert form["grant_type"] == "authorization_code"
        assert (form["redirect_uri"], form["client_id"]) == (asked["redirect_uri"], AUDIENCE)
        now = int(time.time())
        who = self.who or asked["who"]
        said = {
            "iss": self.url,
            "sub": who,
            "name": PEOPLE[who],
            "iat": now,
            "exp": now + 600,
            "nonce": asked["nonce"],
            "cognito:groups": ["ipp-editor"] if who in EDITORS else [],
        }
        return 200, json.dumps(
            {"id_token": callers.sign_token(said | self.claims), "token_type": "Bearer"}
        ).encode()


@contextmanager
def run_issuer() -> Iterator[PretendIssuer]:
    """Run an issuer at a loopback address while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's name
            parts = urlsplit(self.path)
            issuer.asked.append(parts.path)
            self._answer(
                *issuer.get(
                    parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}
                )
            )

        def do_POST(self) -> None:  # the base class's name
            issuer.asked.append(self.path)
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            given = {name: values[0] for name, values in form.items()}
            self._answer(*issuer.token(given, self.headers.get("Authorization", "")))

        def _answer(self, status: int, content: bytes, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = PretendIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
