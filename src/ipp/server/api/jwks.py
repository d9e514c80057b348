"""Fetch, cache and refresh the JWKS of a token issuer."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError
from jwt.jwk_set_cache import JWKSetCache
from typing_extensions import override

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


class JwksClient(PyJWKClient):
    """A client of the RS256 and ES256 keys in the JWKS (RFC 7517) at ``url``.

    Unlike its base it counts failed fetches too towards the time between two, and keeps the keys
    that it has where a fetch fails. ``fetch`` returns the bytes at a URL and may block: it runs in
    its own thread, one call at a time. ``clock`` returns monotonic seconds. Raises
    `InvalidInputError` for a URL that is neither https nor loopback.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_issuer_url(url)
        super().__init__(url, cooldown_duration=0)
        self.jwk_set_cache = self._cache = _KeyCache(clock)
        self._fetch = fetch or fetch_bytes
        self._clock = clock
        self._tried_at = -math.inf
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ipp-keys")

    async def signing_key(self, kid: str) -> PyJWK:
        """Return the issuer's key with id ``kid``.

        An unknown ``kid``, or keys older than `MAX_KEY_AGE_SECONDS`, start one fetch that all
        callers share, but not within `MIN_FETCH_INTERVAL_SECONDS` of the last. A failed fetch
        keeps the cached keys. Raises `UnauthenticatedError` if the issuer has no such key or its
        keys could never be read.
        """
        key = _find_key(self._cache.get(), kid)
        if key is None:
            loop = asyncio.get_running_loop()
            key = await loop.run_in_executor(self._thread, self._look_up_key, kid)
        if key is not None:
            return key
        if self._cache.newest is None:
            raise UnauthenticatedError(
                "No se pudieron leer las claves del emisor, así que el token no se pudo comprobar.",
                hint="Repita en un minuto; si sigue igual, avise a quien mantiene IPP.",
            )
        raise UnauthenticatedError(
            "El token no está firmado con una clave de este emisor.", hint="Inicie sesión otra vez."
        )

    @override
    def fetch_data(self) -> PyJWKSet:
        """Fetch the accepted keys. Raises `PyJWKClientConnectionError`, also if it is too early."""
        now = self._clock()
        if now - self._tried_at < MIN_FETCH_INTERVAL_SECONDS:
            raise PyJWKClientConnectionError("the last fetch is too recent")
        self._tried_at = now
        host = urlsplit(self.uri).hostname
        try:
            keys = _SigningKeys(_parse_signing_keys(self._fetch(self.uri)))
        except Exception as error:
            # Callers whose keys are cached must not fail because the issuer does.
            _LOG.warning(
                "the keys of %s could not be read (%s: %s)", host, type(error).__name__, error
            )
            raise PyJWKClientConnectionError(f"{host} could not be read") from error
        if not keys.keys:
            _LOG.warning("%s has no key that signs with RS256 or ES256", host)
        return keys

    def _look_up_key(self, kid: str) -> PyJWK | None:
        """Return the key with id ``kid`` after a fetch if one is due, None if there is none."""
        try:
            return self.get_signing_key(kid)
        except PyJWTError:
            return _find_key(self._cache.newest, kid)


class _SigningKeys(PyJWKSet):
    """The accepted keys of a JWKS; unlike its base it may be empty."""

    def __init__(self, keys: list[PyJWK]) -> None:
        self.keys = keys


class _KeyCache(JWKSetCache):
    """A cache of keys that expires by ``clock``; the ``newest`` keys stay."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(MAX_KEY_AGE_SECONDS)
        self._clock = clock
        self._stored_at = -math.inf

    @property
    def newest(self) -> PyJWKSet | None:
        """The last keys that were fetched, however old."""
        stored = self.jwk_set_with_timestamp
        return None if stored is None else stored.jwk_set

    @override
    def put(self, jwk_set: PyJWKSet | dict[str, Any] | None) -> None:
        super().put(jwk_set)
        self._stored_at = self._clock()

    @override
    def is_expired(self) -> bool:
        return self._clock() - self._stored_at >= self.lifespan


def _find_key(keys: PyJWKSet | None, kid: str) -> PyJWK | None:
    return next((key for key in keys or () if key.key_id == kid), None)


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
    request = Request(url, form, all_headers)  # noqa: S310  # `check_issuer_url` has passed it
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

    @override
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


def _parse_signing_keys(content: bytes) -> list[PyJWK]:
    """Return the accepted keys of a JWKS. Raises `ValueError` if ``content`` is not one."""
    document = json.loads(content)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWKS")
    keys = (_parse_signing_key(item) for item in listed if isinstance(item, dict))
    return [key for key in keys if key is not None]


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
