"""Who may ask: a personal token, or a machine that fetched one which ends."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Mapping

from tests.cloud.workspace.definition import Definition
from tests.cloud.workspace.route import Answer, error_answer


class Access:
    """Believes the token of ``definition``, and those that it gave to its client."""

    def __init__(self, definition: Definition) -> None:
        self._personal = definition.token
        self._client = (definition.client_id, definition.client_secret)
        self._lives = definition.token_lives
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def refused(self, authorization: str) -> Answer | None:
        """Why a request is refused; None where it is not."""
        kind, _, token = authorization.partition(" ")
        if kind != "Bearer" or not token:
            said = "Credential was not sent or was of an unsupported type for this API."
            return error_answer(401, "UNAUTHENTICATED", said)
        if self._personal and secrets.compare_digest(token.encode(), self._personal.encode()):
            return None
        with self._lock:
            until = self._until.get(token)
        if until is None:
            return error_answer(403, "PERMISSION_DENIED", "Invalid access token.")
        return (
            None
            if time.monotonic() < until
            else (403, {"error_code": 403, "message": "JWT has expired"})
        )

    def token(self, authorization: str, form: Mapping[str, str]) -> Answer:
        """A token by OAuth's client credentials."""
        if form.get("grant_type") != "client_credentials" or "all-apis" not in form.get(
            "scope", ""
        ):
            return 400, {
                "error": "invalid_request",
                "error_description": "client_credentials for all-apis alone",
            }
        given = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
        if given != self._client:
            return 401, {
                "error": "invalid_client",
                "error_description": "Client authentication failed",
            }
        token = f"machine-{secrets.token_hex(16)}"
        with self._lock:
            self._until[token] = time.monotonic() + self._lives
        return 200, {
            "access_token": token, "token_type": "Bearer", "expires_in": int(self._lives),
            "scope": "all-apis",
        }  # fmt: skip

    def expire(self) -> None:
        """End every machine's token now, before its time."""
        with self._lock:
            self._until = dict.fromkeys(self._until, 0.0)


def _basic(authorization: str) -> tuple[str, str] | None:
    kind, _, encoded = authorization.partition(" ")
    if kind != "Basic":
        return None
    name, _, secret = base64.b64decode(encoded).decode(errors="replace").partition(":")
    return name, secret
