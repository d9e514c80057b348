"""Entrada in a real browser: over https, an issuer's page, and what a session shows and hides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import FIRST, Server
from tests.unit.server.web.oidc_issuer import PEOPLE, PretendIssuer
from tests.web.browser import (
    LOOKS,
    REFUSED,
    Visit,
    expect_count,
    expect_good,
    expect_status,
    start_job,
    write_list,
)
from tests.web.conftest import Visiting
from tests.web.proxy import run_proxy

SESSION = "__Host-ipp_sesion"


@pytest.fixture(scope="module")
def server(identified: Server, issuer: PretendIssuer) -> Server:
    issuer.who = ""  # asks people who they are
    return identified


@pytest.fixture(scope="module")
def address(
    server: Server, issuer: PretendIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with run_proxy(server.port, tmp_path_factory.mktemp("front")) as front:
        issuer.answers.add(front)
        yield front


def entered(visit: Visit, who: str, path: str = "/nuevo") -> Page:
    """A page of somebody who went to ``path`` and signed in on the way."""
    page = visit.page()
    page.goto(path)
    sign_in(page, who)
    return page


def sign_in(page: Page, who: str) -> None:
    """Say at the issuer who one is."""
    page.get_by_role("button", name=PEOPLE[who]).click()
    expect(page.get_by_role("banner")).to_contain_text(PEOPLE[who])


def test_one_signs_in_at_the_issuer_and_comes_back_to_what_one_asked_for(
    visiting: Visiting, issuer: PretendIssuer, address: str
) -> None:
    visit = visiting(ignore_https_errors=True)
    page = visit.page()
    page.goto("/procesos?estado=COMPLETED")
    expect(page).to_have_title("El emisor")
    assert page.url.startswith(issuer.url)
    sign_in(page, "ana")
    assert page.url == f"{address}/procesos?estado=COMPLETED"
    kept = {cookie["name"]: cookie for cookie in visit.context.cookies()}
    session = kept[SESSION]
    assert (session["httpOnly"], session["secure"], session["sameSite"]) == (True, True, "Lax")
    assert session["expires"] == -1, "gone with the browser"
    assert all(cookie["httpOnly"] and cookie["secure"] for cookie in kept.values())
    assert page.evaluate("document.cookie") == ""
    assert not [name for name in kept if "entrada" in name], "what the way in needed is forgotten"


def test_on_this_machine_one_signs_in_over_http(visiting: Visiting, server: Server) -> None:
    visit = visiting()
    page = entered(visit, "ana", f"{server.address}/procesos")
    assert page.url == f"{server.address}/procesos"
    (session,) = (cookie for cookie in visit.context.cookies() if cookie["name"] == "ipp_sesion")
    assert (session["httpOnly"], session["secure"], session["sameSite"]) == (True, False, "Lax")


def test_who_leaves_is_out_and_their_job_goes_on(visiting: Visiting) -> None:
    visit = visiting(ignore_https_errors=True)
    page = entered(visit, "ana")
    job_id = start_job(page, FIRST)
    page.get_by_role("button", name="Salir").click()
    expect(page.get_by_role("heading", name="Sesión cerrada")).to_be_visible()
    expect(
        page.get_by_role("link", name="Entrar")
    ).to_be_visible()  # back from the issuer, which one leaves as well
    assert SESSION not in {cookie["name"] for cookie in visit.context.cookies()}
    page.go_back()
    expect(page).to_have_title("El emisor")
    sign_in(page, "ana")
    page.goto(f"/procesos/{job_id}")
    expect_status(page, "Completado")


def ways(visit: Visit, issuer: PretendIssuer) -> Iterator[tuple[str, Page]]:
    """The pages by which people come in and leave."""
    page = visit.page()
    page.route(
        f"{issuer.url}/authorize*", lambda route: route.fulfill(status=204)
    )  # leaves a browser where it is
    page.goto("/entrar?volver=/nuevo")
    expect(page.get_by_role("link", name="Seguir")).to_be_visible()
    yield "entrada", page
    page.unroute(f"{issuer.url}/authorize*")
    with visit.expecting(REFUSED):
        page.goto("/entrada?state=ajeno")
    yield "entrada-rechazada", page
    page.get_by_role("link", name="Entrar").click()
    sign_in(page, "ana")
    with expect_count(page, FIRST):
        write_list(page, FIRST)
    yield "sesion", page
    visit.context.clear_cookies(name=SESSION)
    with visit.expecting(REFUSED):
        page.get_by_role("button", name="Validar").click()
        expect(page.get_by_role("heading", name="Entre otra vez")).to_be_visible()
    yield "sesion-vencida", page
    page.goto("/salir")
    yield "salida", page


@pytest.mark.parametrize("look", LOOKS)
def test_each_page_of_the_way_in_is_for_everybody(
    look: str, visiting: Visiting, issuer: PretendIssuer
) -> None:
    for name, page in ways(visiting(ignore_https_errors=True, **LOOKS[look]), issuer):
        expect_good(page, name, look)
