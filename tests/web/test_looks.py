"""Every page in light, in dark and on a phone: nothing too wide, and axe finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import FIRST, SECOND, Server
from tests.web.browser import (
    LOOKS,
    REFUSED,
    Visit,
    expect_accessible,
    expect_fitting,
    expect_good,
    expect_status,
    job_of,
    results_of,
    validate_list,
    write_list,
)
from tests.web.conftest import Visiting
from tests.web.test_progress import hold_job


class There(NamedTuple):
    """The stops of a walk: the server's home, two jobs of the same list, and a folder for files."""

    home: Path
    earlier: str
    later: str
    folder: Path


@pytest.fixture
def there(server: Server, done: str, later: str, tmp_path: Path) -> There:
    return There(server.home, done, later, tmp_path)


def through_a_job(visit: Visit, there: There) -> Iterator[tuple[str, Page]]:
    """From a list to a job that has ended."""
    page = visit.page()
    write_list(page, f"{FIRST}, {SECOND}, {FIRST}, 7O51")
    expect(page.locator("#cuenta")).to_contain_text("7O51")
    yield "nuevo", page
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Validar").click()
        expect(page.get_by_role("alert")).to_be_visible()
    yield "rechazado", page
    validate_list(page, f"{FIRST}, {SECOND}, 7051999")
    yield "validacion", page
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    with hold_job(there.home, job_of(page), "factor"):
        expect_status(page, "Aplicando el factor")
        yield "progreso", page
    expect_status(page, "Completado")
    yield "completado", page
    page.get_by_role("link", name="Procesos").click()
    yield "procesos", page
    with visit.expecting(REFUSED):
        page.goto("/procesos/ipp-nada")
    yield "problema", page


def through_results(visit: Visit, there: There) -> Iterator[tuple[str, Page]]:
    """From all mostradores of a job to one, one of its products, and an earlier job."""
    page = visit.page()
    page.goto(results_of(there.later))
    yield "resultados", page
    for name, mostrador in (("mostrador", FIRST), ("predictivo", SECOND)):
        page.goto(results_of(there.later, mostrador))
        yield name, page
    page.locator("tbody th a").first.click()
    expect(page.locator("#detalle h2")).to_be_visible()
    expect_accessible(page)
    expect_fitting(page)
    page.get_by_role("link", name="Abrir en su página").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    yield "producto", page
    page.goto(f"/procesos/{there.later}/comparar?con={there.earlier}&mostrador={FIRST}")
    yield "comparar", page


def through_configurations(visit: Visit, there: There) -> Iterator[tuple[str, Page]]:
    """Visit the list, a form with errors, another's change, a file, and a deletion."""
    page = visit.page()
    page.goto("/ajustes")
    yield "configuraciones", page
    page.goto(f"/ajustes/{SECOND}")
    yield "ficha", page
    page.get_by_label("Monto deseado, MXN").fill("mil")
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Guardar los cambios").click()
        expect(page.get_by_role("alert")).to_be_visible()
    yield "ficha-rechazada", page
    other = visit.page()
    for each in (page, other):
        each.goto(f"/ajustes/{SECOND}")
    for each, amount in ((other, "250,000.00"), (page, "300,000.00")):
        each.get_by_label("OTC").set_checked(each is page)
        each.get_by_label("Monto deseado, MXN").fill(amount)
    other.get_by_role("button", name="Guardar los cambios").click()
    expect(other.get_by_role("status")).to_have_text("Los cambios se guardaron.")
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Guardar los cambios").click()
        expect(page.get_by_role("alert")).to_be_visible()
    yield "ficha-cambiada", page
    other.get_by_label("OTC").check()
    other.get_by_label("Monto deseado, MXN").fill("")
    other.get_by_role("button", name="Guardar los cambios").click()
    yield from _importing(page, there.folder)
    page.goto(f"/ajustes/cambios?mostrador={SECOND}")
    yield "cambios", page
    page.goto(f"/ajustes/{SECOND}/borrar")
    yield "borrar", page


def _importing(page: Page, folder: Path) -> Iterator[tuple[str, Page]]:
    file = folder / "configuraciones.csv"
    file.write_text(
        f"mostrador,tipo_inventario,monto_deseado\n{FIRST},SPP,1250000.5\n7O51,IPP,1000\n{SECOND},XPP,-5\n"
    )
    page.goto("/ajustes/importar")
    page.get_by_label("Archivo").set_input_files(file)
    page.get_by_role("button", name="Ver qué cambiaría").click()
    expect(page.get_by_role("button", name="Guardar 1 configuración")).to_be_visible()
    yield "importar", page


Walk = Callable[[Visit, There], Iterator[tuple[str, Page]]]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("walk", [through_a_job, through_results, through_configurations])
def test_each_page_is_for_everybody(
    walk: Walk, look: str, visiting: Visiting, there: There
) -> None:
    for name, page in walk(visiting(**LOOKS[look]), there):
        expect_good(page, name, look)
