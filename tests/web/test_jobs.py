"""Procesos in a real browser: mine, newest first, by status, and what came out of them."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.server import FIRST, SECOND
from tests.web.browser import expect_status, start_job
from tests.web.conftest import Visiting


def test_jobs_are_listed_newest_first_and_by_status(done: str, visiting: Visiting) -> None:
    page = visiting().page()
    newer = start_job(page, FIRST)
    expect_status(page, "Completado")
    page.get_by_role("link", name="Procesos").click()
    found = page.locator("tbody tr td:first-child").all_inner_texts()
    assert found[:1] == [newer]
    assert done in found[1:]
    page.get_by_label("Estado").select_option("Falló")
    page.get_by_role("button", name="Ver", exact=True).click()
    expect(page.get_by_text("No hay procesos que mostrar.")).to_be_visible()
    page.get_by_label("Estado").select_option("Todos")
    page.get_by_role("button", name="Ver", exact=True).click()
    expect(page.get_by_role("link", name=done)).to_be_visible()


def test_a_job_is_started_again_with_the_same_list(done: str, visiting: Visiting) -> None:
    page = visiting().page()
    page.goto("/procesos")
    page.get_by_role("row").filter(has_text=done).get_by_role(
        "link", name="Empezar otra vez"
    ).click()
    expect(page.get_by_label("Mostradores", exact=True)).to_have_value(f"{FIRST}, {SECOND}")
    expect(page.locator("#cuenta")).to_have_text("2 mostradores")
