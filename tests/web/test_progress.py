"""Progreso in a real browser: live, equal for every viewer, and through failures of the server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, Route, expect

from ipp.jobs.engines.stage_worker import MOST_DEATHS
from tests.e2e.server import FIRST, SECOND, Server, find_stages
from tests.waiting import wait_until
from tests.web.browser import LOST, expect_status, on_a_slow_line, start_job
from tests.web.conftest import Visiting


@pytest.fixture
def begun(client: httpx2.Client) -> str:
    """A job that has only begun."""
    job_id: str = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]}).json()["job_id"]
    return job_id


@contextmanager
def hold_job(home: Path, job_id: str, stage: str) -> Iterator[None]:
    """Let a job get no further than ``stage`` while the block lasts."""

    def fits() -> list[int]:
        return [
            pid
            for pid, seen in find_stages(home).items()
            if (seen.job_id, seen.stage) == (job_id, stage)
        ]

    pid = wait_until(fits, bool)[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # who ran it was killed, and it with them
            os.kill(pid, signal.SIGCONT)


def expect_same(*pages: Page) -> None:
    """Wait until every page shows the same progress: each is told within a second."""
    wait_until(
        lambda: {page.locator("#avance").inner_text() for page in pages},
        lambda seen: len(seen) == 1,
    )


@pytest.mark.parametrize("cut", ["avance", "eventos"])
def test_progress_is_live_by_events_and_where_those_are_cut_by_polling(
    cut: str, begun: str, visiting: Visiting, server: Server
) -> None:
    visit = visiting()
    page = visit.page()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route(f"**/procesos/*/{cut}", refuse)
    with visit.expecting(LOST):
        with hold_job(server.home, begun, "normalizador"):
            page.goto(f"/procesos/{begun}")
            expect_status(page, "Normalizando")
        expect(page.locator(".stages li").first).to_have_class("done")
        expect_status(page, "Completado")
    expect(page.get_by_role("link", name="Descargar Excel")).to_be_visible()
    expect(page.locator("progress").last).to_have_attribute("value", "2")
    assert asked or cut == "avance"  # a quick job has ended before anybody polls


def test_nobody_asks_again_once_the_job_has_ended(begun: str, visiting: Visiting) -> None:
    page = visiting().page()
    page.goto(f"/procesos/{begun}")
    expect_status(page, "Completado")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6_000)
    assert asked == []


def test_two_browsers_see_the_same_and_so_does_who_comes_back(
    begun: str, visiting: Visiting, server: Server
) -> None:
    mine, other = visiting().page(), visiting().page()
    with hold_job(server.home, begun, "factor"):
        for page in (mine, other):
            page.goto(f"/procesos/{begun}")
            expect_status(page, "Aplicando el factor")
        expect_same(mine, other)
        mine.goto("/procesos")
        expect(mine.get_by_role("row").filter(has_text=begun)).to_contain_text(
            "Aplicando el factor"
        )
        mine.go_back()
        expect_status(mine, "Aplicando el factor")
    for page in (mine, other):
        expect_status(page, "Completado")
    expect_same(mine, other)


def test_the_page_goes_on_when_the_server_is_killed_and_started_again(
    begun: str, visiting: Visiting, server: Server
) -> None:
    visit = visiting()
    page = visit.page()
    with hold_job(server.home, begun, "factor"):
        page.goto(f"/procesos/{begun}")
        expect_status(page, "Aplicando el factor")
        page.evaluate("window.same = true")
        with visit.expecting(LOST):
            server.kill()
            time.sleep(6)  # long enough to ask a server that is not there
            expect_status(page, "Aplicando el factor")
            server.start()
            expect_status(page, "Completado")
    assert page.evaluate("window.same"), "the page was not loaded again"


def test_a_job_can_be_cancelled(begun: str, visiting: Visiting, server: Server) -> None:
    page = visiting().page()
    with hold_job(server.home, begun, "normalizador"):
        page.goto(f"/procesos/{begun}")
        page.get_by_role("button", name="Cancelar el proceso").click()
        expect(page.get_by_role("button", name="Cancelar el proceso")).to_have_count(0)
    expect_status(page, "Cancelado")
    expect(page.get_by_role("link", name="Empezar otra vez con la misma lista")).to_be_visible()


def test_a_job_that_fails_says_what_where_and_what_to_do(
    begun: str, visiting: Visiting, server: Server
) -> None:
    page = visiting().page()
    page.goto(f"/procesos/{begun}")
    killed: set[int] = set()
    while len(killed) < MOST_DEATHS:
        for pid in (
            wait_until(lambda: {*find_stages(server.home)}, lambda there: bool(there - killed))
            - killed
        ):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    expect_status(page, "Falló")
    told = page.get_by_role("alert")
    expect(told).to_contain_text("terminó por la señal SIGKILL. Suele ser falta de memoria.")
    expect(told).to_contain_text("Dónde: Etapa normalizador")
    expect(told).to_contain_text("empiece el proceso otra vez")
    page.get_by_role("link", name="Empezar otra vez con la misma lista").click()
    expect(page.get_by_label("Mostradores", exact=True)).to_have_value(f"{FIRST}, {SECOND}")


def test_a_slow_line_is_no_hindrance(visiting: Visiting) -> None:
    visit = visiting()
    page = visit.page()
    on_a_slow_line(visit, page)
    start_job(page, f"{FIRST}, {SECOND}")
    expect_status(page, "Completado")
