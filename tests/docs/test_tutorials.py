"""The commands of the tutorials and READMEs run as they are written, in an empty home."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.server import run_server

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
LIMIT_SECONDS = 300

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def shell_blocks(document: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def run_shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``script`` in ``folder`` as somebody would who has just installed IPP."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IPP_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail"],
        check=False,
        input=script,
        cwd=folder,
        env={**kept, "HOME": str(folder), "PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )


@pytest.mark.long
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_from_its_first_command_to_its_last(tutorial: Path, tmp_path: Path) -> None:
    port = free_port()
    script = "\n".join(shell_blocks(tutorial)).replace("localhost:8000", f"localhost:{port}")
    script = script.replace("ipp serve &", f"ipp serve --port {port} &")
    ran = run_shell(f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}", tmp_path)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "urn:ipp:problema" not in ran.stdout, ran.stdout


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over the chain that ``ipp sample`` makes up."""
    folder = tmp_path_factory.mktemp("sampled")
    made = run_shell("IPP_HOME=$PWD/home ipp sample --materiales 200 --dias 60", folder)
    assert made.returncode == 0, made.stderr
    with run_server(folder / "home") as server:
        yield server.address


@pytest.mark.parametrize("name", ["README.md", "README.es.md", "docs/how-to/serve.md"])
def test_every_request_in_a_document_succeeds(name: str, address: str, tmp_path: Path) -> None:
    requests = re.findall(r"^curl .*", "\n".join(shell_blocks(ROOT / name)), re.MULTILINE)
    assert requests
    for request in requests:
        sent = request.replace("localhost:8000", address.removeprefix("http://"))
        ran = run_shell(sent.replace("curl ", "curl --silent --fail-with-body ", 1), tmp_path)
        assert ran.returncode == 0, (request, ran.stdout)


def test_the_operations_are_those_of_the_description(address: str) -> None:
    text = (ROOT / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z]+ /\S*)` \|", text, re.MULTILINE)
    described = httpx2.get(f"{address}/openapi.json").json()["paths"]
    assert sorted(listed) == sorted(
        f"{method.upper()} {path}" for path, methods in described.items() for method in methods
    )
