"""Who may change configurations, and who did, in a real browser with people who signed in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import FIRST, Server
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.web.browser import LOOKS, REFUSED, expect_good
from tests.web.conftest import Visiting
from tests.web.test_entry import entered

MONEY = "Monto deseado, MXN"


@pytest.fixture(scope="module")
def server(identified: Server, issuer: PretendIssuer) -> Server:
    issuer.who = ""  # asks people who they are
    return identified


def save_amount(page: Page, amount: str) -> None:
    page.get_by_label(MONEY).fill(amount)
    page.get_by_role("button", name="Guardar los cambios").click()
    expect(page.get_by_role("status")).to_have_text("Los cambios se guardaron.")


@pytest.mark.parametrize("look", LOOKS)
def test_an_editor_s_change_is_read_by_somebody_who_may_not_make_one(
    visiting: Visiting, look: str
) -> None:
    page = entered(visiting(), "ana", f"/ajustes/{FIRST}")
    save_amount(page, "321,000.00")
    save_amount(page, "654,321.00")
    visit = visiting(**LOOKS[look])
    reader = entered(visit, "beto", "/ajustes")
    expect(reader.get_by_text("ipp-editor")).to_be_visible()
    expect(reader.get_by_role("link", name="Nueva configuración")).to_have_count(0)
    expect_good(reader, "solo-lista", look)
    reader.get_by_role("link", name=FIRST, exact=True).click()
    expect(reader.get_by_label(MONEY)).to_be_disabled()
    expect(reader.get_by_role("button", name="Guardar los cambios")).to_have_count(0)
    expect_good(reader, "solo-ficha", look)
    reader.get_by_role("link", name="Ver sus cambios").click()
    newest = reader.get_by_role("row").nth(1)
    for text in ("Ana Peña", "en la página", "Cambió configuraciones", "321,000.00", "654,321.00"):
        expect(newest).to_contain_text(text)
    expect_good(reader, "cambios-mostrador", look)
    reader.get_by_role("link", name="Todos los cambios").click()
    reader.get_by_label("Qué cambió").select_option("sellout")
    reader.get_by_role("button", name="Buscar").click()
    expect(reader.get_by_role("row").nth(1)).to_contain_text("Puso datos inventados en sellout")
    reader.get_by_label("Qué cambió").select_option("")
    reader.get_by_label("Quién, número, valor o archivo").fill("ana peña")
    reader.get_by_label("Quién, número, valor o archivo").press("Enter")
    expect(reader.get_by_role("row").nth(1)).to_contain_text("Ana Peña")
    with visit.expecting(REFUSED):
        reader.goto(f"/ajustes/{FIRST}/borrar")
        expect(reader.get_by_role("alert")).to_contain_text("ipp-editor")
