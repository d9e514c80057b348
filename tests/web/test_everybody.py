"""The page for everybody: by the keyboard alone, and in two languages."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.server import FIRST, SECOND
from tests.web.browser import expect_status, focus_by_tab
from tests.web.conftest import Visiting


def test_the_keyboard_alone_is_enough(visiting: Visiting) -> None:
    page = visiting().page()
    page.goto("/nuevo")
    page.keyboard.type(f"{FIRST} {SECOND}")
    focus_by_tab(page, "Validar")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Validación", exact=True)).to_be_visible()
    focus_by_tab(page, "Ir al contenido")
    page.keyboard.press("Enter")
    focus_by_tab(page, "Empezar")
    page.keyboard.press("Space")
    page.wait_for_url("**/procesos/ipp-*")
    expect_status(page, "Completado")
    focus_by_tab(page, "Descargar Excel")


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
