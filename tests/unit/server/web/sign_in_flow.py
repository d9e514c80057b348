"""A browser at a page whose people sign in at a small issuer, and what people do to get in."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from fastapi.testclient import TestClient

from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.jwks import JwksClient
from ipp.server.web import site
from ipp.server.web.oidc import OidcClient
from ipp.server.web.session import SessionAuthenticator
from tests.unit.server.api import callers
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.api.conftest import build_application
from tests.unit.server.web.oidc_issuer import PretendIssuer

HOST = "https://ipp.example"
SESSION, SEAL = "__Host-ipp_sesion", "__Host-ipp_formulario"
BODY = {"mostradores": [1]}


def open_browser(
    issuer: PretendIssuer, folder: Path, host: str = HOST, secret: str = ""
) -> TestClient:
    """Open a browser of the page, which follows nothing by itself."""
    app = build_application(folder)
    tokens = TokenAuthenticator(
        issuer.url, AUDIENCE, JwksClient(f"{issuer.url}/.well-known/jwks.json")
    )
    app.state.services = replace(app.state.services, authenticator=SessionAuthenticator(tokens))
    site.install_pages(
        app,
        app.state.scratch,
        OidcClient(issuer.url, AUDIENCE, tokens, secret=secret),
    )
    return TestClient(app, base_url=host, follow_redirects=False)


def way_on(page: httpx2.Response) -> str:
    """The address of a page's one way on."""
    (found,) = re.findall(r'class="button primary" href="([^"]+)"', page.text)
    return html.unescape(found)


def at_issuer(page: httpx2.Response) -> str:
    """What the issuer sends a person back to who went there from ``page``."""
    return httpx2.get(way_on(page)).headers["Location"]


def sign_in(browser: TestClient, back: str = "/nuevo") -> httpx2.Response:
    """Sign in, up to the answer to the issuer's answer."""
    return browser.get(at_issuer(browser.get("/entrar", params={"volver": back})))


def set_cookies(answer: httpx2.Response) -> dict[str, set[str]]:
    """The attributes of each cookie that is set, by its name."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = header.split("; ")
        found[pair.partition("=")[0]] = {attribute.lower() for attribute in attributes}
    return found


def start_session(browser: TestClient, **changes: Any) -> str:
    """Put a token in the browser's session; ``changes`` are claims that its issuer is given."""
    now = int(time.time())
    editor = {"sub": "ana", "cognito:groups": ["ipp-editor"]}
    text = callers.sign_token({"iat": now, "exp": now + 600, **editor, **changes})
    browser.cookies.set(SESSION, text, domain="ipp.example")
    return text
