"""What a browser may send: how much of it is read, and what is said of what is no form."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from ipp.server.web.page import MAX_FORM_BYTES
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import HOST, session


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
    session(browser, iss=issuer.url)
    answer = browser.post(path, content=content, headers={"Content-Type": kind, "Origin": HOST})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "no llegó como debe" in answer.text


@pytest.mark.parametrize("size", [MAX_FORM_BYTES + 1, 2 * MAX_FORM_BYTES])
@pytest.mark.parametrize("told", [True, False], ids=["length told", "no length told"])
def test_of_what_is_far_too_large_no_more_is_read(
    browser: TestClient, issuer: PretendIssuer, size: int, told: bool
) -> None:
    session(browser, iss=issuer.url)
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
