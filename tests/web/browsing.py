"""A person at a browser: pages that complain when a browser does, and what people do on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PHONE: Final = {"width": 375, "height": 720}
DESK: Final = {"width": 1180, "height": 800}
PATIENCE: Final = 60_000
"""Milliseconds after which a job of the sample should long have ended, however busy the machine is."""

LOST: Final = "Failed to load resource|NetworkError|Failed to fetch|network error|ERR_|htmx:"
"""What a browser says when a server that it talks to is killed, or something between cuts it off."""

REFUSED: Final = "Failed to load resource"
"""What a browser says of an answer that is an error."""

expect.set_options(timeout=15_000)

_AXE: Final = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
_VIOLATIONS: Final = """async () => (await axe.run()).violations.map((found) => [
  found.id, found.help, ...found.nodes.map((node) => node.target.join(" ") + ": " + node.failureSummary)])"""


def launched(playwright: Playwright) -> Browser:
    """Debian's Chromium, without a window."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


class Visit:
    """A person's browser at ``address``: a context of its own, and pages whose complaints are kept."""

    def __init__(self, browser: Browser, address: str, **context: Any) -> None:
        given: dict[str, Any] = {"locale": "es-MX", "viewport": DESK, "reduced_motion": "reduce", **context}
        self.context: BrowserContext = browser.new_context(base_url=address, **given)
        self.context.set_default_timeout(20_000)
        self.complaints: list[str] = []

    def page(self) -> Page:
        """A new page, or tab, of the browser."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    @contextmanager
    def expecting(self, pattern: str) -> Iterator[None]:
        """A block in which the browser may complain of what ``pattern`` says, and of nothing else."""
        before = list(self.complaints)
        yield
        for page in self.context.pages:
            page.wait_for_timeout(200)  # what is complained of arrives after what it is about
        self.complaints = before + [said for said in self.complaints[len(before) :] if not re.search(pattern, said)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


def write_list(page: Page, text: str) -> None:
    """Open Nuevo proceso and write a list."""
    page.goto("/nuevo")
    page.get_by_label("Mostradores", exact=True).fill(text)


def validate(page: Page, text: str) -> None:
    """Write a list and have it validated."""
    write_list(page, text)
    page.get_by_role("button", name="Validar").click()
    expect(page.get_by_role("heading", name="Validación", exact=True)).to_be_visible()


def start(page: Page, text: str) -> str:
    """Start a job with a list, as people do; the job's id."""
    validate(page, text)
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    return job_of(page)


def job_of(page: Page) -> str:
    """The job whose page it is."""
    return page.url.rpartition("/")[2]


def expect_status(page: Page, said: str) -> None:
    """Wait until the page says how the job stands."""
    expect(page.locator("#avance .state .tag")).to_have_text(said, timeout=PATIENCE)


def expect_accessible(page: Page) -> None:
    """That axe finds nothing on the page as it is."""
    page.evaluate(_AXE)
    assert page.evaluate(_VIOLATIONS) == []


def expect_fitting(page: Page) -> None:
    """That nothing makes the page wider than what shows it."""
    width, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= room, page.url
