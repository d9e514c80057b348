"""The public keys of an issuer of tokens: fetched, kept, and fetched again when it has new ones."""

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
"""The only algorithms a token may be signed with, by the type of key."""

EC_CURVE: Final = "P-256"
"""The curve of ES256."""

MIN_RSA_BITS: Final = 2_048
"""Shorter RSA keys are ignored."""

MIN_FETCH_INTERVAL_SECONDS: Final = 10.0
"""Seconds from one fetch to the next, at least, whatever the tokens ask for."""

MAX_KEY_AGE_SECONDS: Final = 3_600.0
"""Seconds after which keys are fetched again, so that one the issuer withdrew stops working."""

FETCH_TIMEOUT_SECONDS: Final = 5.0
"""Seconds that a fetch may take."""

MAX_RESPONSE_BYTES: Final = 262_144
"""Most bytes that an issuer's keys may take."""


def is_loopback(host: str) -> bool:
    """Whether ``host``, an address or a name without brackets or port, can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class JwksClient:
    """The keys at ``url`` (a JWKS, RFC 7517) that sign with RS256 or ES256.

    ``fetch`` gives the bytes at an address and may block: it runs in a thread of its own, one at a time. ``clock``
    gives seconds that never go back. Raises `InvalidInputError` for an address that is neither https nor loopback.
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
        """The key that the issuer calls ``kid``.

        A key that is not known, or keys older than `MAX_KEY_AGE_SECONDS`, cause one fetch, which everyone who needs it waits for;
        there is none within `MIN_FETCH_INTERVAL_SECONDS` of the last. A fetch that fails leaves the keys as they were. Raises
        `UnauthenticatedError` where the issuer has no such key, or where its keys were never read.
        """
        stale = self._clock() - self._fetched_at >= MAX_KEY_AGE_SECONDS
        if (stale or kid not in self._keys) and (refresh := self._start_refresh()) is not None:
            # Shielded: one who leaves before the fetch has begun would cancel it for all who wait.
            await asyncio.shield(asyncio.wrap_future(refresh))
        found = self._keys.get(kid)
        if found is not None:
            return found
        if math.isinf(self._fetched_at):
            raise UnauthenticatedError(
                "No se pudieron leer las claves del emisor, así que el token no se pudo comprobar.",
                hint="Repita en un minuto; si sigue igual, avise a quien mantiene IPP.",
            )
        raise UnauthenticatedError(
            "El token no está firmado con una clave de este emisor.", hint="Inicie sesión otra vez."
        )

    def _start_refresh(self) -> Future[None] | None:
        """The fetch under way, or a new one; None where the last is too recent."""
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
        """Replace the keys by the issuer's; never raises."""
        started = self._clock()
        try:
            self._keys = _parse_signing_keys(self._fetch(self._url))
        except Exception as error:
            # Whatever went wrong with the issuer, callers whose keys are known go on.
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
    """What is at ``url``, at most `MAX_RESPONSE_BYTES` of it, within `FETCH_TIMEOUT_SECONDS`; redirections are not followed.

    A ``form`` is posted there. Raises `OSError`, `ValueError` or `http.client.HTTPException`.
    """
    handlers: list[Any] = [_NoRedirectHandler()]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(ProxyHandler({}))
    deadline = time.monotonic() + FETCH_TIMEOUT_SECONDS
    asked = {"Accept": "application/json", **(headers or {})}
    request = Request(url, form, asked)  # noqa: S310  # a setting's check lets https alone pass, and http on loopback
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
    """An issuer's address is the one that was set: a redirection could lead off https."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Follow none."""


def check_issuer_url(url: str) -> None:
    """Raise `InvalidInputError` for an address that is neither https nor on this machine."""
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
    """The usable keys of a JWKS by their name, the first where two share one. Raises ValueError for what is none."""
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
    """The key of one entry, None for one that is not a public signing key of ours or that is broken."""
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
        and "d" not in item  # a private key that was published is anybody's
    )
    if not fits:
        return None
    try:
        key = PyJWK(dict(item), algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    short = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
    return None if short else key
