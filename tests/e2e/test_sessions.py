"""The page of a server with an issuer, over real processes: sign-in, and what a session opens."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.server import Server, run_server
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def server(identified: Server) -> Server:
    return identified


@pytest.fixture
def browser(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client:
        yield client


def enter(browser: httpx2.Client, back: str) -> httpx2.Response:
    """Ask for a page, sign in at the issuer as it leads one, and come back."""
    page = browser.get(back, follow_redirects=True)
    assert page.url.path == "/entrar"
    (there,) = re.findall(r'class="button primary" href="([^"]+)"', page.text)
    return browser.get(html.unescape(there), follow_redirects=True)


def test_the_page_asks_for_sign_in_and_then_is_there(browser: httpx2.Client) -> None:
    asked = browser.get("/nuevo")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/entrar?volver=%2Fnuevo")
    shown = enter(browser, "/procesos?estado=COMPLETED")
    assert (shown.status_code, shown.url.raw_path) == (200, b"/procesos?estado=COMPLETED")
    assert "Ana Peña" in shown.text
    assert "Salir" in shown.text


def test_behind_a_proxy_a_session_needs_https_up_to_it(browser: httpx2.Client) -> None:
    sent = {"Host": "ipp.example", "X-Forwarded-For": "203.0.113.7"}
    plain = browser.get("/entrar", headers=sent)
    assert (plain.status_code, "hace falta https" in plain.text) == (403, True)
    assert "set-cookie" not in plain.headers
    secure = browser.get("/entrar", headers=sent | {"X-Forwarded-Proto": "https"})
    assert secure.headers["set-cookie"].startswith("__Host-ipp_entrada_")
    assert "redirect_uri=https%3A%2F%2Fipp.example%2Fentrada" in secure.text


def test_what_a_proxy_says_is_believed_of_no_other(
    issuer: PretendIssuer, chain: Path, tmp_path: Path
) -> None:
    shutil.copytree(chain, tmp_path / "home")
    settings = {
        "IPP_ISSUER": issuer.url,
        "IPP_AUDIENCE": AUDIENCE,
        "FORWARDED_ALLOW_IPS": "192.0.2.1",
    }
    with run_server(tmp_path / "home", **settings) as elsewhere:
        answer = httpx2.get(
            f"{elsewhere.address}/entrar",
            headers={"Host": "ipp.example", "X-Forwarded-Proto": "https"},
        )
    assert answer.status_code == 403
