"""Nuevo proceso in a real browser: mostradores, parameters, and one job despite many clicks."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import polars as pl
import pytest
from playwright.sync_api import Route, expect

from tests.e2e.server import FIRST, SECOND
from tests.web.browser import REFUSED, expect_status, job_of, start_job, validate_list, write_list
from tests.web.conftest import Visiting


def jobs(client: httpx2.Client) -> list[str]:
    return [job["job_id"] for job in client.get("/ipp/jobs?limit=200").json()["jobs"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{FIRST}, {SECOND}", "2 mostradores"),
        (f"{FIRST} {SECOND} 7", "3 mostradores"),
        (f"{FIRST}\n{SECOND}\n\n000{FIRST}", "2 mostradores (1 repetido cuenta una vez)"),
        (f"{FIRST};", "1 mostrador"),
        (f"{FIRST}, abc", "1 mostrador No son números de mostrador: abc"),
        ("", "0 mostradores"),
    ],
)
def test_the_count_follows_what_one_writes(text: str, said: str, visiting: Visiting) -> None:
    page = visiting().page()
    write_list(page, "1 2 3 4 5")
    expect(page.get_by_role("status")).to_have_text("5 mostradores")
    page.get_by_label("Mostradores", exact=True).fill(text)
    expect(page.get_by_role("status")).to_have_text(said)


def test_what_one_writes_before_the_page_is_whole_is_counted(visiting: Visiting) -> None:
    page = visiting().page()
    held: list[Route] = []
    page.route("**/htmx.min.js", lambda route: held.append(route))  # noqa: PLW0108  # it looks at a function's parameters
    page.goto("/nuevo", wait_until="commit")
    page.get_by_label("Mostradores", exact=True).fill(f"{FIRST} {SECOND}")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.get_by_role("status")).to_have_text("2 mostradores")


def test_validation_shows_who_is_configured_and_the_list_can_be_corrected(
    visiting: Visiting,
) -> None:
    page = visiting().page()
    validate_list(page, f"{FIRST}, 999, {SECOND}")
    expect(page.get_by_role("status")).to_contain_text("2 de 3 mostradores")
    expect(page.get_by_role("row", name="999 sin configuración")).to_be_visible()
    expect(page.get_by_role("row", name=f"{FIRST} con configuración")).to_be_visible()
    page.get_by_role("button", name="Corregir la lista").click()
    written = page.get_by_label("Mostradores", exact=True)
    expect(written).to_have_value(f"{FIRST}, 999, {SECOND}")
    written.fill(f"{FIRST}, {SECOND}")
    page.get_by_role("button", name="Validar").click()
    expect(page.get_by_role("status")).to_have_text("Todos tienen configuración: 2.")


def test_a_list_of_nobody_can_only_be_corrected(visiting: Visiting) -> None:
    page = visiting().page()
    validate_list(page, "998 999")
    expect(page.get_by_role("button", name="Empezar")).to_have_count(0)
    expect(page.get_by_role("button", name="Corregir la lista")).to_be_visible()


def test_a_file_fills_the_list(tmp_path: Path, visiting: Visiting) -> None:
    csv = tmp_path / "lista.csv"
    csv.write_text(f"mostrador,nombre\n{FIRST},Uno\n{SECOND},Dos\n", encoding="utf-8")
    xlsx = tmp_path / "lista.xlsx"
    pl.DataFrame({"mostrador": [int(FIRST), int(SECOND)]}).write_excel(xlsx)
    page = visiting().page()
    for file in (csv, xlsx):
        page.goto("/nuevo")
        expect(page.get_by_label("O un archivo")).to_have_css(
            "border-style", "dashed"
        )  # one may drop it there
        page.get_by_label("O un archivo").set_input_files(file)
        page.get_by_role("button", name="Leer el archivo").click()
        expect(page.get_by_label("Mostradores", exact=True)).to_have_value(f"{FIRST}\n{SECOND}")


def test_a_file_without_mostradores_says_what_it_has(tmp_path: Path, visiting: Visiting) -> None:
    file = tmp_path / "otra.csv"
    file.write_text("producto,precio\n1,2\n", encoding="utf-8")
    visit = visiting()
    page = visit.page()
    page.goto("/nuevo")
    page.get_by_label("O un archivo").set_input_files(file)
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Leer el archivo").click()
        expect(page.get_by_role("alert")).to_contain_text(
            "otra.csv no tiene una columna mostrador."
        )


def test_all_takes_every_counter_that_is_configured(visiting: Visiting) -> None:
    page = visiting().page()
    page.goto("/nuevo")
    page.get_by_role("button", name="Tomar todos").click()
    expect(page.get_by_role("status")).to_have_text("Todos tienen configuración: 4.")
    page.get_by_role("button", name="Corregir la lista").click()
    expect(page.locator("#cuenta")).to_have_text("4 mostradores")


def test_changed_parameters_are_the_jobs_and_wrong_ones_lose_nothing(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.page()
    validate_list(page, f"{FIRST} 999")
    expect(page.get_by_label("Precio máximo")).to_have_value("3,500.00")
    page.get_by_label("Días de inversión deseados").fill("45.5")
    page.get_by_label("Joroba").fill("7")
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Empezar").click()
        expect(page.get_by_role("alert")).to_contain_text("Joroba")
    expect(page.get_by_label("Joroba")).to_have_accessible_description(
        re.compile("Debe ser un número de 0 a 1")
    )
    expect(page.get_by_label("Días de inversión deseados")).to_have_value("45.5")
    expect(page.get_by_role("row", name="999 sin configuración")).to_be_visible()
    page.get_by_label("Joroba").fill("0.2")
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    page.get_by_text("Parámetros").click()
    expect(page.get_by_role("definition").filter(has_text="45.5")).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text="0.2")).to_be_visible()


def test_a_double_click_starts_one_job(client: httpx2.Client, visiting: Visiting) -> None:
    before = jobs(client)
    page = visiting().page()
    validate_list(page, FIRST)
    page.get_by_role("button", name="Empezar").dblclick()
    page.wait_for_url("**/procesos/ipp-*")
    assert jobs(client) == [job_of(page), *before]


def test_a_form_that_is_changed_after_it_started_a_job_starts_another(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.page()
    validate_list(page, FIRST)
    form = page.locator("form[action='/nuevo/empezar']")
    fields = form.evaluate("form => Object.fromEntries(new FormData(form))")
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    refused = visit.context.request.post("/nuevo/empezar", form={**fields, "joroba": "0.3"})
    assert refused.status == 422
    (key,) = re.findall('name="clave" value="([^"]+)"', refused.text())
    again = visit.context.request.post(
        "/nuevo/empezar", form={**fields, "joroba": "0.3", "clave": key}
    )
    assert again.url.rpartition("/")[2] not in {"empezar", job_of(page)}


def test_the_page_works_where_scripts_do_not_run(visiting: Visiting) -> None:
    page = visiting(java_script_enabled=False).page()
    start_job(page, f"{FIRST} {SECOND}")
    expect_status(page, "Completado")
