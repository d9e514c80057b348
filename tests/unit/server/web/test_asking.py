"""Nuevo proceso without a browser: counts, refusals, and that only our own form starts a job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.core.tables import MATERIALS, SELLOUT
from ipp.server.web.csrf import CSRF_COOKIE
from ipp.server.web.new_job import split_ids
from tests.unit.server.api.conftest import BEGUN, TODAY, store_configurations
from tests.unit.server.web.conftest import build_site


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """Mostradores 1 and 2 have a configuration, 3 and 12 none; there is data to start a job."""
    made = build_site(tmp_path)
    store_configurations(made)
    made.state.lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": [1_000]}))
    sold = {"mostrador": [1], "material": [1_000], "date": [TODAY], "units": [1.0]}
    made.state.lakehouse.replace_table(SELLOUT, pl.LazyFrame(sold))
    return made


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False) as made:
        yield made


def sealed(client: TestClient) -> str:
    """The seal that the browser was given."""
    client.get("/nuevo")
    return str(client.cookies[CSRF_COOKIE])


def jobs(client: TestClient, sub: str = "ana") -> list[str]:
    answer = client.get("/ipp/jobs?limit=200", headers={"x-user": sub})
    return [job["job_id"] for job in answer.json()["jobs"]]


def field(text: str, name: str) -> str:
    (found,) = re.findall(f'name="{name}"[^>]*? value="([^"]*)"', text)
    return str(found)


def test_words_are_parted_by_commas_semicolons_spaces_and_lines() -> None:
    assert split_ids(" 1, 2;3\t4\r\n5 ,; 6\n") == ["1", "2", "3", "4", "5", "6"]
    assert split_ids("") == []


def test_the_count_names_what_is_no_mostrador_and_counts_once_what_is_there_twice(
    client: TestClient,
) -> None:
    told = client.post("/nuevo/cuenta", data={"lista": "1 01, 2 x <b>"}).text
    assert "2 mostradores" in told
    assert "1 repetido cuenta" in told
    assert "x, &lt;b&gt;" in told


def test_a_file_that_is_too_large_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipp.server.web.upload.MAX_UPLOAD_BYTES", 10)
    files = {"archivo": ("lista.csv", b"mostrador\n1\n")}
    answer = client.post("/nuevo/archivo", data={"sello": sealed(client)}, files=files)
    assert (answer.status_code, "demasiado grande" in answer.text) == (400, True)


def test_an_empty_list_is_an_error_and_never_everything(client: TestClient) -> None:
    answer = client.post("/nuevo/validar", data={"sello": sealed(client), "lista": " \n"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_who_works_on_the_page_is_not_told_of_a_command_line(
    client: TestClient, app: FastAPI
) -> None:
    app.state.lakehouse.replace_table(SELLOUT, pl.LazyFrame(schema=SELLOUT.schema))
    seal = sealed(client)
    nobody = client.post("/nuevo/validar", data={"sello": seal, "lista": ""})
    nothing = client.post("/nuevo/empezar", data={"sello": seal, "mostradores": "1", "clave": "k"})
    for answer, what in (
        (nobody, "La lista de mostradores está vacía."),
        (nothing, "No hay sell-out."),
    ):
        (said,) = re.findall(
            '<section class="notice bad" role="alert">(.*?)</section>', answer.text, re.DOTALL
        )
        assert what in said
        assert "--" not in said
        assert "`" not in said


def test_a_form_starts_one_job_however_often_it_is_sent(client: TestClient) -> None:
    validated = client.post("/nuevo/validar", data={"sello": sealed(client), "lista": "1 2 3"})
    assert "2 de 3 mostradores" in validated.text
    form = {name: field(validated.text, name) for name in ("clave", "mostradores")}
    assert form["mostradores"] == "1, 2"
    form["sello"] = sealed(client)
    before = jobs(client)
    addresses = {client.post("/nuevo/empezar", data=form).headers["location"] for _ in range(2)}
    assert len(addresses) == 1
    assert len(jobs(client)) == len(before) + 1


@pytest.mark.parametrize("written", ["1,234", "siete", "1e3", "-1", "nan", "1,2,3", "0", "1000"])
def test_a_parameter_that_is_no_number_or_out_of_bounds_starts_nothing_and_loses_nothing(
    written: str, client: TestClient
) -> None:
    form = {"sello": sealed(client), "mostradores": "1", "clave": "k"}
    form |= {"lista": "1 3", "joroba": "0.25"}
    before = jobs(client)
    answer = client.post("/nuevo/empezar", data={**form, "dias_inventario": written})
    assert answer.status_code == 400
    assert f'value="{written}"' in answer.text
    (beside,) = re.findall('<p class="wrong" id="dias_inventario-error">([^<]+)</p>', answer.text)
    assert beside in {
        "No es un número: escriba por ejemplo 1234.50 o 1234,50.",
        "Puede leerse como 1234 o como 1.234: "
        "escriba 1234 si son millares, 1,2340 si son decimales.",
        "Debe ser un número de 1 a 180 (días).",
    }
    assert re.findall('<input id="([a-z_]+)"[^>]*aria-invalid', answer.text) == ["dias_inventario"]
    assert 'value="0.25"' in answer.text
    assert "sin configuración" in answer.text, "who is not configured is still told"
    assert jobs(client) == before


def test_thousands_and_pesos_are_read_as_they_are_written_in_mexico(client: TestClient) -> None:
    form = {"sello": sealed(client), "mostradores": "1", "clave": "k"}
    answer = client.post(
        "/nuevo/empezar", data={**form, "monto_deseado": "$1,234.50", "precio_maximo": ".5"}
    )
    job = client.get(answer.headers["location"]).text
    assert "1,234.5" in job
    assert "0.5" in job


def test_another_persons_list_is_not_there(client: TestClient) -> None:
    assert client.get(f"/nuevo?proceso={BEGUN}").status_code == 200
    answer = client.get(f"/nuevo?proceso={BEGUN}", headers={"x-user": "beto"})
    assert answer.status_code == 404
    assert "7051602" not in answer.text


def test_what_the_address_cannot_mean_is_a_page_too(client: TestClient) -> None:
    answer = client.get("/procesos?estado=NADA")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "estado" in answer.text
