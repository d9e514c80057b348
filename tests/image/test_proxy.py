"""The Caddyfile in front of the image: TLS, who asks, streams and large bodies, by a real Caddy."""

from __future__ import annotations

import html
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from typing_extensions import override

from tests.e2e.server import FIRST, SECOND
from tests.image.engine import ROOT, Container
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.waiting import PATIENCE_SECONDS, end_process, wait_until

pytestmark = pytest.mark.image

SITE = "ipp.localhost"
"""The Caddyfile's own name."""

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def authority(server: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Caddy with our Caddyfile before the container; the certificate of its authority."""
    home = tmp_path_factory.mktemp("caddy")
    environment = {"HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    with (home / "log").open("wb") as log:
        caddy = subprocess.Popen(
            ["caddy", "run", "--config", str(ROOT / "infra/container/Caddyfile")],
            env=os.environ | environment | {"IPP_SERVER": "127.0.0.1:8000"},
            stdout=log,
            stderr=log,
        )
    root = home / "caddy/pki/authorities/local/root.crt"
    try:
        wait_until(lambda: root.exists() and answers(root), bool, 60.0)
        yield root
    finally:
        end_process(caddy)


@pytest.fixture
def browser(authority: Path) -> Iterator[httpx2.Client]:
    with open_browser(authority) as client:
        yield client


class LocalTransport(httpx2.HTTPTransport):
    """Find the site on this machine, whatever the resolver says of its name."""

    @override
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host == SITE:
            here = request.url.copy_with(host="127.0.0.1")
            extensions = {**request.extensions, "sni_hostname": SITE}
            request = httpx2.Request(
                request.method,
                here,
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
        return super().handle_request(request)


def open_browser(authority: Path) -> httpx2.Client:
    """A client that trusts the site's authority."""
    trusted = LocalTransport(verify=ssl.create_default_context(cafile=str(authority)))
    here = httpx2.HTTPTransport()
    mounts = {"all://127.0.0.1": here, "all://": trusted}
    return httpx2.Client(base_url=f"https://{SITE}", mounts=mounts, timeout=PATIENCE_SECONDS)


def answers(authority: Path) -> bool:
    try:
        with open_browser(authority) as client:
            return client.get("/healthz").status_code == 200
    except (httpx2.TransportError, ssl.SSLError):
        return False


def sign_in(browser: httpx2.Client, issuer: PretendIssuer) -> None:
    issuer.answers.add(f"https://{SITE}")
    page = browser.get("/procesos", follow_redirects=True)
    (there,) = re.findall(r'class="button primary" href="([^"]+)"', page.text)
    shown = browser.get(html.unescape(there), follow_redirects=True)
    assert (shown.status_code, shown.url.path) == (200, "/procesos")


def test_people_sign_in_through_it(browser: httpx2.Client, issuer: PretendIssuer) -> None:
    sign_in(browser, issuer)
    assert "Ana Peña" in browser.get("/procesos").text
    assert all(cookie.secure for cookie in browser.cookies.jar)


def test_who_comes_without_tls_is_sent_to_it(authority: Path) -> None:
    answer = httpx2.get("http://127.0.0.1/procesos", headers={"Host": SITE})
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{SITE}/procesos")


def test_progress_arrives_while_the_job_runs(
    browser: httpx2.Client, issuer: PretendIssuer, ana: httpx2.Client
) -> None:
    sign_in(browser, issuer)
    answer = ana.post("/ipp/start", json={"mostradores": [FIRST, SECOND]})
    job_id = answer.json()["job_id"]
    statuses: list[str] = []
    with browser.stream("GET", f"/procesos/{job_id}/eventos") as events:
        for line in events.iter_lines():
            if line.startswith("data:") and not statuses:
                statuses.append(ana.get(f"/ipp/status/{job_id}").json()["status"])
    assert statuses
    assert statuses[0] != "COMPLETED"
    assert ana.get(f"/ipp/status/{job_id}").json()["status"] == "COMPLETED"


@pytest.mark.parametrize(("megabytes", "refused"), [(8, False), (10, True)])
def test_a_body_of_a_file_passes_and_none_that_is_larger(
    browser: httpx2.Client, issuer: PretendIssuer, megabytes: int, refused: bool
) -> None:
    sign_in(browser, issuer)
    form = browser.get("/ajustes/importar").text
    (token,) = set(re.findall(r'name="sello" value="([^"]+)"', form))
    answer = browser.post(
        "/ajustes/importar",
        data={"sello": token},
        files={"archivo": ("grande.csv", b"x" * megabytes * MEGABYTE, "text/csv")},
        headers={"Origin": f"https://{SITE}", "Sec-Fetch-Site": "same-origin"},
    )
    arrived = "X-Request-Id" in answer.headers
    assert arrived != refused, (answer.status_code, answer.text[:500])
    assert not refused or answer.status_code in {413, 502}
