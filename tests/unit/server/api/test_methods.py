"""A method that an address does not admit: 405, and exactly those that it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.server.web.conftest import build_site

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")

PAGES = (
    "/",
    "/nuevo",
    "/procesos",
    "/procesos/ipp-nada",
    "/procesos/ipp-nada/cancelar",
    "/ajustes",
)
FILES = ("/docs/static/docs.js", "/pagina/estilo.css", "/pagina/no-hay")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return build_site(tmp_path_factory.mktemp("methods"))


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False) as made:
        yield made


def admitted(client: TestClient, path: str) -> set[str]:
    """The methods that are answered, after checking that every other names them."""
    answers = {method: client.request(method, path) for method in METHODS}
    there = {method for method, answer in answers.items() if answer.status_code != 405}
    for method, answer in answers.items():
        if method not in there:
            assert set(answer.headers["allow"].split(", ")) == there, (method, path)
    return there


def test_every_described_address_names_exactly_its_methods(
    app: FastAPI, client: TestClient
) -> None:
    for path, described in app.openapi()["paths"].items():
        place = path.format(job_id="ipp-nada", mostrador="12")
        assert admitted(client, place) == {method.upper() for method in described}, path


@pytest.mark.parametrize("path", [*PAGES, "/metrics", "/openapi.json", "/docs"])
def test_every_page_names_exactly_its_methods(path: str, client: TestClient) -> None:
    assert admitted(client, path)


@pytest.mark.parametrize("path", FILES)
def test_files_admit_what_reads_them(path: str, client: TestClient) -> None:
    assert admitted(client, path) == {"GET", "HEAD"}


def test_below_a_gateways_stage_the_methods_are_the_same(app: FastAPI) -> None:
    with TestClient(app, root_path="/prod") as below:
        answer = below.put("/prod/configuraciones")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
