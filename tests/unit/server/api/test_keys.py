"""The issuer's keys: kept, fetched again for a new one and not for a flood, over a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import suppress

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ipp.errors import InvalidInputError
from ipp.jobs.job_service import Caller
from ipp.server.api import jwks as keys_module
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.jwks import (
    MAX_KEY_AGE_SECONDS,
    MAX_RESPONSE_BYTES,
    MIN_FETCH_INTERVAL_SECONDS,
    JwksClient,
    fetch_bytes,
)
from tests.cloud.scripted_answers import Say, serve_script
from tests.unit.server.api.callers import (
    AUDIENCE,
    ISSUER,
    NOW,
    URL,
    Issuer,
    bearer_request,
    caller_of,
    ec_jwk,
    encode_jwks,
    encode_part,
    refusal_of,
    rsa_jwk,
    rsa_key,
    sign_token,
)
from tests.waiting import PATIENCE_SECONDS


def test_keys_are_fetched_once_for_many_requests() -> None:
    issuer = Issuer(rsa_jwk())
    for _ in range(20):
        assert caller_of(issuer.by, bearer_request(sign_token())).user.sub == "8f2c"
    assert issuer.asked == 1


def test_an_unknown_kid_causes_one_fetch_and_a_flood_no_more() -> None:
    issuer = Issuer(rsa_jwk())
    caller_of(issuer.by, bearer_request(sign_token()))
    issuer.clock.now += MIN_FETCH_INTERVAL_SECONDS
    for n in range(50):
        assert (
            refusal_of(issuer.by, sign_token(kid=f"nueva-{n}"))
            == "El token no está firmado con una clave de este emisor."
        )
    assert issuer.asked == 2
    issuer.clock.now += MIN_FETCH_INTERVAL_SECONDS
    refusal_of(issuer.by, sign_token(kid="nueva"))
    assert issuer.asked == 3
    assert caller_of(issuer.by, bearer_request(sign_token())).user.sub == "8f2c"
    assert issuer.asked == 3


def test_rotation_lets_the_new_key_in_and_the_old_one_out() -> None:
    issuer = Issuer(rsa_jwk("vieja"))
    assert caller_of(issuer.by, bearer_request(sign_token(kid="vieja"))).user.sub == "8f2c"
    issuer.content = encode_jwks(rsa_jwk("nueva", "otro"))
    issuer.clock.now += MIN_FETCH_INTERVAL_SECONDS
    assert (
        caller_of(issuer.by, bearer_request(sign_token(kid="nueva", key=rsa_key("otro")))).user.sub
        == "8f2c"
    )
    assert (
        refusal_of(issuer.by, sign_token(kid="vieja"))
        == "El token no está firmado con una clave de este emisor."
    )


def test_a_withdrawn_key_stops_working_without_a_new_one() -> None:
    issuer = Issuer(rsa_jwk(), ec_jwk())
    caller_of(issuer.by, bearer_request(sign_token()))
    issuer.content = encode_jwks(ec_jwk())
    issuer.clock.now += MAX_KEY_AGE_SECONDS
    refusal_of(issuer.by, sign_token())


@pytest.mark.parametrize(
    "broken", [None, b"", b"<html>", b"[]", b'{"keys": {}}', b"[" * 100_000, b"\xff"]
)
def test_a_fetch_that_fails_keeps_the_keys(
    broken: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer(rsa_jwk())
    caller_of(issuer.by, bearer_request(sign_token()))
    issuer.content = broken
    issuer.clock.now += MAX_KEY_AGE_SECONDS
    for _ in range(5):
        assert caller_of(issuer.by, bearer_request(sign_token())).user.sub == "8f2c"
    assert issuer.asked == 2
    assert [
        record.levelname for record in caplog.records if record.name == "ipp.server.api.jwks"
    ] == ["WARNING"]


def test_an_issuer_that_was_never_reached_is_asked_again_later() -> None:
    issuer = Issuer(rsa_jwk())
    good, issuer.content = issuer.content, None
    for _ in range(5):
        assert "no se pudo comprobar" in refusal_of(issuer.by, sign_token())
    assert issuer.asked == 1
    issuer.content = good
    issuer.clock.now += MIN_FETCH_INTERVAL_SECONDS
    assert caller_of(issuer.by, bearer_request(sign_token())).user.sub == "8f2c"


def test_keys_for_anything_else_are_ignored() -> None:
    short = json.loads(
        jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1_024).public_key())
    )
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("otro")))
    wide = json.loads(
        jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key())
    )
    issuer = Issuer(
        rsa_jwk("cifrar", use="enc"), rsa_jwk("512", alg="RS512"),
        rsa_jwk("operaciones", key_ops=["encrypt"]),
        {"kty": "oct", "k": encode_part(b"s" * 32), "kid": "oct", "alg": "HS256"},
        {**wide, "kid": "384"}, {**wide, "kid": "384b", "alg": "ES256"}, {**short, "kid": "corta"},
        {**private, "kid": "privada", "key_ops": ["verify"]},
        rsa_jwk("rota", n="!"), rsa_jwk("n", n=7), rsa_jwk("sin", n=None),
        ec_jwk("fuera", x=encode_part(b"x" * 32)),
        {"kty": "OKP", "crv": "Ed25519", "x": encode_part(b"x" * 32), "kid": "okp"},
        {**rsa_jwk(), "kid": None},
        {"kty": ["RSA"], "kid": "lista"}, "texto", None, rsa_jwk("usos", key_ops=7),
        rsa_jwk("lista", use=["sig"]),
    )  # fmt: skip
    names = ["cifrar", "512", "operaciones", "oct", "384", "384b", "corta", "privada", "rota", "n",
             "sin", "fuera", "okp", "lista", "usos"]  # fmt: skip
    for kid in names:
        assert (
            refusal_of(issuer.by, sign_token(kid=kid))
            == "El token no está firmado con una clave de este emisor."
        )


def test_a_key_needs_neither_alg_nor_use_and_the_first_of_a_name_counts() -> None:
    bare = {name: value for name, value in rsa_jwk().items() if name not in {"alg", "use"}}
    issuer = Issuer(bare, rsa_jwk(name="otro"))
    assert caller_of(issuer.by, bearer_request(sign_token())).user.sub == "8f2c"
    refusal_of(issuer.by, sign_token(key=rsa_key("otro")))


def test_a_slow_issuer_blocks_nobody_else_and_is_asked_once() -> None:
    release, asked = threading.Event(), []

    def slow(url: str) -> bytes:
        asked.append(url)
        assert release.wait(PATIENCE_SECONDS)
        return encode_jwks(rsa_jwk())

    by = TokenAuthenticator(ISSUER, AUDIENCE, JwksClient(URL, slow), lambda: NOW)

    async def scene() -> list[Caller]:
        waiting = [
            asyncio.create_task(by.identify_caller(bearer_request(sign_token())))
            for _ in range(100)
        ]
        await asyncio.sleep(0.05)  # the loop goes on meanwhile
        waiting[0].cancel()  # one who leaves takes nothing from the others
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting[1:])
        release.set()
        return await asyncio.gather(*waiting[1:])

    assert {caller.user.sub for caller in asyncio.run(scene())} == {"8f2c"}
    assert len(asked) == 1


@pytest.fixture(autouse=True)
def useless_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy has no business on loopback."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)


def test_what_is_fetched_is_bounded_in_size() -> None:
    with (
        serve_script(Say(content=" " * MAX_RESPONSE_BYTES)) as server,
        pytest.raises(ValueError, match="bytes"),
    ):
        fetch_bytes(server.url)


def trickle(server: socket.socket) -> None:
    """Answer with a byte now and then."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(40):
            connection.sendall(b" ")
            time.sleep(0.05)


def test_what_is_fetched_is_bounded_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=trickle, args=(server,), daemon=True).start()
        with pytest.raises(TimeoutError):
            fetch_bytes(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_a_redirection_is_not_followed() -> None:
    with (
        serve_script(Say(302, headers={"Location": "/otra"}), Say()) as server,
        pytest.raises(OSError, match="HTTP 302"),
    ):
        fetch_bytes(server.url)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    ["", "emisor", "file:///etc/passwd", "ftp://localhost/k", "https://", "http://[::1",
     "http://emisor.example/k", "http://127.0.0.1.evil.com/k", "http://10.0.0.1/k"],
)  # fmt: skip
def test_keys_come_from_an_https_address(url: str) -> None:
    with pytest.raises(InvalidInputError, match="https"):
        JwksClient(url)


@pytest.mark.parametrize(
    "url", ["https://emisor.example/k", "http://localhost:1/k", "http://[::1]:1/k"]
)
def test_addresses_of_keys_that_are_taken(url: str) -> None:
    JwksClient(url)
