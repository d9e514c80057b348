"""Charts of results, and what changed between two jobs."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.core.tables import RESULTS
from tests.unit.server.api.conftest import DONE
from tests.unit.server.web.form_submission import visible_text
from tests.unit.server.web.published_job import (
    EARLY,
    FIRST,
    HTMX,
    RESULTADOS,
    SECOND,
    TABLE,
    app,
    client,
)

__all__ = ["app", "client"]  # fixtures that the tests of these pages share

SVG = "{http://www.w3.org/2000/svg}"


FIGURE = re.compile(
    r"<figcaption><h[23]>(.*?)</h[23]><p.*?>(.*?)</p></figcaption>(.*?)</figure>", re.DOTALL
)


class Shown(NamedTuple):
    """A chart of a page: what is said above it, and its drawings, the wide one first."""

    title: str
    description: str
    drawings: Sequence[ElementTree.Element]

    def notes(self) -> list[str]:
        """What appears on hover over the wide drawing."""
        titles = (note.text or "" for note in self.drawings[0].iter(f"{SVG}title"))
        return list(titles)[1:]


def charts(page: str) -> dict[str, Shown]:
    """The charts of a page, by title."""
    found = [
        Shown(
            html.unescape(title),
            html.unescape(description),
            list(ElementTree.fromstring(f"<div>{svg}</div>")),
        )
        for title, description, svg in FIGURE.findall(page)
    ]
    assert sum(len(each.drawings) for each in found) == page.count("<svg")
    return {each.title: each for each in found}


PAGES = (TABLE, f"{RESULTADOS}/{SECOND}", f"{TABLE}/productos/1001", f"{TABLE}/productos/1002")


@pytest.mark.parametrize("address", PAGES)
def test_a_chart_is_a_drawing_of_the_page_wide_and_narrow_that_says_what_it_shows(
    address: str, client: TestClient
) -> None:
    page = client.get(address).text
    shown = charts(page)
    assert shown
    assert "style=" not in page, "the policy would not let it count"
    for each in shown.values():
        assert [drawing.get("class") for drawing in each.drawings] == [
            "chart wide", "chart narrow",
        ]  # fmt: skip
        wide, narrow = (int(drawing.attrib["width"]) for drawing in each.drawings)
        assert narrow < 400 < wide, "a phone's screen has its own"
        assert len(each.description) > 20
        for drawing in each.drawings:
            assert drawing.get("role") == "img"
            told = drawing.findtext(f"{SVG}title") or ""
            assert told == each.title or told.startswith("Venta semanal de ")
            assert drawing.findtext(f"{SVG}desc") == each.description


def change_results(app: FastAPI, **columns: Any) -> None:
    """Give every row of the job's results such values."""
    rows = app.state.lakehouse.scan_table(RESULTS).filter(job_id=DONE).collect()
    changed = rows.with_columns(**{name: pl.lit(value) for name, value in columns.items()})
    app.state.lakehouse.replace_partitions(RESULTS, changed.lazy(), [DONE])


def test_a_counter_shows_the_charts_that_there_is_something_for(
    app: FastAPI, client: TestClient
) -> None:
    change_results(app, rounding_factor=0.29, target_investment=60.0)
    first, second = client.get(TABLE).text, client.get(f"{RESULTADOS}/{SECOND}").text
    spent = {"Inversión por categoría", "Pareto de la inversión"}
    assert charts(first).keys() == {"Inversión por factor", *spent}
    assert charts(second).keys() == {"Servicio por inversión", *spent}
    assert "$200.00 sirven el 50.0%" in charts(second)["Servicio por inversión"].description
    factors = charts(first)["Inversión por factor"]
    assert "0.29" in factors.description
    assert "$60.00" in factors.description
    assert factors.notes()[28].startswith("Factor de redondeo: 0.29\nInversión (MXN): $")


def test_every_value_appears_on_hover(client: TestClient) -> None:
    second = charts(client.get(f"{RESULTADOS}/{SECOND}").text)
    assert second["Servicio por inversión"].notes() == [
        f"Inversión (MXN): ${n}00.00\nServicio esperado: {n * 25}.0%".replace("$000", "$0")
        for n in range(4)
    ]
    sold = charts(client.get(f"{TABLE}/productos/1001").text)["Venta y pronóstico"].notes()
    assert [note.partition("\n")[0] for note in sold] == [
        f"Semana al {day:02}/06/2026. Piezas: {units}"
        for day, units in ((9, 5), (16, 0), (23, 0), (30, 3))
    ]


def test_a_product_that_never_sold_has_its_forecast_drawn_all_the_same(client: TestClient) -> None:
    shown = charts(client.get(f"{TABLE}/productos/1002").text)["Venta y pronóstico"]
    assert shown.notes() == []
    looks = [path.get("class") for path in shown.drawings[0].iter(f"{SVG}path")]
    assert "weeks" not in looks
    assert ("band" in looks) == ("Banda" in shown.description)


def test_for_htmx_a_product_comes_before_its_history_which_it_asks_for(client: TestClient) -> None:
    path = f"{TABLE}/productos/1001"
    detail = client.get(path, headers=HTMX).text
    assert "<svg" not in detail
    (awaited,) = re.findall(r'hx-get="([^"]+)"', detail)
    drawn = client.get(awaited, headers=HTMX).text.strip()
    page = client.get(path).text
    assert drawn in page
    assert charts(page)["Venta y pronóstico"].description in html.unescape(detail)


def test_a_category_with_a_hostile_name_is_text(app: FastAPI, client: TestClient) -> None:
    name = '<script>alert("1")</script>'
    change_results(app, category=name)
    page = client.get(TABLE).text
    assert "<script>alert" not in page
    assert any(name in note for note in charts(page)["Inversión por categoría"].notes())


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
