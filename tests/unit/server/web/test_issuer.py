"""What is asked of an issuer, how often, and what is kept of what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ipp.errors import UnavailableError
from ipp.server.api.jwks import MAX_KEY_AGE_SECONDS, MIN_FETCH_INTERVAL_SECONDS
from ipp.server.api.problem_response import UnauthenticatedError
from ipp.server.web import oidc
from ipp.server.web.oidc import OidcClient, SignInAttempt
from tests.unit.server.api.callers import AUDIENCE, ISSUER, Clock, Issuer, rsa_jwk, sign_token

METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?ui=es",
    "token_endpoint": f"{ISSUER}/token",
    "end_session_endpoint": f"{ISSUER}/logout",
}
ATTEMPT = SignInAttempt.begin("/procesos")
HERE = "https://ipp.example/entrada"


class Place:
    """An issuer that says ``metadata``, None where it does not, and gives ``answer`` for a code."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.metadata: Mapping[str, Any] | None = METADATA
        self.answer = b""
        self.asked: list[str] = []
        tokens = Issuer(rsa_jwk()).by
        self.client = OidcClient(ISSUER, AUDIENCE, tokens, fetch=self._give)

    def _give(
        self, url: str, form: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        self.asked.append(url.removeprefix(ISSUER))
        if self.metadata is None:
            raise OSError("no route to host")
        return json.dumps(self.metadata).encode() if form is None else self.answer

    def redeem(self, token: object) -> str:
        """Redeem a code for which the issuer gives ``token``."""
        self.answer = json.dumps({"id_token": token}).encode()
        return self.redeem_code()

    def redeem_code(self) -> str:
        return asyncio.run(self.client.redeem_code("c", ATTEMPT, HERE))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    clock = Clock()
    monkeypatch.setattr(oidc, "time", SimpleNamespace(monotonic=clock))
    return Place(clock)


def test_where_people_sign_in_is_asked_once_an_hour(place: Place) -> None:
    for after in (0.0, MIN_FETCH_INTERVAL_SECONDS + 1, MAX_KEY_AGE_SECONDS - 0.5):
        place.clock.now = 1_000.0 + after
        assert place.client.authorization_url(ATTEMPT, HERE).startswith(f"{ISSUER}/authorize?ui=es")
        assert place.client.end_session_url("x").startswith(f"{ISSUER}/logout?")
    assert len(place.asked) == 1
    place.clock.now = 1_000.0 + MAX_KEY_AGE_SECONDS
    place.metadata = {**METADATA, "end_session_endpoint": None}
    assert place.client.end_session_url("x") == ""
    assert place.asked == ["/.well-known/openid-configuration"] * 2


def test_an_issuer_that_stopped_answering_is_gone_to_as_before_and_seldom_asked(
    place: Place,
) -> None:
    place.client.authorization_url(ATTEMPT, HERE)
    place.metadata = None
    place.clock.now += MAX_KEY_AGE_SECONDS
    for asked in (2, 3, 4):
        for _ in range(3):
            assert place.client.end_session_url("x").startswith(f"{ISSUER}/logout?")
        assert len(place.asked) == asked
        place.clock.now += MIN_FETCH_INTERVAL_SECONDS


def test_an_issuer_that_never_answered_is_asked_again_soon(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.metadata = None
    for _ in range(3):
        with pytest.raises(UnavailableError):
            place.client.authorization_url(ATTEMPT, HERE)
    assert len(place.asked) == 1
    (record,) = [entry for entry in caplog.records if entry.name == "ipp.server.web.oidc"]
    assert "cognito-idp.us-east-1.amazonaws.com" in record.getMessage()
    assert "no route to host" in record.getMessage()
    place.metadata = METADATA
    place.clock.now += MIN_FETCH_INTERVAL_SECONDS
    assert place.client.authorization_url(ATTEMPT, HERE)


@pytest.mark.parametrize("token", [7, None, [], {}, True, 1.5, ["a.b.c"]])
def test_an_answer_without_a_token_lets_nobody_in(
    place: Place, token: object, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnauthenticatedError, match="no confirmó"):
        place.redeem(token)
    assert [entry.levelname for entry in caplog.records if entry.name == "ipp.server.web.oidc"] == [
        "WARNING"
    ]


@pytest.mark.parametrize("answer", [b"", b"[]", b"7", b"null", b"{}", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_with_a_token_lets_nobody_in(
    place: Place, answer: bytes
) -> None:
    place.answer = answer
    with pytest.raises(UnauthenticatedError, match="no confirmó"):
        place.redeem_code()


def test_a_token_may_just_fill_a_cookie(place: Place) -> None:
    def token(padding: int) -> str:
        return sign_token({"nonce": ATTEMPT.nonce, "name": "a" * padding})

    padding = (4_000 - len(token(0))) * 3 // 4
    just, beyond = token(padding), token(padding + 1)
    assert (len(just), place.redeem(just)) == (4_000, just)
    with pytest.raises(UnauthenticatedError, match="un navegador guarda 4,000"):
        place.redeem(beyond)


@pytest.mark.parametrize("place_of_nothing", range(4))
def test_an_attempt_lacks_nothing(place_of_nothing: int) -> None:
    parts = ATTEMPT.serialise().split(".")
    parts[place_of_nothing] = ""
    assert SignInAttempt.parse(".".join(parts)) is None


@pytest.mark.parametrize("text", ["", "...", "...a", "a.b.c", "a.b.c.d.e", "a.b.c.d.", ".a.b.c.d"])
def test_what_is_no_attempt_is_not_read_as_one(text: str) -> None:
    assert SignInAttempt.parse(text) is None


def test_the_way_back_that_a_browser_kept_is_ours_too() -> None:
    read = SignInAttempt.parse("s.n.v.https%3A%2F%2Fotro%2Eexample")
    assert read == SignInAttempt("s", "n", "v", "/")


def test_no_two_attempts_have_a_secret_in_common() -> None:
    attempts = [SignInAttempt.begin("/") for _ in range(50)]
    secrets = {text for made in attempts for text in (made.state, made.nonce, made.verifier)}
    assert len(secrets) == 150
    assert all(43 <= len(made.verifier) <= 128 for made in attempts), "as RFC 7636 wants it"
