"""Signing in and out, and what a session lets its browser do."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient

from ipp.api.auth import TokenAuthenticator
from ipp.api.keys import KeySet
from ipp.settings import Settings
from ipp.web import site
from ipp.web.entry import MOST
from ipp.web.issuer import Attempt, Issuer
from ipp.web.pages import POLICY
from ipp.web.session import LARGEST, Sessions, own_path
from tests.unit.api import callers
from tests.unit.api.callers import AUDIENCE
from tests.unit.api.conftest import BEGUN, DONE, application, no_token_is_logged
from tests.unit.web.issuing import PretendIssuer, issuing

__all__ = ["no_token_is_logged"]  # holds here as well

HOST = "https://ipp.example"
SESSION = "__Host-ipp_sesion"
BODY = {"mostradores": [1]}


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with issuing() as made:
        yield made


def served(issuer: PretendIssuer, folder: Path, host: str = HOST, secret: str = "") -> TestClient:
    """A browser of the page, which follows nothing by itself."""
    app = application(folder)
    tokens = TokenAuthenticator(issuer.url, AUDIENCE, KeySet(f"{issuer.url}/.well-known/jwks.json"))
    app.state.services = replace(app.state.services, authenticator=Sessions(tokens))
    site.install(app, app.state.scratch, app.state.lakehouse, Issuer(issuer.url, AUDIENCE, tokens, secret=secret))
    return TestClient(app, base_url=host, follow_redirects=False)


@pytest.fixture
def browser(issuer: PretendIssuer, tmp_path: Path) -> Iterator[TestClient]:
    with served(issuer, tmp_path) as client:
        yield client


def way_on(page: httpx2.Response) -> str:
    """The address of a page's one way on."""
    (found,) = re.findall(r'class="button primary" href="([^"]+)"', page.text)
    return html.unescape(found)


def at_issuer(page: httpx2.Response) -> str:
    """What the issuer sends a person back to who went there from ``page``."""
    return httpx2.get(way_on(page)).headers["Location"]


def enter(browser: TestClient, back: str = "/nuevo") -> httpx2.Response:
    """Sign in, up to the answer to the issuer's answer."""
    return browser.get(at_issuer(browser.get("/entrar", params={"volver": back})))


def set_cookies(answer: httpx2.Response) -> dict[str, set[str]]:
    """The attributes of each cookie that is set, by its name."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = header.split("; ")
        found[pair.partition("=")[0]] = {attribute.lower() for attribute in attributes}
    return found


def session(browser: TestClient, **changes: Any) -> str:
    """Put a token in the browser's session; what its issuer is told by ``changes`` is what it says."""
    now = int(time.time())
    text = callers.token({"iat": now, "exp": now + 600, "sub": "ana", **changes})
    browser.cookies.set(SESSION, text, domain="ipp.example")
    return text


# The way in


def test_a_person_signs_in_and_comes_back_to_the_page_they_asked_for(browser: TestClient) -> None:
    sent = browser.get("/procesos?estado=COMPLETED")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/entrar?volver=%2Fprocesos%3Festado%3DCOMPLETED")
    page = browser.get(sent.headers["Location"])
    assert (page.status_code, page.headers["Content-Security-Policy"]) == (200, POLICY)
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
    enter(browser)
    assert browser.get(f"/ipp/status/{DONE}").json()["status"] == "COMPLETED"
    assert browser.get(f"/ipp/results/{DONE}/download?format=csv").status_code == 200


def test_what_is_anothers_is_not_there(browser: TestClient, issuer: PretendIssuer) -> None:
    issuer.who = "beto"
    enter(browser)
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
    with served(issuer, tmp_path, "http://127.0.0.1:8000") as browser:
        assert set_cookies(enter(browser))["ipp_sesion"] == {"httponly", "samesite=lax", "path=/"}
        assert browser.get("/procesos").status_code == 200


def test_nobody_signs_in_over_http_from_elsewhere(issuer: PretendIssuer, tmp_path: Path) -> None:
    with served(issuer, tmp_path, "http://ipp.example") as browser:
        answer = browser.get("/entrar")
        assert answer.status_code == 403
        assert "hace falta https" in answer.text
        assert not set_cookies(answer)
    assert not issuer.asked


def test_an_application_with_a_secret_proves_itself(issuer: PretendIssuer, tmp_path: Path) -> None:
    issuer.secret = "s3creto"
    with served(issuer, tmp_path / "con", secret="s3creto") as browser:
        assert enter(browser).status_code == 303
    with served(issuer, tmp_path / "sin") as browser:
        assert enter(browser).status_code == 401


def test_the_secret_is_never_printed() -> None:
    found = Settings.from_environment({"IPP_CLIENT_SECRET": "s3creto"})
    assert found.client_secret == "s3creto"
    assert "s3creto" not in repr(found)


# Answers that let nobody in


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
    refused(browser, browser.get("/entrada", params={**asked, "state": "x" * 32}), "no se empezó aquí")
    changed = asked["state"][:-1] + ("A" if asked["state"][-1] != "A" else "B")
    refused(browser, browser.get("/entrada", params={**asked, "state": changed}), "no se empezó aquí")
    refused(browser, browser.get("/entrada", params={"code": asked["code"]}), "no se empezó aquí")
    browser.cookies.clear()
    refused(browser, browser.get(address), "no se empezó aquí")


def test_an_answer_is_taken_once(browser: TestClient) -> None:
    address = at_issuer(browser.get("/entrar"))
    assert browser.get(address).status_code == 303
    browser.cookies.delete(SESSION)
    refused(browser, browser.get(address), "ya se usó")


def test_a_code_that_was_used_is_refused(browser: TestClient) -> None:
    address = at_issuer(browser.get("/entrar"))
    assert browser.get(address).status_code == 303
    browser.cookies.delete(SESSION)
    used = parse_qs(urlsplit(address).query)["code"][0]
    state = parse_qs(urlsplit(way_on(browser.get("/entrar"))).query)["state"][0]
    refused(browser, browser.get("/entrada", params={"code": used, "state": state}), "no confirmó la entrada")


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"nonce": "otro"}, "no es de esta entrada"),
        ({"nonce": None}, "no es de esta entrada"),
        ({"exp": 1_000_000_000}, "La sesión venció"),
        ({"aud": "otra"}, "es para otra aplicación"),
        ({"iss": "https://otro.example"}, "es de otro emisor"),
        ({"cognito:groups": [f"grupo-{n}" for n in range(400)]}, "un navegador guarda 4,000"),
    ],
    ids=["another nonce", "no nonce", "expired", "another application's", "another issuer's", "too large"],
)
def test_a_token_that_does_not_hold_lets_nobody_in(
    browser: TestClient, issuer: PretendIssuer, claims: dict[str, Any], message: str
) -> None:
    issuer.claims = claims
    refused(browser, enter(browser), message)


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


FOREIGN = (
    "https://otro.example", "//otro.example", "/\\otro.example", "\\/otro.example", "/\t/otro.example", "otro.example",
    "javascript:alert(1)", "/nuevo\r\nX: 1", "", "/" + "a" * 2_000,
)  # fmt: skip


@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_way_back_is_ours(browser: TestClient, foreign: str) -> None:
    assert own_path(foreign) == "/"
    assert enter(browser, foreign).headers["Location"] == "/"


def test_an_attempt_is_read_as_it_was_written() -> None:
    begun = Attempt.begun("/nuevo?lista=1.5,%202")
    assert Attempt.read(begun.written()) == begun
    assert Attempt.read(begun.written()[:40]) is None
    assert len(Attempt.begun("/" + "?" * 999).written()) < LARGEST


def test_several_tabs_each_come_back_to_their_own_page(browser: TestClient) -> None:
    answers = [at_issuer(browser.get("/entrar", params={"volver": f"/procesos?cursor={n}"})) for n in range(3)]
    for n in (1, 0, 2):
        assert browser.get(answers[n]).headers["Location"] == f"/procesos?cursor={n}"


def test_attempts_that_nobody_ends_do_not_pile_up(browser: TestClient) -> None:
    for _ in range(3 * MOST):
        browser.get("/entrar")
    assert len(browser.cookies) <= MOST


# A session that is over


@pytest.mark.parametrize("over", ["expired", "missing", "of another key", "no token"])
def test_without_a_session_nothing_is_lost_and_nothing_changes(
    browser: TestClient, issuer: PretendIssuer, over: str
) -> None:
    match over:
        case "expired":
            session(browser, iss=issuer.url, exp=int(time.time()) - 60)
        case "of another key":
            browser.cookies.set(
                SESSION, callers.token({"iss": issuer.url}, key=callers.rsa_key("otro")), domain="ipp.example"
            )
        case "no token":
            browser.cookies.set(SESSION, "nada", domain="ipp.example")
    assert browser.get("/nuevo").headers["Location"] == "/entrar?volver=%2Fnuevo"
    sent = browser.post(
        f"/procesos/{BEGUN}/cancelar",
        data={"sello": "x"},
        headers={"Origin": HOST, "Referer": f"{HOST}/procesos/{BEGUN}?a=1"},
    )
    assert sent.status_code == 401
    assert "No se cambió nada." in sent.text
    assert f'href="/entrar?volver=%2Fprocesos%2F{BEGUN}%3Fa%3D1" target="_blank"' in sent.text
    counted = browser.post(
        "/nuevo/cuenta", data={"lista": "1"}, headers={"Origin": HOST, "HX-Request": "true", "Referer": f"{HOST}/nuevo"}
    )
    assert counted.status_code == 401
    assert "<html" not in counted.text
    assert 'href="/entrar?volver=%2Fnuevo"' in counted.text
    contract = browser.get("/ipp/jobs")
    assert (contract.status_code, contract.headers["Content-Type"]) == (401, "application/problem+json")
    assert contract.headers["WWW-Authenticate"] == "Bearer"


def test_a_long_list_in_an_address_leads_back_to_its_page(browser: TestClient) -> None:
    assert browser.get(f"/nuevo?lista={'1,' * 2_000}").headers["Location"] == "/entrar?volver=%2Fnuevo"


def test_what_a_page_shows_does_not_begin_a_sign_in_of_its_own(browser: TestClient) -> None:
    assert browser.get(f"/procesos/{DONE}", headers={"Sec-Fetch-Dest": "image"}).status_code == 401


def test_the_way_back_from_signing_in_leaves_open_forms_as_they_are(browser: TestClient) -> None:
    enter(browser)
    (seal,) = set_cookies(browser.get("/nuevo")).values()
    assert "samesite=lax" in seal  # a browser leaves a strict one out where another site sent it


# What another site's page can do


@pytest.mark.parametrize(
    "origin", ["https://otro.example", "https://ipp.example:444", "http://ipp.example", "null", None]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/ipp/jobs/{BEGUN}/cancel"), ("POST", "/ipp/start"), ("PUT", "/configuraciones/3"),
     ("DELETE", "/configuraciones/1"), ("POST", "/configuraciones")],
)  # fmt: skip
def test_another_sites_page_changes_nothing_with_the_cookie(
    browser: TestClient, issuer: PretendIssuer, origin: str | None, method: str, path: str
) -> None:
    session(browser, iss=issuer.url)
    before = [browser.get(each).json() for each in ("/ipp/jobs", "/configuraciones")]
    answer = browser.request(method, path, json=BODY, headers={"Origin": origin} if origin else {})
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert [browser.get(each).json() for each in ("/ipp/jobs", "/configuraciones")] == before


def test_our_own_page_does_with_the_cookie_what_a_bearer_does_without_an_origin(
    browser: TestClient, issuer: PretendIssuer
) -> None:
    text = session(browser, iss=issuer.url)
    assert browser.post("/ipp/validate-clients", json=BODY, headers={"Origin": HOST}).status_code == 200
    browser.cookies.clear()
    bearer = {"Authorization": f"Bearer {text}"}
    assert browser.post("/ipp/validate-clients", json=BODY, headers=bearer).status_code == 200


def test_a_bearer_that_does_not_hold_is_not_helped_by_a_session(browser: TestClient, issuer: PretendIssuer) -> None:
    session(browser, iss=issuer.url)
    assert browser.get("/ipp/jobs", headers={"Authorization": "Bearer a.b.c"}).status_code == 401


# The way out


def test_who_leaves_is_out_here_and_at_the_issuer(browser: TestClient) -> None:
    enter(browser)
    (seal,) = re.findall(
        r'action="/salir">\s*<input type="hidden" name="sello" value="([^"]+)"', browser.get("/nuevo").text
    )
    answer = browser.post("/salir", data={"sello": seal}, headers={"Origin": HOST})
    assert answer.status_code == 200
    assert "max-age=0" in set_cookies(answer)[SESSION]
    there = urlsplit(way_on(answer))
    assert there.path == "/logout"
    assert parse_qs(there.query) == {
        "client_id": [AUDIENCE], "logout_uri": [f"{HOST}/salir"], "post_logout_redirect_uri": [f"{HOST}/salir"],
    }  # fmt: skip
    assert browser.get("/nuevo").status_code == 303
    out = browser.get("/salir")
    assert "Sesión cerrada" in out.text
    assert way_on(out) == "/entrar"
    assert 'http-equiv="refresh"' not in out.text


def test_an_issuer_where_nobody_signs_out_keeps_nobody_in(browser: TestClient, issuer: PretendIssuer) -> None:
    del issuer.published["end_session_endpoint"]
    enter(browser)
    browser.get("/nuevo")
    answer = browser.post("/salir", data={"sello": browser.cookies["ipp_formulario"]}, headers={"Origin": HOST})
    assert way_on(answer) == "/entrar"
    assert browser.get("/nuevo").status_code == 303


@pytest.mark.parametrize("form", [{}, {"sello": "x" * 32}])
def test_another_sites_page_signs_nobody_out(browser: TestClient, form: dict[str, str]) -> None:
    enter(browser)
    browser.get("/nuevo")
    assert browser.post("/salir", data=form).status_code == 403
    assert browser.get("/nuevo").status_code == 200
    assert browser.get("/salir").headers["Location"] == "/"


def test_without_an_issuer_there_is_nothing_to_sign_in_to(tmp_path: Path) -> None:
    app = application(tmp_path)
    site.install(app, app.state.scratch, app.state.lakehouse)
    with TestClient(app) as browser:
        shown = browser.get("/nuevo")
        assert "Salir" not in shown.text
        assert set(set_cookies(shown)) == {"ipp_formulario"}
        assert [browser.get(path).status_code for path in ("/entrar", "/entrada", "/salir")] == [404, 404, 404]
