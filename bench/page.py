"""The page in Chromium on loopback: what a first visit weighs, and when its largest part is there to be seen.

    python bench/page.py [VISITS]

Twenty visits of each page unless told otherwise, each by a browser that was never there before, over a made-up chain
with one completed job. Bytes are those over the wire, headers included. Needs Chromium: tests/web/install.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import httpx2
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.server import FIRST, SECOND, ended, serving
from tests.web.browsing import Visit, launched

from measure import IPP, process, show

HEAVIEST, SLOWEST = 60.0, 500.0
"""The targets: KB of a first page over the wire, milliseconds until its largest part is painted."""

LARGEST: Final = """() => new Promise((done) => new PerformanceObserver((list) =>
  done(list.getEntries().at(-1).startTime)).observe({type: "largest-contentful-paint", buffered: true}))"""


class Seen(NamedTuple):
    """A first visit: KB over the wire, milliseconds until the largest part was painted."""

    weight: float
    painted: float


def visited(browser: Browser, address: str, path: str) -> Seen:
    """Visit a page as somebody who was never there."""
    visit = Visit(browser, address)
    page = visit.page()
    line, sizes = visit.context.new_cdp_session(page), list[float]()
    line.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    line.send("Network.enable")
    page.goto(path, wait_until="load")
    painted = page.evaluate(LARGEST)
    page.wait_for_timeout(100)
    visit.context.close()
    return Seen(sum(sizes) / 1_000, painted)


def main(visits: int = 20) -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        home, browser = Path(name) / "home", launched(playwright)
        sample = ("sample", "--mostradores", "4", "--materiales", "200", "--dias", "120")
        process((*IPP, *sample), {"IPP_HOME": str(home)})
        with serving(home) as server, httpx2.Client(base_url=server.address, timeout=30) as client:
            job_id = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]}).json()["job_id"]
            ended(client, job_id)
            for what, path in (("new job", "/nuevo"), ("jobs", "/procesos"), ("a job", f"/procesos/{job_id}")):
                visited(browser, server.address, path)
                seen = [visited(browser, server.address, path) for _ in range(visits)]
                weight, painted = median(each.weight for each in seen), median(each.painted for each in seen)
                show(f"page, {what}: first visit over the wire", weight, "KB", {"target": HEAVIEST})
                show(f"page, {what}: largest contentful paint", painted, "ms", {"target": SLOWEST}, digits=0)
        browser.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
