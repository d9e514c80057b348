"""Charts of results, and what changed between two jobs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.core.tables import RESULTS
from tests.unit.server.api.conftest import DONE
from tests.unit.server.web.form_submission import visible_text
from tests.unit.server.web.published_job import (
    EARLY,
    FIRST,
    RESULTADOS,
    SECOND,
    TABLE,
    app,
    client,
)

__all__ = ["app", "client"]  # fixtures that the tests of these pages share


def width(svg: str) -> float:
    found = re.search(r' width="([\d.]+)"', svg)
    assert found
    return float(found[1])


CHARTS = (
    f"{TABLE}/graficas/factor.svg", f"{TABLE}/graficas/categorias.svg",
    f"{TABLE}/graficas/pareto.svg",
    f"{RESULTADOS}/{SECOND}/graficas/servicio.svg", f"{TABLE}/productos/1001/historia.svg",
    f"{TABLE}/productos/1002/historia.svg",
)  # fmt: skip


@pytest.mark.parametrize("address", CHARTS)
def test_a_chart_is_a_picture_that_may_do_nothing_for_light_and_for_dark_pages(
    address: str, client: TestClient
) -> None:
    light, dark = client.get(address), client.get(f"{address}?tono=oscuro")
    for answer in (light, dark):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.text.startswith("<svg")
        assert "<script" not in answer.text
        assert "style=" not in answer.text, "the policy would not let it count"
    assert light.text != dark.text
    narrow = client.get(f"{address}?ancho=angosto").text
    assert width(narrow) < 400 < width(light.text), "a phone's page has its own"


@pytest.mark.parametrize(
    ("mostrador", "name"), [(SECOND, "factor"), (FIRST, "servicio"), (FIRST, "nada")]
)
def test_a_chart_that_there_is_nothing_for_is_not_there(
    mostrador: int, name: str, client: TestClient
) -> None:
    assert client.get(f"{RESULTADOS}/{mostrador}/graficas/{name}.svg").status_code == 404


def test_a_counter_shows_the_charts_that_there_are_and_says_what_they_show(
    client: TestClient,
) -> None:
    first, second = client.get(TABLE).text, client.get(f"{RESULTADOS}/{SECOND}").text
    assert ("servicio.svg" in first, "servicio.svg" in second) == (False, True)
    for page in (first, second):
        alts = re.findall(r'<img src="[^"]+\.svg" alt="([^"]*)"[^>]* loading="lazy">', page)
        assert len(alts) == page.count("<img")
        assert all(len(alt) > 20 for alt in alts)
    assert "$200.00 sirven el 50.0%" in second


def change_of(client: TestClient, **asked: Any) -> str:
    return client.get(f"/procesos/{DONE}/comparar", params={"con": EARLY, **asked}).text


def test_a_comparison_says_what_rose_and_what_fell_and_why(
    client: TestClient, app: FastAPI
) -> None:
    page = change_of(client)
    told = visible_text(page)
    scanned = app.state.lakehouse.scan_table(RESULTS)
    later, before = (scanned.filter(job_id=each, mostrador=FIRST).collect()["optimum_value"].sum()
                     for each in (DONE, EARLY))  # fmt: skip
    assert f"{FIRST} ${before:,.2f} ${later:,.2f} -${before - later:,.2f}" in told
    assert "Días de inventario 14 → 21" in told
    rose, fell = (
        page[page.index('id="subio"') : page.index('id="bajo"')],
        page[page.index('id="bajo"') :],
    )
    assert "No estaba en el proceso anterior." in rose
    assert "No está en este proceso." in fell
    assert "Por costumbre." in fell
    assert "Por demanda." in rose


def test_the_largest_changes_come_first_and_no_more_than_are_said(client: TestClient) -> None:
    page = change_of(client)
    fell = [float(found) for found in re.findall(r">-\$([\d.]+)<", page[page.index('id="bajo"') :])]
    assert len(fell) == 50
    assert fell == sorted(fell, reverse=True)


def test_a_comparison_can_be_of_one_counter(client: TestClient) -> None:
    page = change_of(client, mostrador=SECOND)
    assert set(re.findall(r"<td>(\d+)</td>", page)) == {str(SECOND)}
    assert client.get(f"/procesos/{DONE}/comparar?con={EARLY}&mostrador=9").status_code == 404
    assert client.get(f"/procesos/{DONE}/comparar").status_code == 400
