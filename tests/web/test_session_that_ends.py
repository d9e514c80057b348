"""Sign-in in a real browser, and a session that ends in mid-work: nothing is typed again."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import FIRST, SECOND, Server
from tests.unit.server.api import callers
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.web.browser import (
    REFUSED,
    Visit,
    expect_accessible,
    expect_count,
    expect_fitting,
    expect_status,
    start_job,
)
from tests.web.conftest import Visiting


@pytest.fixture(scope="module")
def server(identified: Server) -> Server:
    return identified


def entered(visit: Visit, path: str) -> Page:
    """A page that somebody asked for and signed in to see."""
    page = visit.page()
    page.goto(path)
    page.wait_for_url(f"**{path}")
    return page


def end(visit: Visit, issuer: PretendIssuer, server: Server) -> None:
    """End the session, as an hour does."""
    now = int(time.time())
    over = callers.sign_token({"iss": issuer.url, "iat": now - 3_600, "exp": now - 60})
    visit.context.add_cookies([{"name": "ipp_sesion", "value": over, "url": server.address}])


def enter_beside(page: Page, path: str) -> None:
    """Sign in in another tab, by the link of the page that says the session is over."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Entrar en otra pestaña").click()
    opened.value.wait_for_url(f"**{path}")
    opened.value.close()


def expect_over(page: Page) -> None:
    expect(page.get_by_role("heading", name="Entre otra vez")).to_be_visible()
    expect_accessible(page)
    expect_fitting(page)


@pytest.mark.parametrize("again", ["by the button", "by loading the page again"])
def test_a_form_that_comes_too_late_is_sent_once_one_is_in(
    visiting: Visiting, issuer: PretendIssuer, server: Server, again: str
) -> None:
    visit = visiting()
    page = entered(visit, f"/ajustes/{FIRST}")
    amount = "1,234.50" if again == "by the button" else "4,321.00"
    page.get_by_label("Monto deseado").fill(amount)
    end(visit, issuer, server)
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Guardar los cambios").click()
        expect_over(page)
    enter_beside(page, f"/ajustes/{FIRST}")
    if again == "by the button":
        page.get_by_role("button", name="Enviar otra vez").click()
    else:
        page.reload()
    page.wait_for_url("**/ajustes/*?hecho=guardada")
    expect(page.get_by_label("Monto deseado")).to_have_value(amount)


def test_who_types_goes_on_typing(
    visiting: Visiting, issuer: PretendIssuer, server: Server
) -> None:
    visit = visiting()
    page = entered(visit, "/nuevo")
    written = page.get_by_label("Mostradores", exact=True)
    written.press_sequentially(FIRST)
    expect(page.locator("#cuenta")).to_have_text("1 mostrador")
    end(visit, issuer, server)
    with visit.expecting(f"{REFUSED}|htmx:"), expect_count(page, f"{FIRST}, {SECOND}"):
        written.press_sequentially(f", {SECOND}")
        expect(page.locator("#cuenta")).to_contain_text("lo que escribió sigue aquí")
    enter_beside(page, "/nuevo")
    written.press_sequentially(", 7")
    expect(page.locator("#cuenta")).to_have_text("3 mostradores")
    expect(written).to_have_value(f"{FIRST}, {SECOND}, 7")


def test_a_link_to_a_file_leads_to_signing_in_and_back(
    visiting: Visiting, issuer: PretendIssuer, server: Server
) -> None:
    visit = visiting()
    page = entered(visit, "/nuevo")
    job_id = start_job(page, FIRST)
    expect_status(page, "Completado")
    end(visit, issuer, server)
    page.get_by_role("link", name="Descargar Excel").click()
    page.wait_for_url(f"**/procesos/{job_id}")
    with page.expect_download() as file:
        page.get_by_role("link", name="Descargar Excel").click()
    assert file.value.suggested_filename.endswith(".xlsx")
