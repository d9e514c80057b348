"""Configuraciones in a real browser: search, edit, create, delete and import, concurrently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest
from playwright.sync_api import Locator, Page, expect

from ipp.formats.written_number import NOT_NUMBER_REASON
from ipp.server.web.formatting import money
from tests.e2e.server import FIRST, SECOND
from tests.web.browser import REFUSED, focus_by_tab, on_a_slow_line
from tests.web.conftest import Visiting

THIRD, FOURTH = "7051604", "7051605"
MONEY = "Monto deseado, MXN"


@pytest.fixture(autouse=True)
def as_it_was(client: httpx2.Client) -> Iterator[None]:
    """Each test finds the register as the sample has it."""
    before = register(client)
    yield
    now = register(client)
    for mostrador, row in before.items():
        if mostrador not in now:
            body = {"mostrador": mostrador, **row}
            client.post("/configuraciones", json=body).raise_for_status()
        elif row != now[mostrador]:
            client.put(f"/configuraciones/{mostrador}", json=row).raise_for_status()


def register(client: httpx2.Client) -> dict[str, dict[str, Any]]:
    """Return the editable part of every configuration, by mostrador."""
    rows = client.get("/configuraciones").json()["configuraciones"]
    return {row["mostrador"]: editable(row) for row in rows}


def stored(client: httpx2.Client, mostrador: str) -> dict[str, Any]:
    """Return the editable part of a configuration by the contract; nothing where there is none."""
    return editable(client.get(f"/configuraciones/{mostrador}").json())


def editable(document: dict[str, Any]) -> dict[str, Any]:
    ours = ("tipo_inventario", "monto_deseado", "incluye_")
    return {name: value for name, value in document.items() if name.startswith(ours)}


def row_of(page: Page, mostrador: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=mostrador, exact=True))


def test_the_list_has_every_configuration_and_is_searched_while_typing(
    client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    page.goto("/nuevo")
    page.get_by_role("link", name="Configuraciones").click()
    expect(page.get_by_role("status")).to_have_text("4 configuraciones")
    expect(row_of(page, FIRST)).to_contain_text(money(stored(client, FIRST)["monto_deseado"]))
    name = row_of(page, FIRST).get_by_role("cell").first.inner_text()
    page.evaluate("window.same = true")
    for text in (FIRST, name.upper()):
        page.get_by_label("Número o nombre").fill("")
        expect(page.get_by_role("status")).to_have_text("4 configuraciones")
        page.get_by_label("Número o nombre").press_sequentially(text)
        expect(page.get_by_role("status")).to_have_text("1 configuración")
        expect(row_of(page, FIRST)).to_be_visible()
    page.get_by_label("Número o nombre").fill("nadie")
    expect(page.get_by_text("Ninguna tiene «nadie»")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("0 configuraciones")
    assert page.evaluate("window.same"), "the page was not loaded again"
    page.reload()
    expect(page.get_by_label("Número o nombre")).to_have_value("nadie")
    page.get_by_role("link", name="Ver todas.").click()
    expect(page.get_by_role("status")).to_have_text("4 configuraciones")


def test_what_is_wrong_is_marked_and_what_was_typed_is_still_there(
    client: httpx2.Client, visiting: Visiting
) -> None:
    before = stored(client, FIRST)
    visit = visiting()
    page = visit.page()
    page.goto(f"/ajustes/{FIRST}")
    written = page.get_by_label(MONEY)
    border = written.evaluate("field => getComputedStyle(field).borderColor")
    written.fill("mil pesos")
    page.get_by_label("OTC").uncheck()
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Guardar los cambios").click()
        expect(page.get_by_role("alert")).to_contain_text(f"{MONEY}: no es un número")
    expect(written).to_have_value("mil pesos")
    expect(written).to_have_accessible_description(re.compile(f"{NOT_NUMBER_REASON}$"))
    expect(written).to_have_attribute("aria-invalid", "true")
    expect(written).not_to_have_css("border-color", border)
    expect(page.get_by_label("OTC")).not_to_be_checked()
    page.get_by_role("alert").get_by_role("link", name=MONEY).click()
    expect(written).to_be_focused()
    assert stored(client, FIRST) == before


def test_one_is_taken_away_and_made_again(client: httpx2.Client, visiting: Visiting) -> None:
    page = visiting().page()
    page.goto("/ajustes")
    page.get_by_role("link", name=f"Borrar la configuración del mostrador {FOURTH}").click()
    page.get_by_role("link", name="No, dejarla").click()
    assert stored(client, FOURTH)
    page.get_by_role("link", name="Borrar", exact=True).click()
    page.get_by_role("button", name="Sí, borrarla").click()
    expect(page.get_by_role("status").first).to_have_text("La configuración se borró.")
    expect(row_of(page, FOURTH)).to_have_count(0)
    assert not stored(client, FOURTH)
    page.get_by_role("link", name="Nueva configuración").click()
    page.get_by_label("Mostrador", exact=True).fill(FOURTH)
    page.get_by_label("Modelo").select_option("IPP · predictivo")
    page.get_by_label("Refrigerados").uncheck()
    page.get_by_role("button", name="Crear la configuración").click()
    expect(page.get_by_role("status")).to_have_text("La configuración se creó.")
    made = stored(client, FOURTH)
    assert (made["tipo_inventario"], made["monto_deseado"]) == ("IPP", None)
    assert [name for name, value in made.items() if value is False] == ["incluye_refrigerados"]


def test_who_saves_over_anothers_change_is_shown_it_and_loses_nothing(
    client: httpx2.Client, visiting: Visiting
) -> None:
    before = stored(client, SECOND)
    visit = visiting()
    other, mine = visiting().page(), visit.page()
    for page in (other, mine):
        page.goto(f"/ajustes/{SECOND}")
    other.get_by_label("OTC").uncheck()
    other.get_by_label("Genéricos").uncheck()
    other.get_by_label(MONEY).fill("100,000.00")
    other.get_by_role("button", name="Guardar los cambios").click()
    expect(other.get_by_role("status")).to_have_text("Los cambios se guardaron.")
    mine.get_by_label("Genéricos").uncheck()
    mine.get_by_label("Dermatológico").uncheck()
    mine.get_by_label(MONEY).fill("200000")
    with visit.expecting(REFUSED):
        mine.get_by_role("button", name="Guardar los cambios").click()
        expect(mine.get_by_role("alert")).to_contain_text("Otra persona cambió la configuración")
    theirs = mine.get_by_role("region", name="Lo que cambió la otra persona")
    expect(
        theirs.get_by_role("row", name=f"{MONEY} — $100,000.00 $200,000.00 (lo suyo)")
    ).to_be_visible()
    expect(theirs.get_by_role("row", name="OTC Sí No No (igual)")).to_be_visible()
    assert stored(client, SECOND)["monto_deseado"] == 100_000
    expect(mine.get_by_label(MONEY)).to_have_value("200,000.00")
    expect(mine.get_by_label("Dermatológico")).not_to_be_checked()
    mine.get_by_role("button", name="Guardar los cambios").click()
    expect(mine.get_by_role("status")).to_have_text("Los cambios se guardaron.")
    off = dict.fromkeys(("incluye_otc", "incluye_genericos", "incluye_dermatologico"), False)
    assert stored(client, SECOND) == {**before, **off, "monto_deseado": 200_000}


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_file_is_seen_before_it_is_stored_but_for_the_rows_that_are_refused(
    ending: str, client: httpx2.Client, tmp_path: Path, visiting: Visiting
) -> None:
    before = stored(client, FIRST)
    rows = {
        "mostrador": [FIRST, SECOND],
        "monto_deseado": ["345000", "mucho"],
        "color": ["azul", "rojo"],
    }
    file = tmp_path / f"lista.{ending}"
    if ending == "csv":
        pl.DataFrame(rows).write_csv(file)
    else:
        pl.DataFrame(rows).write_excel(file)
    page = visiting().page()
    page.goto("/ajustes")
    page.get_by_role("link", name="Importar configuraciones").click()
    page.get_by_label("Archivo").set_input_files(file)
    page.get_by_role("button", name="Ver qué cambiaría").click()
    expect(page.get_by_role("status")).to_contain_text(f"Esto es lo que cambiaría lista.{ending}.")
    expect(page.get_by_role("status")).to_contain_text("Columnas que no se usaron: color.")
    expect(page.get_by_role("row", name=f"{FIRST} Monto deseado, MXN")).to_contain_text(
        "$345,000.00"
    )
    expect(page.get_by_role("row", name="3 monto_deseado mucho no es un número")).to_be_visible()
    assert stored(client, FIRST) == before
    page.get_by_role("button", name="Guardar 1 configuración").click()
    expect(page.get_by_text("Las configuraciones del archivo se guardaron.")).to_be_visible()
    assert stored(client, FIRST) == {**before, "monto_deseado": 345_000}


def test_by_the_keyboard_alone_one_finds_and_changes(
    client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting().page()
    page.goto("/procesos")
    focus_by_tab(page, "Configuraciones")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ajustes")
    focus_by_tab(page, "Número o nombre")
    page.keyboard.type(THIRD)
    expect(page.get_by_role("status")).to_have_text("1 configuración")
    focus_by_tab(page, THIRD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(THIRD)
    focus_by_tab(page, "Modelo")
    page.keyboard.press("I")
    focus_by_tab(page, MONEY)
    page.keyboard.press("Control+A")
    page.keyboard.type("88000")
    focus_by_tab(page, "Ético patente")
    page.keyboard.press("Space")
    focus_by_tab(page, "Guardar los cambios")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Los cambios se guardaron.")
    now = stored(client, THIRD)
    assert (now["tipo_inventario"], now["monto_deseado"], now["incluye_etico_patente"]) == (
        "IPP",
        88_000,
        False,
    )


def test_on_a_slow_line_and_without_script_one_finds_and_changes(
    client: httpx2.Client, visiting: Visiting
) -> None:
    for context in ({}, {"java_script_enabled": False}):
        visit = visiting(**context)
        page = visit.page()
        on_a_slow_line(visit, page)
        page.goto("/ajustes", wait_until="commit")
        page.get_by_label("Número o nombre").fill(THIRD)
        page.get_by_role("button", name="Buscar").click()
        expect(page.get_by_role("status")).to_have_text("1 configuración")
        page.get_by_role("link", name=THIRD, exact=True).click()
        page.get_by_label(MONEY).fill("66000")
        page.get_by_role("button", name="Guardar los cambios").click()
        expect(page.get_by_role("status")).to_have_text("Los cambios se guardaron.")
        assert stored(client, THIRD)["monto_deseado"] == 66_000
        client.put(
            f"/configuraciones/{THIRD}", json={**stored(client, THIRD), "monto_deseado": 1}
        ).raise_for_status()
