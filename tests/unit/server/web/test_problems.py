"""Refusals and errors: a page for a person, and the contract's problem for a program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ipp.server.web.page import CONTENT_POLICY, MAX_FORM_BYTES
from tests.unit.server.api.conftest import BEGUN, DONE
from tests.unit.server.web.conftest import build_site
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import HOST, start_session

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
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert message in answer.text
    program = client.get(path)
    assert program.status_code == status
    assert program.headers["content-type"] == "application/problem+json"
    assert program.json()["error"] == message


class BrokenWarehouse:
    """Fails as nobody expected, whatever it is asked."""

    def __getattr__(self, name: str) -> object:
        raise ValueError(f"the delta of {name}")


def test_what_nobody_expected_is_told_with_its_number_and_nothing_of_the_inside(
    tmp_path: Path,
) -> None:
    app = build_site(tmp_path)
    app.state.services = replace(app.state.services, warehouse=BrokenWarehouse())
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/ajustes", headers=FOLLOWED)
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert f"con el número {answer.headers['x-request-id']}" in answer.text
        assert "delta" not in answer.text.lower()
        part = client.get("/ajustes", headers={"HX-Request": "true"})
        assert part.status_code == 500
        assert "<html" not in part.text
        assert 'role="alert"' in part.text
        assert client.get("/ajustes").headers["content-type"] == "application/problem+json"


def test_a_damaged_table_is_told_on_a_page_as_what_may_pass(tmp_path: Path) -> None:
    app = build_site(tmp_path)
    for log in (tmp_path / "lakehouse").rglob("_delta_log/*.json"):
        log.write_text("nada")
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/ajustes", headers=FOLLOWED)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "un archivo falta o está dañado" in answer.text
        assert "delta" not in answer.text.lower()


def test_a_page_repeats_little_of_what_is_wrong_with_a_list(client: TestClient) -> None:
    count = client.post("/nuevo/cuenta", data={"lista": " ".join(["x" * 20_000] * 30)})
    assert (count.status_code, len(count.text) < 5_000) == (200, True)
    address = f"/ipp/results/{DONE}/rows?sort={'x' * 30_000}"
    assert len(client.get(address, headers=FOLLOWED).text) < 10_000


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"nada"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\nnada"),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(1_001))),
        ("application/x-www-form-urlencoded", b"lista=" + b"1" * 2**20),
    ],
    ids=["no boundary", "another boundary", "very many fields", "a very long field"],
)
@pytest.mark.parametrize("path", ["/nuevo/validar", "/ajustes/1"])
def test_what_is_no_form_is_said_on_a_page(
    browser: TestClient, issuer: PretendIssuer, kind: str, content: bytes, path: str
) -> None:
    start_session(browser, iss=issuer.url)
    answer = browser.post(path, content=content, headers={"Content-Type": kind, "Origin": HOST})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "no llegó como debe" in answer.text


@pytest.mark.parametrize("size", [MAX_FORM_BYTES + 1, 2 * MAX_FORM_BYTES])
@pytest.mark.parametrize("told", [True, False], ids=["length told", "no length told"])
def test_of_what_is_far_too_large_no_more_is_read(
    browser: TestClient, issuer: PretendIssuer, size: int, told: bool
) -> None:
    start_session(browser, iss=issuer.url)
    content = (
        b'--x\r\nContent-Disposition: form-data; name="archivo"; filename="a.csv"\r\n\r\n'
        + b"1" * size
    )
    sent = {"Content-Type": "multipart/form-data; boundary=x", "Origin": HOST}
    parts = (
        content[at : at + MAX_FORM_BYTES // 2] for at in range(0, len(content), MAX_FORM_BYTES // 2)
    )
    answer = browser.post("/ajustes/importar", content=content if told else parts, headers=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "Lo que se envió es demasiado grande." in answer.text
