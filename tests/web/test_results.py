"""Resultados in a real browser: figures, charts, changes since an earlier job, and files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest
from playwright.sync_api import Page, Route, expect

from ipp.server.web.formatting import decimal, money, percent, whole
from ipp.server.web.svg_chart import LIGHT_THEME
from tests.e2e.server import FIRST, SECOND
from tests.web.browser import expect_drawn, on_a_slow_line, results_of
from tests.web.conftest import Visiting

PAINTED = """image => {
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), \
pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const dots = new Uint32Array(pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer), \
counts = {};
  for (const dot of dots)
    if (dot >>> 24 === 255) {
      const colour = "#" + [dot, dot >> 8, dot >> 16].map((n) => \
(n & 255).toString(16).padStart(2, "0")).join("");
      counts[colour] = (counts[colour] ?? 0) + 1;
    }
  return counts;
}"""
"""How many dots of a picture have each colour, but for those that let the page shine through."""


def summary(client: httpx2.Client, job_id: str) -> list[dict[str, Any]]:
    """What the contract says of each mostrador."""
    rows: list[dict[str, Any]] = client.get(f"/ipp/results/{job_id}").json()["summary"][
        "mostradores"
    ]
    return rows


def decided(client: httpx2.Client, job_id: str, mostrador: str) -> dict[str, Any]:
    (row,) = (row for row in summary(client, job_id) if row["mostrador"] == mostrador)
    return row


def facts(page: Page) -> dict[str, str]:
    """The figures at the top of a page, by what they are called."""
    pairs = page.locator("main > .facts > div").all()
    return {each.locator("dt").inner_text(): each.locator("dd").inner_text() for each in pairs}


def figure(page: Page, title: str) -> tuple[str, Mapping[str, int]]:
    """The chart under a title: what is said in its place, and its colours as they were painted."""
    image = (
        page.locator("figure").filter(has=page.get_by_role("heading", name=title)).locator("img")
    )
    expect(image).to_be_visible()
    return image.get_attribute("alt") or "", image.evaluate(PAINTED)


def test_a_job_leads_to_its_counters_with_the_figures_of_the_contract(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    page.goto(f"/procesos/{done}")
    page.get_by_role("link", name="Ver los resultados").click()
    told = summary(client, done)
    assert facts(page)["Inversión"] == money(sum(row["investment"] for row in told))
    assert facts(page)["Piezas"] == whole(sum(row["units"] for row in told))
    for row in told:
        shown = page.get_by_role("row").filter(has=page.get_by_role("link", name=row["mostrador"]))
        for text in (
            money(row["investment"]),
            money(row["target_investment"]),
            percent(row["expected_fill_rate"]),
        ):
            expect(shown).to_contain_text(text)
        page.get_by_role("link", name=row["mostrador"]).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(
            f"Mostrador {row['mostrador']}"
        )
        assert facts(page)["Inversión"] == money(row["investment"])
        assert facts(page)["Surtidos"] == whole(row["products_with_stock"])
        page.get_by_role("link", name="Resultados", exact=True).click()


def test_the_traditional_model_shows_the_investment_of_each_factor_with_the_chosen_marked(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    page.goto(results_of(done, FIRST))
    expect_drawn(page)
    row = decided(client, done, FIRST)
    chosen, target = decimal(row["rounding_factor"]), money(row["target_investment"])
    assert facts(page)["Modelo"] == f"Tradicional (SPP), factor {chosen}"
    said, painted = figure(page, "Inversión por factor")
    assert f"marcados, el elegido, {chosen}, y el objetivo, {target}." in said
    assert min(painted.get(LIGHT_THEME.main, 0), painted.get(LIGHT_THEME.mark, 0)) > 50
    for title in ("Inversión por categoría", "Pareto de la inversión"):
        said, painted = figure(page, title)
        assert len(said) > 30
        assert painted[LIGHT_THEME.main] > 50
    expect(page.get_by_role("heading", name="Servicio por inversión")).to_have_count(0)


def test_the_predictive_model_shows_what_each_investment_serves(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    page.goto(results_of(done, SECOND))
    expect_drawn(page)
    row = decided(client, done, SECOND)
    assert facts(page)["Modelo"] == "Predictivo (IPP)"
    said, painted = figure(page, "Servicio por inversión")
    assert said.endswith(
        f"{money(row['investment'])} sirven el {percent(row['expected_fill_rate'])}."
    )
    assert painted[LIGHT_THEME.main] > 50
    assert 20 < painted[LIGHT_THEME.mark] < 200, "one dot marks what was published"
    expect(page.get_by_role("heading", name="Inversión por factor")).to_have_count(0)


def test_a_row_opens_to_its_rules_and_its_demand_with_the_band(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    (row,) = client.get(
        f"/ipp/results/{done}/rows",
        params={"mostrador": FIRST, "sort": "importe_optimo", "order": "desc", "limit": 1},
    ).json()["rows"]
    page.goto(results_of(done, FIRST))
    page.locator("#tabla tbody a").first.click()
    opened = page.get_by_role("region", name=row["descripcion"])
    expect(opened).to_be_focused()
    expect(opened).to_contain_text(row["motivo"])
    for step, text in (
        ("Demanda del área", decimal(row["demanda_area"])),
        ("Factor de redondeo", decimal(row["factor_redondeo"])),
        ("Óptimo", whole(row["optimo"])),
    ):
        line = opened.get_by_role("row").filter(
            has=page.get_by_role("rowheader", name=step, exact=True)
        )
        expect(line.get_by_role("cell").first).to_have_text(text)
    expect_drawn(page)
    said, painted = figure(page, "Venta y pronóstico")
    assert f"de {whole(row['demanda_p50'])} (la mitad" in said
    assert f"a {whole(row['demanda_p90'])} piezas" in said
    assert painted[LIGHT_THEME.main] > 50
    assert painted[LIGHT_THEME.mark] > 20, "the ends of the band"
    opened.get_by_role("link", name="Abrir en su página").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(row["material"])
    expect(page.get_by_text(row["motivo"])).to_be_visible()


def published(client: httpx2.Client, job_id: str) -> pl.DataFrame:
    """What the contract has of every product of a job."""
    rows: list[dict[str, Any]] = []
    for mostrador in (FIRST, SECOND):
        cursor = ""
        while True:
            asked = {"mostrador": mostrador, "limit": "100"} | (
                {"cursor": cursor} if cursor else {}
            )
            answer = client.get(f"/ipp/results/{job_id}/rows", params=asked).json()
            rows += answer["rows"]
            cursor = answer["next_cursor"] or ""
            if not cursor:
                break
    return pl.DataFrame(rows, infer_schema_length=None)


READ: dict[str, Callable[[Path], pl.DataFrame]] = {
    "Descargar Excel": pl.read_excel,
    "csv": pl.read_csv,
    "Parquet": pl.read_parquet,
}


@pytest.mark.parametrize("name", READ)
def test_the_files_have_every_row_of_the_contract(
    name: str, done: str, client: httpx2.Client, tmp_path: Path, visiting: Visiting
) -> None:
    page = visiting().page()
    for address, wanted in ((results_of(done), None), (results_of(done, SECOND), SECOND)):
        page.goto(address)
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name, exact=True).click()
        file = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(file)
        told = published(client, done)
        rows = told if wanted is None else told.filter(pl.col("mostrador") == wanted)
        found = READ[name](file)
        assert found.height == rows.height
        assert found["optimo"].sum() == rows["optimo"].sum()


def test_on_a_slow_line_one_works_before_the_charts_come(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    found = client.get(f"/ipp/results/{done}/rows", params={"mostrador": FIRST, "q": "tab"}).json()[
        "total"
    ]
    visit = visiting()
    page = visit.page()
    on_a_slow_line(visit, page)
    waiting: list[Route] = []
    arrives = threading.Event()
    page.route(
        "**/graficas/*",
        lambda route: route.continue_() if arrives.is_set() else waiting.append(route),
    )
    with page.expect_request("**/graficas/*"):
        page.goto(results_of(done, FIRST), wait_until="commit")
    page.get_by_label("Buscar").fill("tab")
    page.get_by_label("Buscar").press("Enter")
    rows = page.locator("#tabla tbody tr")
    expect(page.locator("#tabla").get_by_role("status")).to_have_text(f"{found} productos")
    expect(rows.filter(has_text="TAB")).to_have_count(found)
    expect(rows).to_have_count(found)
    assert 1 < found < 100
    assert waiting
    arrives.set()
    for route in waiting:
        route.continue_()
    expect_drawn(page)
