"""A session that ends while somebody types: no form is lost and none has to be typed again."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.unit.server.api.conftest import BEGUN, DONE, no_token_is_logged, store_configurations
from tests.unit.server.web.form_submission import Form, app_of
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import HOST, SEAL, start_session
from tests.unit.server.web.test_seals import list_unsafe_routes

__all__ = ["no_token_is_logged"]  # holds here as well

OUR: dict[str, str] = {"Origin": HOST}
ODD = 'Ñandú, "7 051" & <b>\n12;\t3 '
"""What somebody may have typed."""

FILE = {"archivo": ("datos.csv", b"mostrador,monto_deseado\n3,2000\n")}
Sent = tuple[dict[str, str], dict[str, tuple[str, bytes]], int]

TYPED: dict[str, Sent] = {
    "/nuevo": ({"lista": ODD}, {}, 200),
    "/nuevo/cuenta": ({"lista": ODD}, {}, 200),
    "/nuevo/validar": ({"lista": "1, 2\n3"}, {}, 200),
    "/nuevo/archivo": ({}, FILE, 200),
    "/nuevo/empezar": (
        {"lista": "1 3", "mostradores": "1", "clave": "k", "joroba": "mucha",
         "monto_deseado": "$1,234.50"}, {}, 400,
    ),
    f"/procesos/{BEGUN}/cancelar": ({}, {}, 303),
    "/ajustes/nueva": ({"mostrador": "12", "tipo_inventario": "IPP", "monto_deseado": "1,234.50"},
                       {}, 303),
    "/ajustes/1": ({"version": "vieja", "tipo_inventario": "IPP", "monto_deseado": ODD}, {}, 400),
    "/ajustes/1/borrar": ({"version": "vieja"}, {}, 412),
    "/ajustes/importar": ({}, FILE, 200),
    "/ajustes/importar/guardar": ({"renglones": "mostrador,monto_deseado,version\n12,5.0,\n"}, {},
                                  303),
}  # fmt: skip
"""By form: what was typed, what was chosen, and the answer had the session not ended."""


@pytest.fixture
def writing(browser: TestClient, issuer: PretendIssuer) -> TestClient:
    """Somebody who was shown a form, and whose session ended then."""
    store_configurations(app_of(browser))
    start_session(browser, iss=issuer.url)
    browser.get("/nuevo")
    start_session(browser, iss=issuer.url, exp=int(time.time()) - 60)
    return browser


def test_every_form_is_tried_here(browser: TestClient) -> None:
    assert {
        path for (_, path), is_page in list_unsafe_routes(app_of(browser)).items() if is_page
    } == {
        *TYPED,
        "/salir",
    }


@pytest.mark.parametrize("path", TYPED)
def test_what_was_typed_is_sent_once_one_is_in_again(
    writing: TestClient, issuer: PretendIssuer, path: str
) -> None:
    fields, files, expected = TYPED[path]
    given: dict[str, Any] = fields | {"sello": writing.cookies[SEAL]}
    for _ in range(2):  # whoever sends it again before they are in is asked to once more
        answer = writing.post(path, data=given, files=files or None, headers=OUR)
        assert answer.status_code == 401
        form = Form(answer.text)
        assert (form.action, form.fields, form.files) == (path, given, list(files))
        given = form.fields
    start_session(writing, iss=issuer.url)
    again = writing.post(form.action, data=form.fields, files=files or None, headers=OUR)
    assert again.status_code == expected


def test_who_is_in_again_is_where_they_were(writing: TestClient, issuer: PretendIssuer) -> None:
    for path in (
        "/procesos?estado=COMPLETED",
        "/ajustes?q=centro",
        f"/procesos/{DONE}/resultados/7051602?busca=zinc",
    ):
        assert writing.get(path).headers["Location"].startswith("/entrar?volver=%2F")
    referer = {"Referer": f"{HOST}/ajustes/1?hecho=creada"}
    answer = writing.post("/ajustes/1", data={}, headers=OUR | referer)
    assert 'href="/entrar?volver=%2Fajustes%2F1%3Fhecho%3Dcreada" target="_blank"' in answer.text


def test_a_link_to_a_file_leads_back_to_the_page_it_is_on(writing: TestClient) -> None:
    clicked = {
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Referer": f"{HOST}/procesos/{DONE}",
    }
    answer = writing.get(f"/ipp/results/{DONE}/download?format=csv", headers=clicked)
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/entrar?volver=%2Fprocesos%2F{DONE}"
    called = writing.get(f"/ipp/results/{DONE}/download?format=csv")
    assert (called.status_code, called.headers["Content-Type"]) == (401, "application/problem+json")


def test_what_did_not_come_from_a_form_is_not_offered_again(writing: TestClient) -> None:
    answer = writing.get(f"/procesos/{DONE}", headers={"Sec-Fetch-Dest": "image"})
    assert (answer.status_code, "<form" in answer.text) == (401, False)
    part = writing.post("/nuevo/cuenta", data={"lista": "1"}, headers=OUR | {"HX-Request": "true"})
    assert (part.status_code, "<form" in part.text, "<html" in part.text) == (401, False, False)


def test_a_part_that_nobody_typed_for_leads_through_signing_in_to_its_page(
    writing: TestClient,
) -> None:
    referer = f"{HOST}/ajustes?q=sur"
    listed = writing.get("/ajustes?q=sur", headers={"HX-Request": "true", "Referer": referer})
    assert listed.status_code == 401
    assert 'href="/entrar?volver=%2Fajustes%3Fq%3Dsur">' in listed.text
    counted = writing.post(
        "/nuevo/cuenta", headers=OUR | {"HX-Request": "true", "Referer": f"{HOST}/nuevo"}
    )
    assert 'href="/entrar?volver=%2Fnuevo" target="_blank">' in counted.text
