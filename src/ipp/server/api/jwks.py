"""Fetch, cache and refresh the JWKS of a token issuer."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from ipp.errors import InvalidInputError
from ipp.server.api.problem_response import UnauthenticatedError

_LOG: Final = logging.getLogger("ipp.server.api.jwks")

ALGORITHM_BY_KEY_TYPE: Final[Mapping[str, str]] = {"RSA": "RS256", "EC": "ES256"}
"""The accepted signing algorithms, by key type."""

EC_CURVE: Final = "P-256"
"""The curve of ES256."""

MIN_RSA_BITS: Final = 2_048
"""Shorter RSA keys are ignored."""

MIN_FETCH_INTERVAL_SECONDS: Final = 10.0
"""Minimum time between two fetches, however many unknown key ids the tokens name."""

MAX_KEY_AGE_SECONDS: Final = 3_600.0
"""Keys older than this are fetched again, so that a revoked key stops working."""

FETCH_TIMEOUT_SECONDS: Final = 5.0
"""Time limit of a fetch."""

MAX_RESPONSE_BYTES: Final = 262_144
"""Size limit of a fetched response."""


def is_loopback(host: str) -> bool:
    """Return True if ``host``, an address or name without brackets or port, is loopback."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class JwksClient:
    """A cache of the RS256 and ES256 keys in the JWKS (RFC 7517) at ``url``.

    ``fetch`` returns the bytes at a URL and may block: it runs in its own thread, one call at a
    time. ``clock`` returns monotonic seconds. Raises `InvalidInputError` for a URL that is neither
    https nor loopback.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_issuer_url(url)
        self._url = url
        self._fetch = fetch or fetch_bytes
        self._clock = clock
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ipp-keys")
        self._refresh: Future[None] | None = None

    async def signing_key(self, kid: str) -> PyJWK:
        """Return the issuer's key with id ``kid``.

        An unknown ``kid``, or keys older than `MAX_KEY_AGE_SECONDS`, start one fetch that all
        callers share, but not within `MIN_FETCH_INTERVAL_SECONDS` of the last. A failed fetch
        keeps the cached keys. Raises `UnauthenticatedError` if the issuer has no such key or its
        keys could never be read.
        """
        stale = self._clock() - self._fetched_at >= MAX_KEY_AGE_SECONDS
        if (stale or kid not in self._keys) and (refresh := self._start_refresh()) is not None:
            # Shielded, because a request cancelled before the fetch starts would cancel it for all.
            await asyncio.shield(asyncio.wrap_future(refresh))
        key = self._keys.get(kid)
        if key is not None:
            return key
        if math.isinf(self._fetched_at):
            raise UnauthenticatedError(
                "No se pudieron leer las claves del emisor, así que el token no se pudo comprobar.",
                hint="Repita en un minuto; si sigue igual, avise a quien mantiene IPP.",
            )
        raise UnauthenticatedError(
            "El token no está firmado con una clave de este emisor.", hint="Inicie sesión otra vez."
        )

    def _start_refresh(self) -> Future[None] | None:
        """Return the fetch in progress or start one; None if the last one is too recent."""
        with self._lock:
            if self._refresh is not None and not self._refresh.done():
                return self._refresh
            now = self._clock()
            if now - self._tried_at < MIN_FETCH_INTERVAL_SECONDS:
                return None
            self._tried_at = now
            self._refresh = self._thread.submit(self._refresh_keys)
            return self._refresh

    def _refresh_keys(self) -> None:
        """Replace the cached keys with the issuer's; never raises."""
        started = self._clock()
        try:
            self._keys = _parse_signing_keys(self._fetch(self._url))
        except Exception as error:
            # Callers whose keys are cached must not fail because the issuer does.
            _LOG.warning(
                "the keys of %s could not be read (%s: %s)",
                urlsplit(self._url).hostname,
                type(error).__name__,
                error,
            )
            return
        self._fetched_at = started
        if not self._keys:
            _LOG.warning(
                "%s has no key that signs with RS256 or ES256", urlsplit(self._url).hostname
            )


def fetch_bytes(
    url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the response body of ``url``, to which a ``form`` is posted if given.

    Limited to `MAX_RESPONSE_BYTES` and `FETCH_TIMEOUT_SECONDS`; redirects are not followed.
    Raises `OSError`, `ValueError` or `http.client.HTTPException`.
    """
    handlers: list[Any] = [_NoRedirectHandler()]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(ProxyHandler({}))
    deadline = time.monotonic() + FETCH_TIMEOUT_SECONDS
    all_headers = {"Accept": "application/json", **(headers or {})}
    # `check_issuer_url` has let only https pass, and http on loopback.
    request = Request(url, form, all_headers)  # noqa: S310
    try:
        with build_opener(*handlers).open(request, timeout=FETCH_TIMEOUT_SECONDS) as response:
            content = bytearray()
            while chunk := response.read1(MAX_RESPONSE_BYTES):
                content += chunk
                if len(content) > MAX_RESPONSE_BYTES:
                    raise ValueError(f"more than {MAX_RESPONSE_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"more than {FETCH_TIMEOUT_SECONDS:g} s")
            return bytes(content)
    except HTTPError as error:
        with error:
            raise OSError(f"HTTP {error.code}") from None


class _NoRedirectHandler(HTTPRedirectHandler):
    """Refuse redirects, which could lead from https to http."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Follow no redirect."""


def check_issuer_url(url: str) -> None:
    """Raise `InvalidInputError` for a URL that is neither https nor loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in {"https", "http"}:
        raise InvalidInputError(f"{url!r} no es una dirección https.", hint="Revise IPP_ISSUER.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInputError(
            f"{url} no es https: quien esté en medio podría cambiar las claves.",
            hint="Ponga en IPP_ISSUER una dirección que empiece por https://.",
        )


def _parse_signing_keys(content: bytes) -> dict[str, PyJWK]:
    """Return the usable keys of a JWKS by key id; the first wins if two share one.

    Raises `ValueError` if ``content`` is not a JWKS.
    """
    document = json.loads(content)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWKS")
    keys: dict[str, PyJWK] = {}
    for item in listed:
        if isinstance(item, dict) and (key := _parse_signing_key(item)) is not None:
            keys.setdefault(item["kid"], key)
    return keys


def _parse_signing_key(item: Mapping[str, Any]) -> PyJWK | None:
    """Return the key of a JWKS entry, None unless it is a valid RS256 or ES256 public key."""
    kid, kty = item.get("kid"), item.get("kty")
    algorithm = ALGORITHM_BY_KEY_TYPE.get(kty) if isinstance(kty, str) else None
    operations = item.get("key_ops", ["verify"])
    fits = (
        isinstance(kid, str)
        and algorithm is not None
        and item.get("alg", algorithm) == algorithm
        and item.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and (kty != "EC" or item.get("crv") == EC_CURVE)
        and "d" not in item  # A published private key is compromised.
    )
    if not fits:
        return None
    try:
        key = PyJWK(dict(item), algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    short = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
    return None if short else key
