"""Keys, tokens and requests for tests of who is calling."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from collections import defaultdict
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import Request

from ipp.jobs.job_service import Caller
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.claims import Authenticator
from ipp.server.api.jwks import JwksClient
from ipp.server.api.problem_response import UnauthenticatedError

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_prueba"
AUDIENCE = "3n4b5urk1ft4fl3mg5e62d9ado"
NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
URL = "https://emisor.example/.well-known/jwks.json"

_RSA: defaultdict[str, rsa.RSAPrivateKey] = defaultdict(
    lambda: rsa.generate_private_key(65_537, 2_048)
)
_EC: defaultdict[str, ec.EllipticCurvePrivateKey] = defaultdict(
    lambda: ec.generate_private_key(ec.SECP256R1())
)


def rsa_key(name: str = "uno") -> rsa.RSAPrivateKey:
    """A key by its name, made once."""
    return _RSA[name]


def ec_key(name: str = "uno") -> ec.EllipticCurvePrivateKey:
    """A key by its name, made once."""
    return _EC[name]


def rsa_jwk(kid: str = "r", name: str = "uno", **more: Any) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(name).public_key()))
    return {
        "kty": "RSA",
        "n": public["n"],
        "e": public["e"],
        "kid": kid,
        "use": "sig",
        "alg": "RS256",
        **more,
    }


def ec_jwk(kid: str = "e", name: str = "uno", **more: Any) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec_key(name).public_key()))
    return {**public, "kid": kid, "use": "sig", "alg": "ES256", **more}


def encode_jwks(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


def build_claims(**changes: Any) -> dict[str, Any]:
    """Return an identity token's claims; a change to None leaves one out."""
    now = int(NOW.timestamp())
    made = {
        "sub": "8f2c", "iss": ISSUER, "aud": AUDIENCE, "token_use": "id", "iat": now,
        "exp": now + 3_600, "email": "ana@example.com", "cognito:username": "ana",
        "name": "Ana Peña", **changes,
    }  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


def sign_token(
    changes: dict[str, Any] | None = None,
    *,
    kid: str | None = "r",
    key: Any = None,
    algorithm: str = "RS256",
) -> str:
    """Return a token as the issuer signs it, but for ``changes`` to its claims."""
    # As bytes, because PyJWT does not sign claims of a wrong type, and others may.
    content = json.dumps(build_claims(**(changes or {}))).encode()
    return jwt.api_jws.encode(
        content, key or rsa_key(), algorithm=algorithm, headers={} if kid is None else {"kid": kid}
    )


def encode_part(value: Any) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def build_request(
    *headers: tuple[str, str], client: tuple[str, int] | None = ("127.0.0.1", 5_000)
) -> Request:
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client})


def bearer_request(text: str) -> Request:
    return build_request(("authorization", f"Bearer {text}"))


def caller_of(by: Authenticator, request: Request) -> Caller:
    return asyncio.run(by.identify_caller(request))


def refusal_of(by: Authenticator, text: str) -> str:
    """Return why a token is refused; check that neither message, hint nor cause repeats it."""
    with pytest.raises(UnauthenticatedError) as caught:
        caller_of(by, bearer_request(text))
    error = caught.value
    assert error.hint
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    for piece in [text, *text.split(".")]:
        assert len(piece) < 8 or piece not in str(error)
    return error.message


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Keys as an issuer gives them out, counting how often it is asked; None for one that fails."""

    def __init__(self, *entries: Any) -> None:
        self.content: bytes | None = encode_jwks(*entries)
        self.asked = 0
        self.clock = Clock()
        self.keys = JwksClient(URL, self._give, self.clock)
        self.by = TokenAuthenticator(ISSUER, AUDIENCE, self.keys, lambda: NOW)

    def _give(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        if self.content is None:
            raise OSError("no route to host")
        return self.content
