"""A session: what it opens, what its end leaves, and what another site cannot do with it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.unit.server.api.conftest import no_token_is_logged
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import (
    BODY,
    HOST,
    SEAL,
    SESSION,
    set_cookies,
    sign_in,
    start_session,
)

__all__ = ["no_token_is_logged"]  # holds here as well


def test_a_long_list_in_an_address_leads_back_to_its_page(browser: TestClient) -> None:
    assert (
        browser.get(f"/nuevo?lista={'1,' * 2_000}").headers["Location"] == "/entrar?volver=%2Fnuevo"
    )


def test_the_way_back_from_signing_in_leaves_open_forms_as_they_are(browser: TestClient) -> None:
    sign_in(browser)
    seal = set_cookies(browser.get("/nuevo"))
    # Lax: a browser leaves a strict one out where another site sent it.
    assert seal == {SEAL: {"httponly", "secure", "samesite=lax", "path=/"}}


def test_our_own_page_does_with_the_cookie_what_a_bearer_does_without_an_origin(
    browser: TestClient, issuer: PretendIssuer
) -> None:
    text = start_session(browser, iss=issuer.url)
    assert (
        browser.post("/ipp/validate-clients", json=BODY, headers={"Origin": HOST}).status_code
        == 200
    )
    browser.cookies.clear()
    bearer = {"Authorization": f"Bearer {text}"}
    assert browser.post("/ipp/validate-clients", json=BODY, headers=bearer).status_code == 200


@pytest.mark.parametrize("cookie", ["", f"{SESSION}=", "ipp_sesion=a.b.c"])
def test_who_sends_neither_token_nor_session_is_told_how_to(
    browser: TestClient, cookie: str
) -> None:
    """Over https the session's cookie has a name that only this host can set."""
    answer = browser.get("/ipp/jobs", headers={"Cookie": cookie})
    assert (answer.status_code, answer.json()["error"]) == (401, "Falta identificarse.")
    assert "Authorization: Bearer" in answer.json()["message"]


def test_a_bearer_that_does_not_hold_is_not_helped_by_a_session(
    browser: TestClient, issuer: PretendIssuer
) -> None:
    start_session(browser, iss=issuer.url)
    assert browser.get("/ipp/jobs", headers={"Authorization": "Bearer a.b.c"}).status_code == 401


def test_a_seal_that_a_neighbouring_site_set_seals_nothing(
    browser: TestClient, issuer: PretendIssuer
) -> None:
    start_session(browser, iss=issuer.url)
    # A neighbour may set a cookie for all of a domain, but none whose name begins with __Host-.
    browser.cookies.set("ipp_formulario", "x" * 32, domain=".ipp.example")
    answer = browser.post(
        "/ajustes/nueva", data={"sello": "x" * 32, "mostrador": "3"}, headers={"Origin": HOST}
    )
    assert answer.status_code == 403
    assert browser.get("/configuraciones/3").status_code == 404
