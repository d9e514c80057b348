"""OpenID Connect client: the authorization code flow with PKCE."""

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
"""Requested scope: who the person is, and what to call them."""

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
    """One run of the authorization code flow, which ends at the path ``back``.

    Only the browser and this server know its ``state``, ``nonce`` and PKCE ``verifier``.
    """

    state: str
    nonce: str
    verifier: str
    back: str

    @classmethod
    def begin(cls, back: str) -> SignInAttempt:
        """Create an attempt with new random secrets."""
        return cls(
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(48),
            safe_return_path(back),
        )

    @classmethod
    def parse(cls, text: str) -> SignInAttempt | None:
        """Parse the output of `serialise`; return None for any other text."""
        parts = text.split(".")
        if len(parts) != 4 or not all(parts):
            return None
        state, nonce, verifier, back = parts
        return cls(state, nonce, verifier, safe_return_path(unquote(back)))

    def serialise(self) -> str:
        """Return the attempt as text that a cookie can hold."""
        return ".".join(
            (self.state, self.nonce, self.verifier, quote(self.back, safe="").replace(".", "%2E"))
        )

    @property
    def code_challenge(self) -> str:
        """The PKCE code challenge for the verifier (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class IssuerEndpoints:
    """The issuer's endpoints to sign in, to redeem codes and, unless empty, to sign out."""

    authorization: str
    token: str
    end_session: str = ""


class FetchBytes(Protocol):
    """Fetch the bytes at an address, by POST if there is a form; may block."""

    def __call__(
        self, url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body. Raises `OSError`, `ValueError` or `http.client.HTTPException`."""
        ...


class OidcClient:
    """The OpenID Connect client ``client`` of the issuer at ``url``; ``tokens`` verifies tokens.

    ``secret`` is the client secret, empty where it has none. Raises `InvalidInputError` for an
    address that is neither https nor on this machine.
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
        """Return the URL where a person signs in; ``answer`` is the redirect URI.

        Raises `UnavailableError`.
        """
        query = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": answer,
            "scope": OIDC_SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.code_challenge,
            "code_challenge_method": "S256",
        }
        return _add_query(self._get_endpoints().authorization, query)

    def end_session_url(self, back: str) -> str:
        """Return the URL that signs a person out of the issuer and redirects to ``back``.

        It is empty where the issuer has no such endpoint. Raises `UnavailableError`.
        """
        endpoint = self._get_endpoints().end_session
        # Cognito calls the same parameter logout_uri.
        query = {"client_id": self._client, "post_logout_redirect_uri": back, "logout_uri": back}
        return _add_query(endpoint, query) if endpoint else ""

    async def redeem_code(self, code: str, attempt: SignInAttempt, answer: str) -> str:
        """Exchange the ``code`` sent to the redirect URI ``answer`` for a verified identity token.

        The token is small enough for a cookie. Raises `UnauthenticatedError` if the issuer refuses
        the code or the token is not valid, and `UnavailableError`.
        """
        token = await run_in_threadpool(self._exchange_code, code, attempt, answer)
        claims = await self._tokens.verify_claims(token)
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not secrets.compare_digest(
            nonce.encode(), attempt.nonce.encode()
        ):
            raise UnauthenticatedError("El token no es de esta entrada.", hint=_SIGN_IN_AGAIN_HINT)
        # Raise now if the claims identify nobody: every request of such a session would be refused
        # and lead back here.
        caller_of_claims(claims)
        if len(token) > MAX_COOKIE_CHARACTERS:
            raise UnauthenticatedError(
                f"El token mide {len(token):,} caracteres "
                f"y un navegador guarda {MAX_COOKIE_CHARACTERS:,}.",
                hint="Pida a quien administra el emisor "
                "que quite grupos o atributos de su usuario.",
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
            # Hide the cause: it may quote the code or the secret that was sent.
            raise UnauthenticatedError(
                "El emisor no confirmó la entrada.",
                hint=f"{_SIGN_IN_AGAIN_HINT} Si sigue igual, avise a quien mantiene IPP.",
            ) from None
        return token

    def _get_endpoints(self) -> IssuerEndpoints:
        """Return the issuer's endpoints from the cache, refreshed when it is old.

        The lock is held while fetching, so that only one thread at a time asks the issuer.
        """
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
        metadata: Mapping[str, Any] = json.loads(
            self._fetch(f"{self._url.rstrip('/')}/.well-known/openid-configuration")
        )
        if metadata["issuer"] != self._url:
            raise ValueError("another issuer's")
        end_session = metadata.get("end_session_endpoint")
        return IssuerEndpoints(
            _checked_url(metadata["authorization_endpoint"]),
            _checked_url(metadata["token_endpoint"]),
            _checked_url(end_session) if end_session else "",
        )

    def _log_failure(self, what: str, error: BaseException) -> None:
        reason = error if isinstance(error, OSError) else type(error).__name__
        _LOG.warning("%s %s: %s", urlsplit(self._url).hostname, what, reason)


def _checked_url(url: object) -> str:
    if not isinstance(url, str):
        raise TypeError("no address")
    check_issuer_url(url)
    return url


def _add_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
