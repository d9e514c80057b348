"""Authenticate callers by bearer token (JWT) or, on a loopback address only, as the local user."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from fastapi import Request
from jwt.exceptions import InvalidAlgorithmError, InvalidSignatureError, PyJWTError
from jwt.types import Options
from typing_extensions import override

from ipp.errors import InvalidInputError
from ipp.jobs.job_service import Caller
from ipp.jobs.local_caller import local_caller
from ipp.server.api.claims import SIGN_IN_HINT, Authenticator, caller_of_claims
from ipp.server.api.jwks import ALGORITHM_BY_KEY_TYPE, JwksClient, is_loopback
from ipp.server.api.problem_response import ForbiddenError, UnauthenticatedError

CLOCK_LEEWAY: Final = dt.timedelta(seconds=30)
"""Tolerated difference between the issuer's clock and ours."""

MAX_TOKEN_CHARACTERS: Final = 16_384
"""Longer tokens are rejected unread."""

_BEARER_PATTERN: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_TOKEN_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_SIGNATURE_ONLY_OPTIONS: Final[Options] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""Let PyJWT check the signature only.

The claims are checked here, against an injected clock and with error messages for people.
"""


class TokenAuthenticator(Authenticator):
    """Authenticate by a JWT of ``issuer`` for ``audience``, signed with one of ``keys``.

    ``clock`` returns the current time in UTC.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: JwksClient,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock

    @override
    async def identify_caller(self, request: Request) -> Caller:
        """Return the caller that the request's bearer token names.

        Raises `UnauthenticatedError`, whose message never contains the token.
        """
        return caller_of_claims(await self.verify_claims(_bearer_token(request)))

    async def verify_claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of ``token`` after checking its signature, times, issuer and audience.

        Raises `UnauthenticatedError`, whose message never contains the token.
        """
        if len(token) > MAX_TOKEN_CHARACTERS or _TOKEN_PATTERN.fullmatch(token) is None:
            raise _unreadable_error()
        claims = await self._verify_signature(token)
        _check_time(claims, self._clock().timestamp())
        if claims.get("iss") != self._issuer:
            raise UnauthenticatedError("El token es de otro emisor.", hint=SIGN_IN_HINT)
        _check_audience(claims, self._audience)
        return claims

    async def _verify_signature(self, token: str) -> Mapping[str, Any]:
        """Return the claims of ``token`` after checking its signature; the claims are unchecked."""
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise _unreadable_error() from None
        if header.get("alg") not in ALGORITHM_BY_KEY_TYPE.values():
            raise UnauthenticatedError(
                "El token no está firmado con RS256 ni con ES256.", hint=SIGN_IN_HINT
            )
        kid = header.get("kid")
        if not isinstance(kid, str) or not kid:
            raise UnauthenticatedError(
                "El token no dice con qué clave está firmado.", hint=SIGN_IN_HINT
            )
        key = await self._keys.signing_key(kid)
        try:
            # The key decides the algorithm: the token's header could name a weaker one.
            return jwt.decode(
                token, key, algorithms=[key.algorithm_name], options=_SIGNATURE_ONLY_OPTIONS
            )
        except (InvalidSignatureError, InvalidAlgorithmError):
            # The cause may quote the token, so it is dropped here and below.
            raise UnauthenticatedError("La firma del token no vale.", hint=SIGN_IN_HINT) from None
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise _unreadable_error() from None


class LocalAuthenticator(Authenticator):
    """Authenticate the local user without a token, on a loopback address and ``port``.

    Must not be fooled by another site's page in the user's browser (CSRF, DNS rebinding) nor by a
    client behind a proxy on this machine.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._hosts = _own_hosts(port)
        self._caller = local_caller()

    @override
    async def identify_caller(self, request: Request) -> Caller:
        """Return the local user.

        Raises `ForbiddenError` for a request from another machine, another site's page or a proxy,
        judged by the client's address, Host, Origin, Sec-Fetch-Site and the headers proxies add.
        """
        if request.client is None or not is_loopback(request.client.host):
            raise ForbiddenError("Sólo se atiende a este mismo equipo.", hint=_SET_ISSUER_HINT)
        if any(name in request.headers for name in _PROXY_HEADERS):
            raise ForbiddenError(
                "La petición viene a través de otro servidor.", hint=_SET_ISSUER_HINT
            )
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise ForbiddenError(
                "La dirección por la que se llama no es la de este servidor.",
                hint=f"Use http://localhost:{self._port}.",
            )
        own = {
            f"http://{host}"
            for host in self._hosts
            if _host_name(host) == _host_name(hosts[0].lower())
        }
        foreign = any(origin.lower() not in own for origin in request.headers.getlist("origin"))
        # "same-site" is not enough: another port of this machine may be another program's page.
        if foreign or not _OWN_FETCH_SITES.issuperset(request.headers.getlist("sec-fetch-site")):
            raise ForbiddenError(
                "La petición viene de una página que no es la de IPP.",
                hint=f"Abra http://localhost:{self._port}.",
            )
        return self._caller


_SET_ISSUER_HINT: Final = "Para atender a otros, ponga IPP_ISSUER e IPP_AUDIENCE."
_PROXY_HEADERS: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})


def build_authenticator(
    *, host: str, port: int, issuer: str = "", audience: str = "", jwks: str = ""
) -> Authenticator:
    """Build the authenticator of a server at ``host`` and ``port``.

    With ``issuer`` and ``audience``, callers need a token; its keys are at ``jwks`` or, by default,
    at the issuer's ``/.well-known/jwks.json``, as with Cognito. Without them the caller is the
    local user, on a loopback address only. Raises `InvalidInputError` for any other address without
    an issuer, for an issuer without an audience or the reverse, and for a JWKS URL without https.
    """
    if issuer and not audience:
        raise InvalidInputError(
            "Hay emisor de tokens (IPP_ISSUER) y no se sabe para qué aplicación han de ser.",
            hint="Ponga en IPP_AUDIENCE el identificador de la aplicación.",
        )
    if audience and not issuer:
        raise InvalidInputError(
            "Hay aplicación (IPP_AUDIENCE) y no se sabe quién emite sus tokens.",
            hint="Ponga en IPP_ISSUER la dirección del emisor, o quite IPP_AUDIENCE.",
        )
    if issuer:
        return TokenAuthenticator(
            issuer, audience, JwksClient(jwks or f"{issuer.rstrip('/')}/.well-known/jwks.json")
        )
    if not is_loopback(host):
        raise InvalidInputError(
            f"En {host or 'todas las direcciones'} cualquiera de la red podría entrar: "
            "sin emisor de tokens no se sabe quién llama.",
            hint="Ponga IPP_ISSUER e IPP_AUDIENCE, o use --host 127.0.0.1.",
        )
    return LocalAuthenticator(port)


def _bearer_token(request: Request) -> str:
    """Return the request's bearer token.

    Raises `UnauthenticatedError` unless there is exactly one Authorization header with one.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        raise UnauthenticatedError(
            "Falta identificarse.",
            hint="Mande el token de su sesión en la cabecera Authorization: Bearer TOKEN.",
        )
    if len(headers) > 1:
        raise UnauthenticatedError("Hay más de una cabecera Authorization.", hint="Mande una sola.")
    bearer = _BEARER_PATTERN.fullmatch(headers[0].strip())
    if bearer is None:
        raise UnauthenticatedError(
            "La cabecera Authorization no lleva un token.", hint="Mande Bearer y el token."
        )
    return bearer[1]


def _unreadable_error() -> UnauthenticatedError:
    return UnauthenticatedError("El token no se entiende.", hint=SIGN_IN_HINT)


def _check_time(claims: Mapping[str, Any], now: float) -> None:
    """Raise `UnauthenticatedError` for a token expired, without expiry or not valid yet."""
    leeway = CLOCK_LEEWAY.total_seconds()
    moments = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if "exp" not in moments or not all(map(_is_timestamp, moments.values())):
        raise UnauthenticatedError(
            "El token no dice bien desde cuándo y hasta cuándo vale.", hint=SIGN_IN_HINT
        )
    if moments["exp"] <= now - leeway:
        raise UnauthenticatedError("La sesión venció.", hint=SIGN_IN_HINT)
    if max(moments.get("nbf", now), moments.get("iat", now)) > now + leeway:
        raise UnauthenticatedError(
            "El token todavía no vale.",
            hint="Revise que el reloj de este servidor esté en hora e inicie sesión otra vez.",
        )


def _is_timestamp(value: Any) -> bool:
    """Return True for a finite number of seconds; booleans do not count."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Raise `UnauthenticatedError` for a token issued for another application.

    Cognito's identity tokens name the application in ``aud``, its access tokens in ``client_id``.
    An ``aud`` takes precedence: it may name another service that our application calls.
    """
    use = claims.get("token_use")
    if "token_use" in claims and use not in ("id", "access"):
        raise UnauthenticatedError("El token no es de identidad ni de acceso.", hint=SIGN_IN_HINT)
    named = claims.get("aud")
    in_aud = audience in (named if isinstance(named, list) else [named])
    is_client = claims.get("client_id") == audience
    fits = is_client if named is None else in_aud
    if use == "id":
        fits = in_aud
    elif use == "access":
        fits = is_client and fits
    if not fits:
        raise UnauthenticatedError("El token es para otra aplicación.", hint=SIGN_IN_HINT)


def _own_hosts(port: int) -> frozenset[str]:
    """Return the valid Host values on loopback and ``port``; browsers omit port 80."""
    names = ("localhost", "127.0.0.1", "[::1]")
    with_port = {f"{name}:{port}" for name in names}
    return frozenset(with_port.union(names) if port == 80 else with_port)


def _host_name(host: str) -> str:
    """Return a Host without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
