"""The page for everybody: keyboard alone, two languages, light and dark, a phone, a screen reader's needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import FIRST, SECOND, Server
from tests.web.browsing import (
    DESK,
    PHONE,
    REFUSED,
    Visit,
    expect_accessible,
    expect_fitting,
    expect_status,
    validate,
    write_list,
)
from tests.web.conftest import Visiting
from tests.web.test_progress import held

PICTURES = Path(__file__).parents[2] / "docs" / "pagina"
LOOKS = {
    "claro": {"color_scheme": "light", "viewport": DESK},
    "oscuro": {"color_scheme": "dark", "viewport": DESK},
    "telefono": {"color_scheme": "light", "viewport": PHONE},
}

FOCUSED = "document.activeElement === document.body ? '' : document.activeElement.innerText"


def reached(page: Page, name: str) -> None:
    """Press Tab until the focus is on what is called ``name``."""
    for _ in range(40):
        if page.evaluate(FOCUSED).startswith(name):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "one sees where one is"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached")


def test_the_keyboard_alone_is_enough(visiting: Visiting) -> None:
    page = visiting().page()
    page.goto("/nuevo")
    page.keyboard.type(f"{FIRST} {SECOND}")
    reached(page, "Validar")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Validación", exact=True)).to_be_visible()
    reached(page, "Ir al contenido")
    page.keyboard.press("Enter")
    reached(page, "Empezar")
    page.keyboard.press("Space")
    page.wait_for_url("**/procesos/ipp-*")
    expect_status(page, "Completado")
    reached(page, "Descargar Excel")


def test_who_asks_for_english_gets_it(visiting: Visiting) -> None:
    page = visiting(locale="en-US").page()
    page.goto("/nuevo")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_label("Counters", exact=True).fill(f"{FIRST}, 999")
    expect(page.get_by_role("status")).to_have_text("2 counters")
    page.get_by_role("button", name="Validate").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 2 counters are configured")
    page.get_by_role("button", name="Start with the valid one").click()
    expect_status(page, "Completed")


def pages(visit: Visit, home: Path) -> Iterator[tuple[str, Page]]:
    """Every page, by a name, as somebody who works comes by it."""
    page = visit.page()
    write_list(page, f"{FIRST}, {SECOND}, {FIRST}, 7O51")
    expect(page.locator("#cuenta")).to_contain_text("7O51")
    yield "nuevo", page
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Validar").click()
        expect(page.get_by_role("alert")).to_be_visible()
    yield "rechazado", page
    validate(page, f"{FIRST}, {SECOND}, 7051999")
    yield "validacion", page
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    with held(home, page.url.rpartition("/")[2], "factor"):
        expect_status(page, "Aplicando el factor")
        yield "progreso", page
    expect_status(page, "Completado")
    yield "completado", page
    page.get_by_role("link", name="Procesos").click()
    yield "procesos", page
    with visit.expecting(REFUSED):
        page.goto("/procesos/ipp-nada")
    yield "problema", page


@pytest.mark.parametrize("look", LOOKS)
def test_each_page_fits_and_axe_finds_nothing(look: str, visiting: Visiting, server: Server) -> None:
    for name, page in pages(visiting(**LOOKS[look]), server.home):
        expect_accessible(page)
        expect_fitting(page)
        if "IPP_SCREENSHOTS" in os.environ:
            picture(page, PICTURES / f"{name}-{look}.png")


def picture(page: Page, file: Path) -> None:
    """Draw the page into the documentation, with a palette: a picture of a page needs no more colours."""
    file.parent.mkdir(exist_ok=True)
    page.screenshot(path=file, full_page=True, animations="disabled")
    subprocess.run(["pngquant", "--force", "--skip-if-larger", "--ext", ".png", "--speed", "1", "64", file], check=True)
    assert file.stat().st_size < 100_000, file
