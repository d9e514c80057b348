"""Errors of the server: a page for a person, and the contract's problem for a program."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ipp.server.web import site
from ipp.server.web.page import CONTENT_POLICY
from tests.unit.server.api.conftest import BEGUN, DONE, application

FOLLOWED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept-Language": "es"}
"""What a browser says of a link that a person followed."""

REFUSED = {
    "/ajuste": (404, "No existe esa dirección."),
    f"/ipp/results/{BEGUN}/download?format=csv": (409, "Proceso no completado"),
    f"/ipp/results/{DONE}/download?format=zip": (400, "format: no es un valor posible"),
    "/ipp/results/ipp-nada/download": (404, "Job no encontrado"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_who_follows_a_link_is_told_on_a_page(client: TestClient, path: str) -> None:
    status, message = REFUSED[path]
    answer = client.get(path, headers=FOLLOWED)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    assert (answer.headers["content-security-policy"], answer.headers["cache-control"]) == (
        CONTENT_POLICY,
        "no-store",
    )
    assert message in answer.text
    program = client.get(path)
    assert (program.status_code, program.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert program.json()["error"] == message


def test_what_nobody_expected_is_told_with_its_number_and_nothing_of_the_inside(
    tmp_path: Path,
) -> None:
    app = application(tmp_path)
    site.install_pages(app, app.state.importer)
    for log in (tmp_path / "lakehouse").rglob("_delta_log/*.json"):
        log.write_text("nada")
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/ajustes", headers=FOLLOWED)
        assert (answer.status_code, answer.headers["content-type"]) == (
            500,
            "text/html; charset=utf-8",
        )
        assert f"con el número {answer.headers['x-request-id']}" in answer.text
        assert "delta" not in answer.text.lower()
        part = client.get("/ajustes", headers={"HX-Request": "true"})
        assert (part.status_code, "<html" in part.text, 'role="alert"' in part.text) == (
            500,
            False,
            True,
        )
        assert client.get("/ajustes").headers["content-type"] == "application/problem+json"


def test_a_page_repeats_little_of_what_is_wrong_with_a_list(client: TestClient) -> None:
    count = client.post("/nuevo/cuenta", data={"lista": " ".join(["x" * 20_000] * 30)})
    assert (count.status_code, len(count.text) < 5_000) == (200, True)
    address = f"/ipp/results/{DONE}/rows?sort={'x' * 30_000}"
    assert len(client.get(address, headers=FOLLOWED).text) < 10_000
