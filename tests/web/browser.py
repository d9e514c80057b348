"""A person at a browser: pages that complain when a browser does, and what people do on them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

from tests.waiting import PATIENCE_SECONDS

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
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "claro": {"color_scheme": "light", "viewport": DESK},
    "oscuro": {"color_scheme": "dark", "viewport": DESK},
    "telefono": {"color_scheme": "light", "viewport": PHONE},
}
"""How people look at a page: what their browsers are set to."""

PICTURES: Final = Path(__file__).parents[2] / "docs" / "how-to" / "pagina"
PATIENCE: Final = PATIENCE_SECONDS * 1_000
"""Milliseconds after which any condition should long have held, however busy the machine is."""

LOST: Final = "Failed to load resource|NetworkError|Failed to fetch|network error|ERR_|htmx:"
"""A browser's messages when a server is killed or something between cuts the connection."""

REFUSED: Final = "Failed to load resource"
"""What a browser says of an answer that is an error."""

expect.set_options(timeout=PATIENCE)

_AXE: Final = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
_VIOLATIONS: Final = """async () => (await axe.run()).violations.map((found) => [
  found.id, found.help, ...found.nodes.map((node) => node.target.join(" ") + \
": " + node.failureSummary)])"""
_UNTIDY: Final = """() => {
  const said = (element) => element.outerHTML.slice(0, 120);
  const close = (one) => {
    const next = one.nextElementSibling;
    const gap = next && next.getBoundingClientRect().top - one.getBoundingClientRect().bottom;
    return next && next.offsetHeight && gap > -1 && gap < 4;
  };
  const broken = (cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size > 1;
  };
  const parts = [...document.querySelectorAll(".card, .scroll, .notice, .field, fieldset, figure")];
  const numbers = [...document.querySelectorAll("td.number")];
  return [...parts.filter(close), ...numbers.filter(broken)].map(said);
}"""
"""Parts of a page that touch what is below them, and numbers that are broken over lines."""
_FOCUSED: Final = """() => {
  const now = document.activeElement;
  return now === document.body ? "" : now.labels?.[0]?.innerText || now.innerText;
}"""


def launch_browser(playwright: Playwright) -> Browser:
    """Launch Debian's Chromium, without a window."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


class Visit:
    """A person's browser at ``address``: a context of its own, whose pages record complaints."""

    def __init__(self, browser: Browser, address: str, **context: Any) -> None:
        given: dict[str, Any] = {
            "locale": "es-MX",
            "viewport": DESK,
            "reduced_motion": "reduce",
            **context,
        }
        self.context: BrowserContext = browser.new_context(base_url=address, **given)
        self.context.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []

    def page(self) -> Page:
        """A new page, or tab, of the browser."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    @contextmanager
    def expecting(self, pattern: str) -> Iterator[None]:
        """Allow the browser, in the block, complaints that match ``pattern`` and no others."""
        before = list(self.complaints)
        yield
        for page in self.context.pages:
            page.wait_for_timeout(200)  # what is complained of arrives after what it is about
        self.complaints = before + [
            said for said in self.complaints[len(before) :] if not re.search(pattern, said)
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(
                f"{message.type}: {message.text} ({message.location.get('url', '')})"
            )


def write_list(page: Page, text: str) -> None:
    """Open Nuevo proceso and write a list."""
    page.goto("/nuevo")
    page.get_by_label("Mostradores", exact=True).fill(text)


def expect_count(page: Page, text: str) -> AbstractContextManager[object]:
    """Wait at the block's end until the page knows how many a list names, or why not."""
    return page.expect_response(
        lambda answer: (
            answer.url.endswith("/nuevo/cuenta")
            and parse_qs(answer.request.post_data or "").get("lista") == [text]
        )
    )


def validate_list(page: Page, text: str) -> None:
    """Write a list and have it validated."""
    write_list(page, text)
    page.get_by_role("button", name="Validar").click()
    expect(page.get_by_role("heading", name="Validación", exact=True)).to_be_visible()


def start_job(page: Page, text: str) -> str:
    """Start a job with a list, as people do; return its id."""
    validate_list(page, text)
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    return job_of(page)


def job_of(page: Page) -> str:
    """The job whose page it is."""
    return page.url.rpartition("/")[2]


def on_a_slow_line(visit: Visit, page: Page) -> None:
    """Have a page come over what browsers call Slow 3G."""
    line = visit.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"latency": 2_000, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    line.send("Network.emulateNetworkConditions", {"offline": False, **slow})


def results_of(job_id: str, *parts: str) -> str:
    """Where a job's results are, or those of one of its mostradores."""
    return "/".join((f"/procesos/{job_id}/resultados", *parts))


def focus_by_tab(page: Page, name: str) -> None:
    """Press Tab until the focus is on what is called ``name``, and seen to be there."""
    for _ in range(60):
        if page.evaluate(_FOCUSED).startswith(name):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "one sees where one is"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached")


def expect_status(page: Page, said: str) -> None:
    """Wait until the page says how the job stands."""
    expect(page.locator("#avance .state .tag")).to_have_text(said)


def expect_accessible(page: Page) -> None:
    """That axe finds nothing on the page as it is."""
    page.evaluate(_AXE)
    found = page.evaluate(_VIOLATIONS)
    assert not found, (page.url, found)


def expect_fitting(page: Page) -> None:
    """That nothing makes the page wider than what shows it."""
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room, page.url


def expect_tidy(page: Page) -> None:
    """That nothing touches what is below it, and every number is on one line."""
    found = page.evaluate(_UNTIDY)
    assert not found, (page.url, found)


def expect_good(page: Page, name: str, look: str) -> None:
    """Check that everybody can use the page; with IPP_SCREENSHOTS set, save a screenshot."""
    expect_accessible(page)
    expect_fitting(page)
    expect_tidy(page)
    if "IPP_SCREENSHOTS" in os.environ:
        _draw(page, PICTURES / f"{name}-{look}.png")


def _draw(page: Page, file: Path) -> None:
    """Draw the page with a palette: a picture of a page needs no more colours."""
    file.parent.mkdir(exist_ok=True)
    page.screenshot(path=file, full_page=True, animations="disabled")
    subprocess.run(
        ["pngquant", "--force", "--skip-if-larger", "--ext", ".png", "--speed", "1", "32", file],
        check=True,
    )
    assert file.stat().st_size < 100_000, file
