"""The image, built once, and what every container here shares."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.image import engine
from tests.image.engine import Container, podman, run_command, run_container
from tests.image.private_network import private_network
from tests.unit.server.api import callers
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.web.oidc_issuer import PretendIssuer, run_issuer
from tests.waiting import PATIENCE_SECONDS, wait_until

ADDRESS = "http://127.0.0.1:8000"
"""Where the image's own command listens."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """Build the image, or skip what needs it."""
    if reason := engine.why_not():
        pytest.skip(reason)
    engine.build_image(COMMIT)


@pytest.fixture(scope="module")
def network(image: None) -> Iterator[None]:
    with private_network():
        yield


@pytest.fixture(scope="module")
def data(image: None) -> Iterator[str]:
    """A volume with a small chain, imported by a container."""
    name = "ipp-test-data"
    podman("volume", "rm", "--force", name, check=False)
    podman("volume", "create", name)
    size = ("--mostradores", "4", "--materiales", "200", "--dias", "120", "--semilla", "64")
    run_command(name, "sample", *size)
    yield name
    podman("volume", "rm", "--force", name)


@pytest.fixture(scope="module")
def issuer(network: None) -> Iterator[PretendIssuer]:
    with run_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def environment(issuer: PretendIssuer) -> dict[str, str]:
    """What compose.yaml sets for the server, with our issuer."""
    said: dict[str, Any] = engine.composed("server")["environment"]
    return {
        "IPP_ISSUER": issuer.url,
        "IPP_AUDIENCE": AUDIENCE,
        "FORWARDED_ALLOW_IPS": said["FORWARDED_ALLOW_IPS"],
    }


@pytest.fixture(scope="module")
def server(data: str, environment: dict[str, str]) -> Iterator[Container]:
    """The image's own command over the chain."""
    with run_container("ipp-test-server", "server", data, environment=environment) as container:
        wait_for_answer()
        yield container


@pytest.fixture(scope="module")
def ana(issuer: PretendIssuer) -> Iterator[httpx2.Client]:
    now = int(time.time())
    token = callers.sign_token(
        {"iss": issuer.url, "sub": "ana", "iat": now, "exp": now + 3_600}, kid="r"
    )
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=ADDRESS, headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client


def wait_for_answer() -> None:
    """Wait until a server answers at the image's port."""

    def answers() -> bool:
        try:
            return httpx2.get(f"{ADDRESS}/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    wait_until(answers, bool)
