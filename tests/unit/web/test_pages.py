"""What goes wrong, as a person at a browser sees it: a page, whatever was asked for; programs get the problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.api.body import MAX_BYTES
from ipp.api.problems import MEDIA_TYPE, UnauthenticatedError
from ipp.errors import UnavailableError
from ipp.web import site
from ipp.web.pages import PARTIAL, POLICY
from ipp.web.uploads import MOST_SENT
from tests.unit.api.conftest import BEGUN, DONE, application

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    made = application(tmp_path)
    site.install(made, made.state.scratch, made.state.lakehouse)
    return made


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as made:
        yield made


REFUSED = (
    ("GET", "/no-hay", 404, "No existe esa dirección."),
    ("POST", "/procesos", 405, "Esa dirección no admite ese método."),
    ("GET", f"/ipp/results/{BEGUN}/download", 409, "Proceso no completado"),
    ("GET", f"/ipp/results/{DONE}/download?format=doc", 400, "format: no es un valor posible"),
)


@pytest.mark.parametrize(("method", "address", "status", "said"), REFUSED)
def test_a_browser_that_opens_an_address_gets_a_page_and_a_program_the_problem(
    method: str, address: str, status: int, said: str, client: TestClient
) -> None:
    page, problem = client.request(method, address, headers=BROWSER), client.request(method, address)
    assert (page.status_code, problem.status_code) == (status, status)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == POLICY
    assert said in page.text
    assert "volver" not in page.text
    assert (problem.headers["content-type"], problem.json()["error"]) == (MEDIA_TYPE, said)
    assert page.headers.get("allow") == problem.headers.get("allow")


@pytest.mark.parametrize("address", ["/procesos", "/ipp/jobs"])
def test_what_nobody_expected_is_a_page_with_a_number_and_nothing_of_the_inside(
    address: str, app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object, **_named: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(type(app.state.services.jobs), "jobs", broken)
    page = client.get(address, headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert f"con el número {page.headers['x-request-id']}" in page.text
    assert "secret" not in page.text
    part = client.get(address, headers={"accept": "text/html", PARTIAL: "true"})
    assert (part.status_code, "<html" in part.text) == (500, False)
    assert client.get(address).json()["status"] == 500


def test_who_is_not_known_is_led_to_the_way_in_and_a_program_told_so(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(*_given: object) -> None:
        raise UnauthenticatedError("Falta identificarse.")

    monkeypatch.setattr(type(app.state.services.authenticator), "caller", unknown)
    page = client.get(f"/ipp/results/{DONE}/download", headers=BROWSER)
    assert page.status_code == 303
    assert page.headers["location"] == f"/entrar?volver=%2Fipp%2Fresults%2F{DONE}%2Fdownload"
    assert client.get(f"/ipp/results/{DONE}/download").status_code == 401


def test_what_others_cannot_do_just_now_is_in_the_log(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_given: object, **_named: object) -> None:
        raise UnavailableError("No responde.", hint="Repita en un momento.", retry_after=7)

    monkeypatch.setattr(type(app.state.services.jobs), "jobs", away)
    page = client.get("/procesos")
    assert (page.status_code, page.headers["retry-after"]) == (503, "7")
    assert "Repita en un momento." in page.text
    assert "/procesos: No responde." in caplog.text


@pytest.mark.parametrize(("path", "most"), [("/nuevo/cuenta", MAX_BYTES), ("/nuevo/archivo", MOST_SENT)])
def test_no_more_of_a_form_is_read_than_one_may_be_long(path: str, most: int, client: TestClient) -> None:
    """Before it is known who sends it."""
    answer = client.post(
        path, content=b"lista=" + b"1" * most, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413
