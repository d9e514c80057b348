"""A page on this machine, and one whose people sign in at an issuer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.server.web import site
from tests.unit.server.api.conftest import build_application
from tests.unit.server.web.oidc_issuer import PretendIssuer, run_issuer
from tests.unit.server.web.sign_in_flow import open_browser


def build_site(folder: Path) -> FastAPI:
    """Build an application with its pages, for people at this machine."""
    app = build_application(folder)
    site.install_pages(app, app.state.scratch)
    return app


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with run_issuer() as made:
        yield made


@pytest.fixture
def browser(issuer: PretendIssuer, tmp_path: Path) -> Iterator[TestClient]:
    with open_browser(issuer, tmp_path) as client:
        yield client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """Mostradores 1 (Ánimas) and 2 (Centro) have a configuration, 3 (no name) and 12 (Sur) none."""
    with TestClient(build_site(tmp_path), headers={"accept-language": "es"}) as client:
        client.post(
            "/configuraciones", json={"mostrador": 1, "incluye_otc": False}
        ).raise_for_status()
        two = {"mostrador": 2, "tipo_inventario": "IPP", "monto_deseado": 950_000}
        client.post("/configuraciones", json=two).raise_for_status()
        yield client
