"""The page on loopback: weight and LCP of a first visit in Chromium, time of counters and tables.

    python bench/page.py [VISITS] [ASKED]

Twenty visits of each page unless told otherwise, each by a browser that was never there before,
over a made-up chain with one completed job. Bytes are those over the wire, headers included. Needs
Chromium: tests/web/install.

A mostrador's page, its charts included, is asked of five servers that have just started, and then
of the last of them 30 times more. The same for one of its products, whose page reads a year of
sales.

The table is of one mostrador with 50,000 products that a job published. A page of 100 of them is
asked for as htmx does, 100 times in each way unless told otherwise, the ways in turn, from the
request to the last byte of the answer.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

import httpx2
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.server import FIRST, SECOND, run_server, wait_for_end
from tests.web.browser import Visit, launch_browser

from ipp.server.api.row_routes import DEFAULT_PAGE_ROWS
from ipp.server.web.page import HTMX_REQUEST_HEADER
from measure import IPP, print_figure, run_process

HEAVIEST, SLOWEST = 60.0, 500.0
"""The targets: KB of a first page over the wire, milliseconds until its largest part is painted."""

PROMPT: Final = 30.0
"""The target: milliseconds of a page of the table."""

COLD, WARM = 600.0, 150.0
"""The targets: milliseconds of a mostrador's page, the first of a server and any other."""

FRESH, ASKED_AGAIN = 5, 30
"""Servers started for a page, and how often the last is asked again."""

PRODUCTS: Final = 50_000

WAYS: Final[Mapping[str, Mapping[str, str]]] = {
    "sorted by money": {"orden": "importe_optimo"},
    "sorted by name": {"orden": "descripcion", "sentido": "asc"},
    "page 300 of 500": {"orden": "precio", "pagina": "300"},
    "a word searched for": {"busca": "tab"},
    "one category": {"categoria": "GG"},
}
"""What is asked of the table, by a name."""

LARGEST: Final = """() => new Promise((done) => new PerformanceObserver((list) =>
  done(list.getEntries().at(-1).startTime)).observe(\
{type: "largest-contentful-paint", buffered: true}))"""


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


def visits_of_pages(visits: int) -> None:
    """The figures of first visits."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        home, browser = Path(name) / "home", launch_browser(playwright)
        sample = ("sample", "--mostradores", "4", "--materiales", "200", "--dias", "120")
        run_process((*IPP, *sample), {"IPP_HOME": str(home)})
        with (
            run_server(home) as server,
            httpx2.Client(base_url=server.address, timeout=30) as client,
        ):
            job_id = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]}).json()[
                "job_id"
            ]
            wait_for_end(client, job_id)
            for what, path in (
                ("new job", "/nuevo"),
                ("jobs", "/procesos"),
                ("a job", f"/procesos/{job_id}"),
            ):
                visited(browser, server.address, path)
                seen = [visited(browser, server.address, path) for _ in range(visits)]
                weight, painted = (
                    median(each.weight for each in seen),
                    median(each.painted for each in seen),
                )
                print_figure(
                    f"page, {what}: first visit over the wire", weight, "KB", {"target": HEAVIEST}
                )
                print_figure(
                    f"page, {what}: largest contentful paint",
                    painted,
                    "ms",
                    {"target": SLOWEST},
                    digits=0,
                )
        browser.close()


def pages_of_a_counter() -> None:
    """The figures of mostradores of both models and of a product, and what serving them takes."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        sample = ("sample", "--mostradores", "4", "--materiales", "4000", "--dias", "365")
        run_process((*IPP, *sample), {"IPP_HOME": str(home)})
        with (
            run_server(home) as server,
            httpx2.Client(base_url=server.address, timeout=60) as client,
        ):
            body = {"mostradores": [FIRST, SECOND]}
            job_id = client.post("/ipp/start", json=body).json()["job_id"]
            wait_for_end(client, job_id, seconds=600)
            where = f"/procesos/{job_id}/resultados"
            product = re.findall(r"/productos/\d+", client.get(f"{where}/{FIRST}").text)[0]
        for what, path in (
            ("a mostrador of 4,000 products, SPP", f"{where}/{FIRST}"),
            ("a mostrador of 4,000 products, IPP", f"{where}/{SECOND}"),
            ("a product with a year of sales", f"{where}/{FIRST}{product}"),
        ):
            _show_page(home, what, path)


def _show_page(home: Path, what: str, path: str) -> None:
    first, again = list[float](), list[float]()
    for _ in range(FRESH):
        with (
            run_server(home) as server,
            httpx2.Client(base_url=server.address, timeout=60) as client,
        ):
            before = _resident_megabytes(server.pid)
            first.append(_milliseconds(client, path))
            again = [_milliseconds(client, path) for _ in range(ASKED_AGAIN)]
            after = _resident_megabytes(server.pid)
    print_figure(
        f"page, {what}: the first of a server", median(first), "ms", {"target": COLD}, digits=0
    )
    print_figure(f"page, {what}: median", median(again), "ms", {"target": WARM}, digits=0)
    print_figure(f"page, {what}: memory of the server", after, "MB", {"before": before}, digits=0)


def _milliseconds(client: httpx2.Client, path: str) -> float:
    """Time from a request to the last byte of its answer."""
    start = time.perf_counter()
    client.get(path).raise_for_status()
    return 1e3 * (time.perf_counter() - start)


def _resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def pages_of_a_table(asked: int) -> None:
    """The figures of the table."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        sample = ("sample", "--mostradores", "1", "--materiales", str(PRODUCTS), "--dias", "90")
        run_process((*IPP, *sample), {"IPP_HOME": str(home)})
        with (
            run_server(home) as server,
            httpx2.Client(base_url=server.address, timeout=60) as client,
        ):
            (mostrador,) = client.post("/ipp/validate-clients").json()["validClients"]
            job_id = client.post("/ipp/start", json={"mostradores": [mostrador]}).json()["job_id"]
            wait_for_end(client, job_id, seconds=600)
            address = f"/procesos/{job_id}/resultados/{mostrador}"
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(asked + 1):
                for way, words in WAYS.items():
                    start = time.perf_counter()
                    answer = client.get(
                        address, params=words, headers={HTMX_REQUEST_HEADER: "true"}
                    ).raise_for_status()
                    taken[way].append(1e3 * (time.perf_counter() - start))
                    assert answer.text.count("/productos/") == 2 * DEFAULT_PAGE_ROWS, way
            for way, each in taken.items():
                known = each[1:]  # the first of each is not counted
                what = f"page, {DEFAULT_PAGE_ROWS} of {PRODUCTS:,} products, {way}"
                print_figure(f"{what}: median", median(known), "ms", {"target": PROMPT})
                print_figure(
                    f"{what}: 95th percentile", quantiles(known, n=20)[-1], "ms", {"target": PROMPT}
                )


def main(visits: int = 20, asked: int = 100) -> None:
    visits_of_pages(visits)
    pages_of_a_counter()
    pages_of_a_table(asked)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
