"""What tests over real processes share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.command import IPP
from tests.e2e.server import Server, run_server
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.web.oidc_issuer import PretendIssuer, run_issuer
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small chain in a home of its own, to be copied.

    By its seed the first and the third counter have a target, and all but the third include every
    group of products.
    """
    home = tmp_path_factory.mktemp("chain") / "home"
    size = ("--mostradores", "4", "--materiales", "200", "--dias", "120", "--semilla", "64")
    subprocess.run(
        [*IPP, "sample", *size],
        env=os.environ | {"IPP_HOME": str(home)}, check=True, capture_output=True,
    )  # fmt: skip
    return home


@pytest.fixture(scope="module")
def server(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server over a copy of the chain, without sign-in."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(chain, home)
    with run_server(home) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as made:
        yield made


@pytest.fixture(scope="module")
def issuer() -> Iterator[PretendIssuer]:
    with run_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def identified(
    chain: Path, issuer: PretendIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a server over a copy of the chain with sign-in at ``issuer``; its log holds no secret."""
    home = tmp_path_factory.mktemp("identified") / "home"
    shutil.copytree(chain, home)
    with run_server(home, IPP_ISSUER=issuer.url, IPP_AUDIENCE=AUDIENCE) as running:
        issuer.answers.add(running.address)
        yield running
    log = running.log.read_text()
    assert '"path": "/entrada"' in log
    assert "eyJ" not in log, "the first letters of every token's header"
    assert "code=" not in log
    assert "state=" not in log
