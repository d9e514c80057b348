"""What runs needs the packages of requirements/runtime.txt and no others."""

from __future__ import annotations

import re
import shutil
import subprocess
import venv
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx2
import pytest

from tests.e2e.command import IPP
from tests.e2e.server import FIRST, run_server, wait_for_end

LOCK = Path(__file__).parents[2] / "requirements" / "runtime.txt"


def link_distribution(name: str, folder: Path) -> None:
    """Make ``folder`` hold links to the files of a distribution that is installed here."""
    for file in distribution(name).files or ():
        if file.parts[0] == ".." or "__pycache__" in file.parts:
            continue
        link, source = folder / file, Path(str(file.locate()))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
        compiled = source.parent / "__pycache__"
        if compiled.is_dir() and not (link.parent / "__pycache__").exists():
            (link.parent / "__pycache__").symlink_to(compiled)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the interpreter of an environment that holds the runtime lock's packages and ours."""
    environment = tmp_path_factory.mktemp("runtime") / "venv"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    for name in set(re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)):
        with suppress(PackageNotFoundError):  # another system's or another Python's
            link_distribution(name, packages)
    link_distribution("ipp", packages)
    return str(environment / "bin" / "python")


@pytest.fixture
def ipp(python: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    command = [python, *IPP[1:]]
    monkeypatch.setattr("tests.e2e.server.IPP", command)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return command


def test_the_environment_has_nothing_of_the_development_lock(python: str) -> None:
    seen = subprocess.run(
        [python, "-c",
         "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "polars" in seen.stdout.split()
    assert {"pytest", "boto3", "pyspark", "httpx2"}.isdisjoint(seen.stdout.split())


def test_the_sample_the_process_and_the_exports(
    ipp: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPP_HOME", str(tmp_path / "home"))
    for arguments in (
        ["sample", "--mostradores", "3", "--materiales", "60", "--dias", "90"],
        ["run", "--todos"],
        ["results"],
    ):
        done = subprocess.run([*ipp, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (job,) = re.findall(r"ipp-\w{6}-\w{6}", done.stdout)
    out = tmp_path / "out.xlsx"
    subprocess.run([*ipp, "results", job, "--salida", str(out)], capture_output=True, check=True)
    assert out.stat().st_size > 0


def test_the_server_its_page_and_a_job(ipp: list[str], chain: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(chain, home)
    with (
        run_server(home) as running,
        httpx2.Client(base_url=running.address, timeout=600) as client,
    ):
        assert client.get("/", follow_redirects=True).status_code == 200
        assert client.get("/openapi.json").status_code == 200
        job_id = client.post("/ipp/start", json={"mostradores": [FIRST]}).json()["job_id"]
        assert wait_for_end(client, job_id, seconds=600)["status"] == "COMPLETED"
