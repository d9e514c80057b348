"""Signing out, here and at the issuer."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fastapi.testclient import TestClient

from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.api.conftest import no_token_is_logged
from tests.unit.server.web.conftest import build_site
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import HOST, SEAL, SESSION, set_cookies, sign_in, way_on

__all__ = ["no_token_is_logged"]  # holds here as well


def test_who_leaves_is_out_here_and_at_the_issuer(browser: TestClient) -> None:
    sign_in(browser)
    (seal,) = re.findall(
        r'action="/salir">\s*<input type="hidden" name="sello" value="([^"]+)"',
        browser.get("/nuevo").text,
    )
    assert browser.get("/salir").headers["Location"] == "/"
    answer = browser.post("/salir", data={"sello": seal}, headers={"Origin": HOST})
    assert answer.status_code == 200
    for name in (SESSION, SEAL):  # whoever comes next to this browser has other forms
        # A browser ignores what would set or delete a __Host- cookie without Secure or Path=/.
        assert {"max-age=0", "secure", "path=/"} <= set_cookies(answer)[name]
    there = urlsplit(way_on(answer))
    assert there.path == "/logout"
    assert parse_qs(there.query) == {
        "client_id": [AUDIENCE], "logout_uri": [f"{HOST}/salir"],
        "post_logout_redirect_uri": [f"{HOST}/salir"],
    }  # fmt: skip
    assert browser.get("/nuevo").status_code == 303
    out = browser.get("/salir")
    assert "Sesión cerrada" in out.text
    assert way_on(out) == "/entrar"
    assert 'http-equiv="refresh"' not in out.text


def test_an_issuer_where_nobody_signs_out_keeps_nobody_in(
    browser: TestClient, issuer: PretendIssuer
) -> None:
    del issuer.published["end_session_endpoint"]
    sign_in(browser)
    browser.get("/nuevo")
    answer = browser.post("/salir", data={"sello": browser.cookies[SEAL]}, headers={"Origin": HOST})
    assert way_on(answer) == "/entrar"
    assert browser.get("/nuevo").status_code == 303


def test_without_an_issuer_there_is_nothing_to_sign_in_to(tmp_path: Path) -> None:
    with TestClient(build_site(tmp_path)) as browser:
        shown = browser.get("/nuevo")
        assert "Salir" not in shown.text
        assert set(set_cookies(shown)) == {"ipp_formulario"}
        assert [browser.get(path).status_code for path in ("/entrar", "/entrada", "/salir")] == [
            404,
            404,
            404,
        ]
