"""Procesos in a real browser: mine, newest first, by status, and what came out of them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.server import FIRST, SECOND
from tests.sheets import rows_of
from tests.web.browser import REFUSED, expect_status, start
from tests.web.conftest import Visiting


def test_jobs_are_listed_newest_first_and_by_status(done: str, visiting: Visiting) -> None:
    page = visiting().page()
    newer = start(page, FIRST)
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


def test_the_results_come_as_a_workbook(done: str, tmp_path: Path, visiting: Visiting) -> None:
    page = visiting().page()
    page.goto(f"/procesos/{done}")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Descargar Excel").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    rows = rows_of(file)
    assert file.suffix == ".xlsx"
    assert {str(cell) for row in rows for cell in row} >= {FIRST, SECOND}


def test_a_job_is_started_again_with_the_same_list(done: str, visiting: Visiting) -> None:
    page = visiting().page()
    page.goto("/procesos")
    page.get_by_role("row").filter(has_text=done).get_by_role(
        "link", name="Empezar otra vez"
    ).click()
    expect(page.get_by_label("Mostradores", exact=True)).to_have_value(f"{FIRST}, {SECOND}")
    expect(page.locator("#cuenta")).to_have_text("2 mostradores")


def test_a_job_that_is_not_there_is_a_page_that_leads_back(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.page()
    with visit.expecting(REFUSED):
        page.goto("/procesos/ipp-nada")
        expect(page.get_by_role("alert")).to_contain_text("Job no encontrado")
    page.get_by_role("link", name="Volver al principio").click()
    expect(page.get_by_role("heading", name="Nuevo proceso")).to_be_visible()
