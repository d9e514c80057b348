"""Every route that changes something, whoever wrote it: none acts on a form of another page."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient

from ipp.server.web.page import PageRoute
from tests.unit.server.api.conftest import BEGUN, store_configurations
from tests.unit.server.web.form_submission import app_of
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import HOST, SEAL, start_session

OPEN = {"/nuevo", "/nuevo/cuenta"}
"""Forms that only show what was written: they need no seal, because nothing changes."""

FIELDS = {
    "mostrador": "3",
    "mostradores": "1",
    "lista": "1",
    "clave": "k",
    "tipo_inventario": "SPP",
}
FILE = {"archivo": ("datos.csv", b"mostrador\n3\n")}
PATH = {"job_id": BEGUN, "mostrador": "1"}


def list_unsafe_routes(app: FastAPI) -> dict[tuple[str, str], bool]:
    """Return each method and path that is no GET, with values filled in, and if it is a page's."""
    found = {}
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for method in (route.methods or set()) - {"GET", "HEAD"}:
                is_page = isinstance(route.original_route, PageRoute)
                found[method, (route.path or "").format(**PATH)] = is_page
    return found


def state(browser: TestClient) -> list[Any]:
    """All that a person can change, and whether they are in."""
    answers = [
        browser.get(path) for path in ("/ipp/jobs", "/configuraciones", f"/ipp/status/{BEGUN}")
    ]
    return [(answer.status_code, answer.json()) for answer in answers]


@pytest.fixture
def entered(browser: TestClient, issuer: PretendIssuer) -> TestClient:
    """Somebody who is in, and to whom a form was shown."""
    store_configurations(app_of(browser))
    start_session(browser, iss=issuer.url)
    assert browser.get("/nuevo").status_code == 200
    assert browser.cookies[SEAL]
    return browser


@pytest.mark.parametrize(
    "seal", [{}, {"sello": ""}, {"sello": "x" * 32}], ids=["none", "empty", "another's"]
)
def test_no_form_of_the_page_changes_anything_without_its_seal(
    entered: TestClient, seal: dict[str, str]
) -> None:
    before = state(entered)
    routes = list_unsafe_routes(app_of(entered))
    pages = {path for (_, path), is_page in routes.items() if is_page}
    assert {
        "/salir",
        "/nuevo/empezar",
        f"/procesos/{BEGUN}/cancelar",
        "/ajustes/1/borrar",
        *OPEN,
    } <= pages
    for (method, path), is_page in routes.items():
        if is_page:
            answer = entered.request(
                method, path, data=FIELDS | seal, files=FILE, headers={"Origin": HOST}
            )
            assert answer.status_code == (200 if path in OPEN else 403), path
            assert answer.headers["content-type"].startswith("text/html")
    assert state(entered) == before


@pytest.mark.parametrize(
    "origin",
    ["https://otro.example", "https://ipp.example:444", "http://ipp.example", "null", None],
)
def test_nothing_changes_for_a_request_of_another_site_that_brings_the_cookies_along(
    entered: TestClient, origin: str | None
) -> None:
    before = state(entered)
    headers = {"Origin": origin} if origin else {}
    answers: dict[str, httpx2.Response] = {}
    for (method, path), is_page in list_unsafe_routes(app_of(entered)).items():
        body: dict[str, Any] = (
            {"data": FIELDS, "files": FILE} if is_page else {"json": {"mostradores": [1]}}
        )
        answers[f"{method} {path}"] = entered.request(method, path, headers=headers, **body)
    assert len(answers) > 12
    assert {answer.status_code for answer in answers.values()} == {403}
    assert state(entered) == before
