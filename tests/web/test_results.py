"""Resultados in a real browser: figures, charts, changes since an earlier job, and files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest
from playwright.sync_api import Page, expect

from ipp.server.web.formatting import decimal, money, percent, whole
from tests.e2e.server import FIRST, SECOND
from tests.web.browser import LOOKS, on_a_slow_line, results_of
from tests.web.conftest import Visiting

PAINTED = """async (picture) => {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
  const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const dots = new Uint32Array(pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer), \
counts = {};
  for (const dot of dots) {
    const colour = "#" + [dot, dot >> 8, dot >> 16].map((n) => \
(n & 255).toString(16).padStart(2, "0")).join("");
    counts[colour] = (counts[colour] ?? 0) + 1;
  }
  return counts;
}"""
"""How many dots of a picture have each colour."""

COLOUR = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
"""A colour of the page's style sheet."""


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


class Painted:
    """The one visible drawing of the chart under a title, as it was painted."""

    def __init__(self, page: Page, title: str) -> None:
        self._page = page
        figures = page.locator("figure").filter(has=page.get_by_role("heading", name=title))
        self.drawing = figures.locator("svg:visible")
        expect(self.drawing).to_have_count(1)
        self.said = self.drawing.locator("> desc").text_content() or ""
        picture = base64.b64encode(self.drawing.screenshot()).decode()
        self._dots: Mapping[str, int] = page.evaluate(PAINTED, picture)

    def count(self, name: str) -> int:
        """How many dots have a colour of the page, by its name there."""
        return self._dots.get(self._page.evaluate(COLOUR, name), 0)


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
    row = decided(client, done, FIRST)
    chosen, target = decimal(row["rounding_factor"]), money(row["target_investment"])
    assert facts(page)["Modelo"] == f"Tradicional (SPP), factor {chosen}"
    painted = Painted(page, "Inversión por factor")
    assert f"marcados, el elegido, {chosen}, y el objetivo, {target}." in painted.said
    assert min(painted.count("--main"), painted.count("--bad")) > 50
    for title in ("Inversión por categoría", "Pareto de la inversión"):
        painted = Painted(page, title)
        assert len(painted.said) > 30
        assert painted.count("--main") > 50
    expect(page.get_by_role("heading", name="Servicio por inversión")).to_have_count(0)


def test_the_predictive_model_shows_what_each_investment_serves(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    page.goto(results_of(done, SECOND))
    row = decided(client, done, SECOND)
    assert facts(page)["Modelo"] == "Predictivo (IPP)"
    painted = Painted(page, "Servicio por inversión")
    assert painted.said.endswith(
        f"{money(row['investment'])} sirven el {percent(row['expected_fill_rate'])}."
    )
    assert painted.count("--main") > 50
    assert 20 < painted.count("--bad") < 200, "one dot marks what was published"
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
    painted = Painted(page, "Venta y pronóstico")
    assert f"de {whole(row['demanda_p50'])} (la mitad" in painted.said
    assert f"a {whole(row['demanda_p90'])} piezas" in painted.said
    assert painted.count("--main") > 50
    assert painted.count("--bad") > 20, "the ends of the band"
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


@pytest.mark.parametrize("look", LOOKS)
def test_charts_follow_the_look_of_the_page(look: str, done: str, visiting: Visiting) -> None:
    page = visiting(**LOOKS[look]).page()
    page.goto(results_of(done, FIRST))
    for title in ("Inversión por factor", "Inversión por categoría", "Pareto de la inversión"):
        painted = Painted(page, title)
        assert painted.count("--main") > 50
        narrow = painted.drawing.get_attribute("class") == "chart narrow"
        assert narrow == (look == "telefono"), "scaled down, its text would be illegible"


def test_a_dark_page_is_printed_on_white(done: str, visiting: Visiting) -> None:
    page = visiting(color_scheme="dark").page()
    page.goto(results_of(done, FIRST))
    dark = page.evaluate(COLOUR, "--main")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(COLOUR, "--main") != dark
    assert page.evaluate(COLOUR, "--card") == "#ffffff"
    assert Painted(page, "Inversión por factor").count("--main") > 50


def test_a_value_appears_where_one_points(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting(java_script_enabled=False).page()
    page.goto(results_of(done, FIRST))
    chosen = decimal(decided(client, done, FIRST)["rounding_factor"])
    notes = page.locator("figure svg:visible .notes path")
    target = notes.filter(has_text=f"Factor de redondeo: {chosen}")
    before = target.evaluate("path => getComputedStyle(path).fill")
    target.hover()
    assert target.evaluate("path => path.matches(':hover')")
    assert target.evaluate("path => getComputedStyle(path).fill") != before


def test_on_a_slow_line_the_charts_come_with_the_page_and_one_works_at_once(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    found = client.get(f"/ipp/results/{done}/rows", params={"mostrador": FIRST, "q": "tab"}).json()[
        "total"
    ]
    visit = visiting()
    page = visit.page()
    on_a_slow_line(visit, page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(results_of(done, FIRST), wait_until="load")
    assert len([url for url in asked if "/procesos/" in url]) == 1
    page.get_by_label("Buscar").fill("tab")
    page.get_by_label("Buscar").press("Enter")
    rows = page.locator("#tabla tbody tr")
    expect(page.locator("#tabla").get_by_role("status")).to_have_text(f"{found} productos")
    expect(rows.filter(has_text="TAB")).to_have_count(found)
    expect(rows).to_have_count(found)
    assert 1 < found < 100
