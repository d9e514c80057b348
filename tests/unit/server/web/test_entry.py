"""Signing in: who gets in, and which answers of an issuer let nobody in."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient

from ipp.errors import InvalidInputError
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.jwks import JwksClient
from ipp.server.web.oidc import OidcClient, SignInAttempt
from ipp.server.web.page import CONTENT_POLICY
from ipp.server.web.session import MAX_COOKIE_CHARACTERS, safe_return_path
from ipp.settings import Settings
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.api.conftest import DONE, no_token_is_logged
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import (
    SESSION,
    at_issuer,
    open_browser,
    set_cookies,
    sign_in,
    way_on,
)

__all__ = ["no_token_is_logged"]  # holds here as well

HEADER = 8_000
"""Characters of a header that every proxy takes."""


def test_a_person_signs_in_and_comes_back_to_the_page_they_asked_for(browser: TestClient) -> None:
    sent = browser.get("/procesos?estado=COMPLETED")
    assert sent.status_code == 303
    assert sent.headers["Location"] == "/entrar?volver=%2Fprocesos%3Festado%3DCOMPLETED"
    page = browser.get(sent.headers["Location"])
    assert (page.status_code, page.headers["Content-Security-Policy"]) == (200, CONTENT_POLICY)
    assert '<meta http-equiv="refresh" content="0; url=http://127.0.0.1' in page.text
    back = browser.get(at_issuer(page))
    assert (back.status_code, back.headers["Location"]) == (303, "/procesos?estado=COMPLETED")
    assert "no-store" in back.headers["Cache-Control"]
    shown = browser.get(back.headers["Location"])
    assert shown.status_code == 200
    assert DONE in shown.text
    assert "Ana Peña" in shown.text
    assert "Salir" in shown.text


def test_the_session_opens_what_pages_link_to(browser: TestClient) -> None:
    sign_in(browser)
    assert browser.get(f"/ipp/status/{DONE}").json()["status"] == "COMPLETED"
    assert browser.get(f"/ipp/results/{DONE}/download?format=csv").status_code == 200


def test_what_is_anothers_is_not_there(browser: TestClient, issuer: PretendIssuer) -> None:
    issuer.who = "beto"
    sign_in(browser)
    assert browser.get(f"/procesos/{DONE}").status_code == 404
    assert DONE not in browser.get("/procesos").text


def test_no_script_and_no_other_site_gets_at_the_session(browser: TestClient) -> None:
    page = browser.get("/entrar")
    (attempt,) = set_cookies(page).items()
    assert attempt[0].startswith("__Host-ipp_entrada_")
    assert attempt[1] == {"httponly", "secure", "samesite=lax", "path=/", "max-age=600"}
    answer = set_cookies(browser.get(at_issuer(page)))
    assert answer[SESSION] == {"httponly", "secure", "samesite=lax", "path=/"}
    assert "max-age=0" in answer[attempt[0]]


def test_on_this_machine_http_does(issuer: PretendIssuer, tmp_path: Path) -> None:
    with open_browser(issuer, tmp_path, "http://127.0.0.1:8000") as browser:
        assert set_cookies(sign_in(browser))["ipp_sesion"] == {"httponly", "samesite=lax", "path=/"}
        assert browser.get("/procesos").status_code == 200


def test_nobody_signs_in_over_http_from_elsewhere(issuer: PretendIssuer, tmp_path: Path) -> None:
    with open_browser(issuer, tmp_path, "http://ipp.example") as browser:
        answer = browser.get("/entrar")
        assert answer.status_code == 403
        assert "hace falta https" in answer.text
        assert not set_cookies(answer)
    assert not issuer.asked


def test_an_application_with_a_secret_proves_itself(issuer: PretendIssuer, tmp_path: Path) -> None:
    issuer.secret = "s3creto"
    with open_browser(issuer, tmp_path / "con", secret="s3creto") as browser:
        assert sign_in(browser).status_code == 303
    with open_browser(issuer, tmp_path / "sin") as browser:
        assert sign_in(browser).status_code == 401


def test_the_secret_is_never_printed() -> None:
    found = Settings.from_environment({"IPP_CLIENT_SECRET": "s3creto"})
    assert found.web.client_secret == "s3creto"
    assert "s3creto" not in repr(found)


def refused(browser: TestClient, answer: httpx2.Response, message: str) -> None:
    """Whoever is refused has no session, is told why, and may try again."""
    assert answer.status_code == 401
    assert message in answer.text
    assert way_on(answer).startswith("/entrar?volver=%2F")
    assert SESSION not in set_cookies(answer)
    assert browser.get("/procesos").status_code == 303


def test_the_answer_to_an_attempt_of_another_browser_is_refused(browser: TestClient) -> None:
    address = at_issuer(browser.get("/entrar"))
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    refused(
        browser, browser.get("/entrada", params={**asked, "state": "x" * 32}), "no se empezó aquí"
    )
    changed = asked["state"][:-1] + ("A" if asked["state"][-1] != "A" else "B")
    refused(
        browser, browser.get("/entrada", params={**asked, "state": changed}), "no se empezó aquí"
    )
    refused(browser, browser.get("/entrada", params={"code": asked["code"]}), "no se empezó aquí")
    browser.cookies.clear()
    refused(browser, browser.get(address), "no se empezó aquí")


def test_an_answer_is_taken_once(browser: TestClient) -> None:
    address = at_issuer(browser.get("/entrar"))
    assert browser.get(address).status_code == 303
    browser.cookies.delete(SESSION)
    refused(browser, browser.get(address), "ya se usó")


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"nonce": "otro"}, "no es de esta entrada"),
        ({"nonce": None}, "no es de esta entrada"),
        ({"exp": 1_000_000_000}, "La sesión venció"),
        ({"aud": "otra"}, "es para otra aplicación"),
        ({"iss": "https://otro.example"}, "es de otro emisor"),
        ({"sub": " "}, "no dice de quién es"),
        ({"cognito:groups": [f"grupo-{n}" for n in range(400)]}, "un navegador guarda 4,000"),
    ],
    ids=[
        "another nonce",
        "no nonce",
        "expired",
        "another application's",
        "another issuer's",
        "nobody's",
        "too large",
    ],
)
def test_a_token_that_does_not_hold_lets_nobody_in(
    browser: TestClient, issuer: PretendIssuer, claims: dict[str, Any], message: str
) -> None:
    issuer.claims = claims
    refused(browser, sign_in(browser), message)


def test_whom_the_issuer_refuses_is_told_and_nothing_else_of_the_address_is_shown(
    browser: TestClient, issuer: PretendIssuer
) -> None:
    issuer.refuses = True
    answer = browser.get(f"{at_issuer(browser.get('/entrar'))}&error_description=Llame+al+900")
    refused(browser, answer, "no dejó entrar")
    assert "900" not in answer.text


@pytest.mark.parametrize(
    "published",
    [
        {"issuer": "https://otro.example"},
        {"authorization_endpoint": "http://otro.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": None},
    ],
)
def test_an_issuer_that_publishes_what_cannot_be_is_not_gone_to(
    browser: TestClient, issuer: PretendIssuer, published: dict[str, Any]
) -> None:
    issuer.published |= published
    for _ in range(2):
        answer = browser.get("/entrar?volver=/procesos")
        assert answer.status_code == 503
        assert way_on(answer) == "/entrar?volver=%2Fprocesos"
    assert issuer.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("url", ["http://otro.example", "otro.example", "ftp://otro.example", ""])
def test_an_issuer_that_nobody_can_be_sent_to_is_refused_at_the_start(url: str) -> None:
    tokens = TokenAuthenticator(url, AUDIENCE, JwksClient("https://claves.example/"))
    with pytest.raises(InvalidInputError, match=r"IPP_ISSUER"):
        OidcClient(url, AUDIENCE, tokens)


FOREIGN = (
    "https://otro.example", "//otro.example", "/\\otro.example", "\\/otro.example",
    "/\t/otro.example", "otro.example", "javascript:alert(1)", "/nuevo\r\nX: 1", "",
    "/" + "a" * 2_000,
)  # fmt: skip


@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_way_back_is_ours(browser: TestClient, foreign: str) -> None:
    assert safe_return_path(foreign) == "/"
    assert sign_in(browser, foreign).headers["Location"] == "/"


def test_an_attempt_is_read_as_it_was_written() -> None:
    begun = SignInAttempt.begin("/nuevo?lista=1.5,%202")
    assert SignInAttempt.parse(begun.serialise()) == begun
    assert SignInAttempt.parse(begun.serialise()[:40]) is None
    assert len(SignInAttempt.begin("/" + "?" * 999).serialise()) < MAX_COOKIE_CHARACTERS


def test_several_tabs_each_come_back_to_their_own_page(browser: TestClient) -> None:
    answers = [
        at_issuer(browser.get("/entrar", params={"volver": f"/procesos?cursor={n}"}))
        for n in range(3)
    ]
    for n in (1, 0, 2):
        assert browser.get(answers[n]).headers["Location"] == f"/procesos?cursor={n}"


@pytest.mark.parametrize("back", ["/nuevo", "/procesos?cursor=" + "?" * 560, "/" + "a" * 2_000])
def test_attempts_that_nobody_ends_leave_room_for_the_session(
    browser: TestClient, back: str
) -> None:
    latest = ""
    for _ in range(40):
        latest = at_issuer(browser.get("/entrar", params={"volver": back}))
        kept = sum(len(f"{cookie.name}={cookie.value}; ") for cookie in browser.cookies.jar)
        assert kept < HEADER - MAX_COOKIE_CHARACTERS
    assert browser.get(latest).status_code == 303, "the latest is still known"


@pytest.mark.parametrize(
    "name", ["ipp_entrada_(", "ipp_entrada_aaaaaaaa", "__Host-ipp_entrada_(", "x_ipp_entrada_y"]
)
def test_cookies_that_are_none_of_ours_are_let_alone(browser: TestClient, name: str) -> None:
    first = at_issuer(browser.get("/entrar"))
    sent = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    answer = browser.get("/entrar", headers={"Cookie": f"{sent}; {name}={'x' * 4_000}"})
    assert (answer.status_code, len(set_cookies(answer))) == (200, 1)
    assert browser.get(first).status_code == 303


def test_what_the_issuer_says_of_a_refusal_is_in_the_log(
    browser: TestClient, issuer: PretendIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "ipp.server.web.sign_in"
        ]

    issuer.refuses = True
    browser.get(at_issuer(browser.get("/entrar")))
    assert told() == ["the issuer let nobody in: access_denied"]
    browser.get(at_issuer(browser.get("/entrar")).replace("access_denied", "una%0Alinea"))
    browser.get("/entrada?state=ajeno&error=cualquiera")  # anybody could have written it
    assert told()[1:] == ["the issuer let nobody in: 'una\\nlinea'"]
