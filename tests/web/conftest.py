"""A server of its own for each module, and browsers at it whose complaints fail the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.conftest import chain, identified, issuer
from tests.e2e.server import FIRST, SECOND, Server, run_server, wait_for_end
from tests.waiting import PATIENCE_SECONDS
from tests.web.browser import CHROMIUM, Visit, launch_browser

__all__ = ["chain", "identified", "issuer"]  # fixtures that the tests of real processes have

Visiting = Callable[..., Visit]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "tests/web/install brings the browser"
    with sync_playwright() as playwright:
        chromium = launch_browser(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("page") / "home"
    shutil.copytree(chain, home)
    with run_server(home, IPP_MAX_JOBS="100") as running:
        yield running


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """Where browsers find the server."""
    return server.address


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as made:
        yield made


@pytest.fixture(scope="module")
def done(server: Server) -> str:
    """A job that has ended well: of one mostrador of each model."""
    return ended_well(server)


@pytest.fixture(scope="module")
def later(done: str, server: Server) -> str:
    """A later one of the same mostradores, for more days."""
    del done
    return ended_well(server, dias_inventario=30)


def ended_well(server: Server, **parameters: float) -> str:
    """A new job with such parameters that has ended well."""
    body = {"mostradores": [FIRST, SECOND], "parametros": parameters}
    with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client:
        job_id: str = client.post("/ipp/start", json=body).json()["job_id"]
        assert wait_for_end(client, job_id, seconds=PATIENCE_SECONDS)["status"] == "COMPLETED"
    return job_id


@pytest.fixture
def visiting(browser: Browser, address: str) -> Iterator[Visiting]:
    """Gives a `Visit`; what a browser complains of, unexpected, fails the test."""
    visits: list[Visit] = []

    def visit(**context: object) -> Visit:
        visits.append(Visit(browser, address, **context))
        return visits[-1]

    yield visit
    for made in visits:
        made.context.close()
    assert [said for made in visits for said in made.complaints] == []
