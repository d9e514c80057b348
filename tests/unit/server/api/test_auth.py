"""Which tokens hold, and what is said of those that do not."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from ipp.jobs.job import JobOwner
from ipp.jobs.job_service import Caller
from ipp.server.api.auth import CLOCK_LEEWAY, MAX_TOKEN_CHARACTERS, TokenAuthenticator
from ipp.server.api.claims import GatewayAuthenticator
from ipp.server.api.problem_response import UnauthenticatedError
from tests.unit.server.api.callers import (
    AUDIENCE,
    ISSUER,
    NOW,
    Issuer,
    bearer_request,
    build_claims,
    build_request,
    caller_of,
    ec_jwk,
    ec_key,
    encode_part,
    refusal_of,
    rsa_jwk,
    rsa_key,
    sign_token,
)


@pytest.fixture(scope="module")
def by() -> TokenAuthenticator:
    return Issuer(rsa_jwk(), ec_jwk()).by


def test_an_identity_token_makes_its_user(by: TokenAuthenticator) -> None:
    assert caller_of(by, bearer_request(sign_token())) == Caller(
        JobOwner(sub="8f2c", email="ana@example.com", username="ana", name="Ana Peña"), admin=False
    )


def test_an_access_token_names_the_application_in_client_id(by: TokenAuthenticator) -> None:
    access = sign_token(
        {
            "aud": None,
            "client_id": AUDIENCE,
            "token_use": "access",
            "cognito:username": None,
            "username": "ana",
        }
    )
    assert caller_of(by, bearer_request(access)).user.username == "ana"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE, "otra"]},
        {"token_use": None},
        {"token_use": None, "aud": None, "client_id": AUDIENCE},
        {"iat": None},
        {"nbf": NOW.timestamp() + 20},
        {"exp": NOW.timestamp() - 20.5},
        {"token_use": "access", "client_id": AUDIENCE},
        {"nbf": NOW.timestamp() + 30, "iat": NOW.timestamp() + 30},
        {"exp": NOW.timestamp() - 29.999},
    ],
    ids=str,
)
def test_what_else_holds(by: TokenAuthenticator, changes: dict[str, Any]) -> None:
    assert caller_of(by, bearer_request(sign_token(changes))).user.sub == "8f2c"


def test_the_machines_clock_may_differ_from_the_issuers_by_half_a_minute() -> None:
    now = int(time.time())
    by = TokenAuthenticator(ISSUER, AUDIENCE, Issuer(rsa_jwk()).keys)
    ahead = {"iat": now + 20, "nbf": now + 20, "exp": now + 600}
    behind = {"iat": now - 600, "exp": now - 10}
    for times in (ahead, behind):
        assert caller_of(by, bearer_request(sign_token(times))).user.sub == "8f2c"
    assert refusal_of(by, sign_token({**ahead, "nbf": now + 120})) == FUTURE
    assert refusal_of(by, sign_token({**behind, "exp": now - 60})) == "La sesión venció."


def test_the_longest_name_of_a_person_is_that_of_openid_connect(by: TokenAuthenticator) -> None:
    longest = "a" * 255
    assert caller_of(by, bearer_request(sign_token({"sub": longest}))).user.sub == longest


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", " Bearer "])
def test_the_scheme_is_read_in_any_case(by: TokenAuthenticator, scheme: str) -> None:
    assert caller_of(by, build_request(("authorization", scheme + sign_token()))).user.sub == "8f2c"


@pytest.mark.parametrize(
    ("groups", "admin"),
    [
        (["ipp-admin"], True),
        (["otros", "ipp-admin"], True),
        (["ipp-admin2", "IPP-ADMIN"], False),
        ("ipp-admin", False),
        ({"ipp-admin": 1}, False),
        ([["ipp-admin"]], False),
        (None, False),
    ],
)
def test_the_admin_group_sees_all(by: TokenAuthenticator, groups: Any, admin: bool) -> None:
    caller = caller_of(by, bearer_request(sign_token({"cognito:groups": groups})))
    assert caller.admin is admin
    assert caller.visible_owner == (None if admin else "8f2c")


def gateway_request(claims: object) -> Request:
    """A request whose claims API Gateway has read from its token."""
    request = build_request()
    request.scope["aws.event"] = {"requestContext": {"authorizer": {"jwt": {"claims": claims}}}}
    return request


@pytest.mark.parametrize(
    ("groups", "admin"),
    [
        ("[ipp-admin]", True), ("[otros ipp-admin]", True), ("[otros, ipp-admin]", True),
        ("ipp-admin", True), (["otros", "ipp-admin"], True), ("[ipp-admin2 ipp]", False),
        ("[]", False), ("", False), ([], False), (None, False), (7, False),
        ({"ipp-admin": 1}, False),
    ],
)  # fmt: skip
def test_the_gateway_writes_groups_in_its_own_way(groups: Any, admin: bool) -> None:
    caller = caller_of(
        GatewayAuthenticator(), gateway_request({"sub": "8f2c", "cognito:groups": groups})
    )
    assert (caller.user.sub, caller.admin) == ("8f2c", admin)


@pytest.mark.parametrize("event", [None, "", [], {"sub": ""}, {}])
def test_what_came_past_the_gateway_is_nobodys(event: object) -> None:
    for request in (build_request(), gateway_request(event)):
        with pytest.raises(UnauthenticatedError):
            caller_of(GatewayAuthenticator(), request)


def test_claims_for_people_that_are_no_text_are_left_out(by: TokenAuthenticator) -> None:
    odd = sign_token({"email": ["a"], "name": "\ud800", "cognito:username": 7, "username": "a\nb"})
    assert caller_of(by, bearer_request(odd)).user == JobOwner(sub="8f2c")


def test_no_signature_is_refused(by: TokenAuthenticator) -> None:
    unsigned = jwt.encode(build_claims(), "", algorithm="none", headers={"kid": "r"})
    assert unsigned.endswith(".")
    assert refusal_of(by, unsigned) == "El token no se entiende."
    for name in ("none", "None", "NONE", "nOnE", "", None, ["RS256"], {"RS256": 1}):
        pieces = ({"alg": name, "kid": "r"}, build_claims(), b"x" * 256)
        assert "RS256" in refusal_of(by, ".".join(map(encode_part, pieces)))


@pytest.mark.parametrize("kid", ["r", "e"])
def test_the_public_key_is_no_secret(by: TokenAuthenticator, kid: str) -> None:
    public = (rsa_key() if kid == "r" else ec_key()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), json.dumps(rsa_jwk()).encode()):
        signed = f"{encode_part({'alg': 'HS256', 'kid': kid})}.{encode_part(build_claims())}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        assert (
            refusal_of(by, f"{signed}.{encode_part(mac)}")
            == "El token no está firmado con RS256 ni con ES256."
        )


@pytest.mark.parametrize(
    ("kid", "name", "algorithm", "holds"),
    [
        ("r", "uno", "RS256", True), ("e", "uno", "ES256", True), ("e", "uno", "RS256", False),
        ("r", "uno", "ES256", False), ("r", "otro", "RS256", False), ("e", "otro", "ES256", False),
        ("r", "uno", "RS384", False), ("r", "uno", "RS512", False), ("r", "uno", "PS256", False),
    ],
)  # fmt: skip
def test_the_issuers_key_decides_the_algorithm(
    by: TokenAuthenticator, kid: str, name: str, algorithm: str, holds: bool
) -> None:
    key = ec_key(name) if algorithm == "ES256" else rsa_key(name)
    signed = sign_token(kid=kid, key=key, algorithm=algorithm)
    if holds:
        assert caller_of(by, bearer_request(signed)).user.sub == "8f2c"
    else:
        refusal_of(by, signed)


def test_a_key_that_the_token_brings_along_is_not_used(by: TokenAuthenticator) -> None:
    headers = {"kid": "r", "jwk": rsa_jwk(name="otro"), "jku": "https://otro.example/jwks.json"}
    brought = jwt.encode(build_claims(), rsa_key("otro"), algorithm="RS256", headers=headers)
    assert refusal_of(by, brought) == "La firma del token no vale."


TIMES = "El token no dice bien desde cuándo y hasta cuándo vale."
FUTURE = "El token todavía no vale."
OTHER_APPLICATION = "El token es para otra aplicación."
NOBODY = "El token no dice de quién es."
SOON = NOW.timestamp() + CLOCK_LEEWAY.total_seconds() + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exp": NOW.timestamp() - CLOCK_LEEWAY.total_seconds()}, "La sesión venció."),
        ({"exp": 0}, "La sesión venció."),
        ({"exp": None}, TIMES),
        ({"exp": "9999999999"}, TIMES),
        ({"exp": True}, TIMES),
        ({"exp": float("inf")}, TIMES),
        ({"exp": float("nan")}, TIMES),
        ({"nbf": "ayer"}, TIMES),
        ({"iat": [1]}, TIMES),
        ({"nbf": SOON}, FUTURE),
        ({"iat": SOON}, FUTURE),
        ({"iat": 10**400}, FUTURE),
        ({"iss": None}, "El token es de otro emisor."),
        ({"iss": f"{ISSUER}/"}, "El token es de otro emisor."),
        ({"iss": ISSUER.upper()}, "El token es de otro emisor."),
        ({"iss": [ISSUER]}, "El token es de otro emisor."),
        ({"aud": "otra"}, OTHER_APPLICATION),
        ({"aud": None}, OTHER_APPLICATION),
        ({"aud": []}, OTHER_APPLICATION),
        ({"aud": 7, "token_use": None}, OTHER_APPLICATION),
        ({"aud": AUDIENCE[:5]}, OTHER_APPLICATION),
        ({"aud": f"{AUDIENCE}2"}, OTHER_APPLICATION),
        ({"aud": {AUDIENCE: 1}}, OTHER_APPLICATION),
        ({"aud": "otra", "client_id": AUDIENCE}, OTHER_APPLICATION),
        ({"aud": None, "client_id": AUDIENCE}, OTHER_APPLICATION),
        ({"token_use": "access"}, OTHER_APPLICATION),
        ({"token_use": "access", "aud": None, "client_id": "otra"}, OTHER_APPLICATION),
        ({"token_use": "access", "aud": "otra", "client_id": AUDIENCE}, OTHER_APPLICATION),
        ({"token_use": None, "aud": "otra", "client_id": AUDIENCE}, OTHER_APPLICATION),
        ({"token_use": None, "aud": None}, OTHER_APPLICATION),
        ({"token_use": "refresh"}, "El token no es de identidad ni de acceso."),
        ({"token_use": ["id"]}, "El token no es de identidad ni de acceso."),
        ({"token_use": ""}, "El token no es de identidad ni de acceso."),
        ({"sub": None}, NOBODY),
        ({"sub": ""}, NOBODY),
        ({"sub": 7}, NOBODY),
        ({"sub": ["8f2c"]}, NOBODY),
        ({"sub": "  "}, NOBODY),
        ({"sub": "a\ud800"}, NOBODY),
        ({"sub": "a" * 256}, NOBODY),
    ],
    ids=lambda case: str(case)[:40],
)
def test_claims_that_are_refused(
    by: TokenAuthenticator, changes: dict[str, Any], message: str
) -> None:
    assert refusal_of(by, sign_token(changes)) == message


@pytest.mark.parametrize("payload", [b"[]", b"7", b"null", b"{", b"\xff", b"[" * 9_000])
def test_a_payload_that_is_no_object_is_refused(by: TokenAuthenticator, payload: bytes) -> None:
    signed = jwt.api_jws.encode(payload, rsa_key(), algorithm="RS256", headers={"kid": "r"})
    assert refusal_of(by, signed) == "El token no se entiende."


def test_a_token_without_kid_is_refused(by: TokenAuthenticator) -> None:
    for kid in (None, ""):
        assert refusal_of(by, sign_token(kid=kid)) == "El token no dice con qué clave está firmado."
    odd = ".".join(map(encode_part, ({"alg": "RS256", "kid": ["r"]}, build_claims(), b"x")))
    assert refusal_of(by, odd) in {
        "El token no dice con qué clave está firmado.",
        "El token no se entiende.",
    }


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([], "Falta identificarse."),
        (["Bearer a.b.c", "Bearer a.b.c"], "Hay más de una cabecera Authorization."),
        (["Basic YTpi"], "La cabecera Authorization no lleva un token."),
        (["Bearer"], "La cabecera Authorization no lleva un token."),
        (["Bearer a.b.c, Bearer a.b.c"], "La cabecera Authorization no lleva un token."),
        (["a.b.c"], "La cabecera Authorization no lleva un token."),
        (["Bearer:a.b.c"], "La cabecera Authorization no lleva un token."),
        (["Bearer a.b"], "El token no se entiende."),
        (["Bearer a.b.c.d.e"], "El token no se entiende."),
        (["Bearer " + "a" * MAX_TOKEN_CHARACTERS + ".b.c"], "El token no se entiende."),
    ],
    ids=str,
)
def test_headers_that_carry_no_token(
    by: TokenAuthenticator, headers: list[str], message: str
) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        caller_of(by, build_request(*(("authorization", header) for header in headers)))
    assert caught.value.message == message
    assert caught.value.hint


def test_a_token_longer_than_any_real_one_is_not_looked_at(by: TokenAuthenticator) -> None:
    assert (
        refusal_of(by, sign_token({"name": "a" * MAX_TOKEN_CHARACTERS}))
        == "El token no se entiende."
    )
    assert (
        caller_of(
            by, bearer_request(sign_token({"name": "a" * (MAX_TOKEN_CHARACTERS // 2)}))
        ).user.sub
        == "8f2c"
    )


_SEGMENT = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30).map(encode_part),
    st.just(encode_part({"alg": "RS256", "kid": "r"})),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.one_of(st.text(), st.lists(_SEGMENT, min_size=3, max_size=3).map(".".join)))
def test_garbage_is_only_ever_refused(by: TokenAuthenticator, text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        caller_of(by, bearer_request(text))


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]), _JSON))
def test_odd_headers_are_only_ever_refused(by: TokenAuthenticator, header: dict[str, Any]) -> None:
    pieces = ({"alg": "RS256", "kid": "r", **header}, build_claims(), b"x" * 256)
    refusal_of(by, ".".join(map(encode_part, pieces)))


@given(
    st.dictionaries(
        st.sampled_from(["sub", "iss", "aud", "exp", "nbf", "iat", "token_use", "jti"]), _JSON
    )
)
def test_odd_claims_that_are_well_signed_give_a_caller_or_are_refused(
    by: TokenAuthenticator, odd: dict[str, Any]
) -> None:
    content = json.dumps({**build_claims(), **odd}).encode()
    signed = jwt.api_jws.encode(content, ec_key(), algorithm="ES256", headers={"kid": "e"})
    with suppress(UnauthenticatedError):
        assert caller_of(by, bearer_request(signed)).user.sub.strip()


@given(st.data())
def test_no_letter_of_a_token_can_change(by: TokenAuthenticator, data: st.DataObject) -> None:
    good = sign_token()
    place = data.draw(st.integers(0, len(good) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019_-.").filter(lambda letter: letter != good[place]))
    refusal_of(by, f"{good[:place]}{letter}{good[place + 1 :]}")
