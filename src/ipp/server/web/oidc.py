"""Signing in at an issuer: OpenID Connect's authorization code flow, with PKCE."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

from fastapi.concurrency import run_in_threadpool

from ipp.errors import InvalidInputError, UnavailableError
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.claims import caller_of_claims
from ipp.server.api.jwks import (
    MAX_KEY_AGE_SECONDS,
    MIN_FETCH_INTERVAL_SECONDS,
    check_issuer_url,
    fetch_bytes,
)
from ipp.server.api.problem_response import UnauthenticatedError
from ipp.server.web.session import MAX_COOKIE_CHARACTERS, safe_return_path

_LOG: Final = logging.getLogger("ipp.server.web.oidc")

OIDC_SCOPE: Final = "openid email profile"
"""What is asked for: who the person is, and what to call them."""

_SIGN_IN_AGAIN_HINT: Final = "Entre otra vez."
_EXCHANGE_ERRORS: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    http.client.HTTPException,
    InvalidInputError,
)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """One way of a person to the issuer and back to ``back``, by what only their browser and we know of it."""

    state: str
    nonce: str
    verifier: str
    back: str

    @classmethod
    def begin(cls, back: str) -> SignInAttempt:
        """A new one."""
        return cls(
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(48),
            safe_return_path(back),
        )

    @classmethod
    def parse(cls, text: str) -> SignInAttempt | None:
        """The one that was `written`, None for what was not."""
        parts = text.split(".")
        if len(parts) != 4 or not all(parts):
            return None
        state, nonce, verifier, back = parts
        return cls(state, nonce, verifier, safe_return_path(unquote(back)))

    def serialise(self) -> str:
        """As a text that a cookie can hold."""
        return ".".join(
            (self.state, self.nonce, self.verifier, quote(self.back, safe="").replace(".", "%2E"))
        )

    @property
    def code_challenge(self) -> str:
        """What the issuer is told of the verifier (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class IssuerEndpoints:
    """Addresses of an issuer: where people sign in, where codes become tokens, and where people sign out, if at all."""

    authorization: str
    token: str
    end_session: str = ""


class FetchBytes(Protocol):
    """Gives the bytes at an address, after posting a form there if there is one; may block."""

    def __call__(
        self, url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """What is there. Raises `OSError`, `ValueError` or `http.client.HTTPException`."""
        ...


class OidcClient:
    """The issuer at ``url``, to which we are the application ``client``; ``tokens`` checks what it issues.

    ``secret`` is the application's, empty where it has none. Raises `InvalidInputError` for an address that is neither
    https nor on this machine.
    """

    def __init__(
        self,
        url: str,
        client: str,
        tokens: TokenAuthenticator,
        *,
        secret: str = "",
        fetch: FetchBytes = fetch_bytes,
    ) -> None:
        check_issuer_url(url)
        self._url = url
        self._client = client
        self._tokens = tokens
        self._secret = secret
        self._fetch = fetch
        self._lock = threading.Lock()
        self._found: IssuerEndpoints | None = None
        self._read_at = self._tried_at = -math.inf

    def authorization_url(self, attempt: SignInAttempt, answer: str) -> str:
        """Where a person signs in; they come back to ``answer``. Raises `UnavailableError`."""
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": answer,
            "scope": OIDC_SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.code_challenge,
            "code_challenge_method": "S256",
        }
        return _add_query(self._get_endpoints().authorization, asked)

    def end_session_url(self, back: str) -> str:
        """Where a person signs out of the issuer and comes back from, empty where it has no such place.

        Raises `UnavailableError`.
        """
        found = self._get_endpoints().end_session
        # The second name of the same is Cognito's.
        asked = {"client_id": self._client, "post_logout_redirect_uri": back, "logout_uri": back}
        return _add_query(found, asked) if found else ""

    async def redeem_code(self, code: str, attempt: SignInAttempt, answer: str) -> str:
        """The identity token for the ``code`` that came to ``answer``, checked, and small enough to be kept.

        Raises `UnauthenticatedError` where the issuer refuses the code or the token does not hold, and
        `UnavailableError`.
        """
        token = await run_in_threadpool(self._exchange_code, code, attempt, answer)
        claims = await self._tokens.verify_claims(token)
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not secrets.compare_digest(
            nonce.encode(), attempt.nonce.encode()
        ):
            raise UnauthenticatedError("El token no es de esta entrada.", hint=_SIGN_IN_AGAIN_HINT)
        caller_of_claims(
            claims
        )  # a session of nobody would be refused at each request, and lead back here
        if len(token) > MAX_COOKIE_CHARACTERS:
            raise UnauthenticatedError(
                f"El token mide {len(token):,} caracteres y un navegador guarda {MAX_COOKIE_CHARACTERS:,}.",
                hint="Pida a quien administra el emisor que quite grupos o atributos de su usuario.",
            )
        return token

    def _exchange_code(self, code: str, attempt: SignInAttempt, answer: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": answer,
            "client_id": self._client,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        if self._secret:
            pair = f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        endpoint = self._get_endpoints().token
        try:
            token = json.loads(self._fetch(endpoint, urlencode(form).encode(), headers))["id_token"]
            if not isinstance(token, str):
                raise TypeError("no token")
        except _EXCHANGE_ERRORS as error:
            self._log_failure("did not take a code", error)
            # Without its cause, which may quote what was sent.
            raise UnauthenticatedError(
                "El emisor no confirmó la entrada.",
                hint=f"{_SIGN_IN_AGAIN_HINT} Si sigue igual, avise a quien mantiene IPP.",
            ) from None
        return token

    def _get_endpoints(self) -> IssuerEndpoints:
        """What the issuer publishes, read again when it is old; no more than one waits for it at a time."""
        with self._lock:
            now = time.monotonic()
            if (
                now - self._read_at >= MAX_KEY_AGE_SECONDS
                and now - self._tried_at >= MIN_FETCH_INTERVAL_SECONDS
            ):
                self._tried_at = now
                try:
                    self._found = self._fetch_endpoints()
                    self._read_at = now
                except _EXCHANGE_ERRORS as error:
                    self._log_failure("does not say where people sign in", error)
            if self._found is None:
                raise UnavailableError(
                    "El emisor no responde, así que ahora no se puede entrar.",
                    hint="Repita en un minuto; si sigue igual, avise a quien mantiene IPP.",
                )
            return self._found

    def _fetch_endpoints(self) -> IssuerEndpoints:
        told: Mapping[str, Any] = json.loads(
            self._fetch(f"{self._url.rstrip('/')}/.well-known/openid-configuration")
        )
        if told["issuer"] != self._url:
            raise ValueError("another issuer's")
        end_session = told.get("end_session_endpoint")
        return IssuerEndpoints(
            _checked_url(told["authorization_endpoint"]),
            _checked_url(told["token_endpoint"]),
            _checked_url(end_session) if end_session else "",
        )

    def _log_failure(self, what: str, error: BaseException) -> None:
        reason = error if isinstance(error, OSError) else type(error).__name__
        _LOG.warning("%s %s: %s", urlsplit(self._url).hostname, what, reason)


def _checked_url(told: object) -> str:
    if not isinstance(told, str):
        raise TypeError("no address")
    check_issuer_url(told)
    return told


def _add_query(url: str, asked: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"
