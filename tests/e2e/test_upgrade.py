"""A home of the release before goes on with this one, and with that one again."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx2
import pytest

from ipp.core.tables import RESULTS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.e2e.command import IPP
from tests.e2e.server import FIRST, SECOND, Server, find_stages, run_server, wait_for_end
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT: Final = Path(__file__).parents[2]

EARLIER_COMMIT: Final = "f4ddcc9076bef609a0f52a21df4067b98d59b4f9"
"""The code as it was on 30 November 2026, which stands for a release while none has a tag."""

Environment = Mapping[str, str]

NOW: Final[Environment] = {}
"""The environment of this release."""

MATERIALS: Final = 60
SIZE: Final = ("--materiales", str(MATERIALS), "--dias", "60")
ROWS: Final = 2 * MATERIALS
"""Rows of a job of two counters."""


def run_git(*arguments: str) -> bytes:
    """Return what git answers. Raises CalledProcessError or FileNotFoundError."""
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], check=True, capture_output=True
    ).stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment of the last release with a tag before this commit, or of that commit."""
    folder = tmp_path_factory.mktemp("earlier")
    try:
        tag = run_git("tag", "--merged", "HEAD~", "--sort=-creatordate", "v*").decode().split()
        source = run_git("archive", tag[0] if tag else EARLIER_COMMIT, "src")
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("the repository's history is not here")
    with tarfile.open(fileobj=io.BytesIO(source)) as archive:
        archive.extractall(folder, filter="data")
    environment = {"PYTHONPATH": str(folder / "src")}
    code = [sys.executable, "-c", "import ipp; print(ipp.__file__)"]
    shown = subprocess.run(code, env=os.environ | environment, check=True, capture_output=True)
    assert shown.stdout.decode().startswith(str(folder))
    return environment


def run_command(home: Path, release: Environment, *arguments: str) -> str:
    done = subprocess.run(
        [*IPP, *arguments],
        env=os.environ | release | {"IPP_HOME": str(home)},
        check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_job(home: Path, release: Environment, *until: str) -> None:
    """Start a job, and kill it in the stage ``until``; without one, let it end."""
    process = subprocess.Popen(
        [*IPP, "run", "--mostradores", f"{FIRST},{SECOND}"],
        env=os.environ | release | {"IPP_HOME": str(home)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if until and f'"etapa": "{until[0]}"' in line:
            process.kill()
            break
    process.stderr.close()
    assert (process.wait() == 0) == (not until), said


def begin_job(client: httpx2.Client) -> str:
    answer = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def check_release(server: Server, rows: int) -> set[str]:
    """Its list works, every job in it ends, and has its ``rows``; return the jobs."""
    with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client:
        jobs = {job["job_id"] for job in client.get("/ipp/jobs").json()["jobs"]}
        for job_id in jobs:
            assert wait_for_end(client, job_id)["status"] == "COMPLETED"
            assert client.get(f"/ipp/results/{job_id}").status_code == 200
            page = client.get(f"/ipp/results/{job_id}/rows?mostrador={FIRST}&limit=1")
            assert page.status_code == 200, page.text
        counts = (
            DeltaLakehouse(server.home / "lakehouse")
            .scan_table(RESULTS).group_by("job_id").len().collect()
        )  # fmt: skip
    assert dict(counts.iter_rows()) == dict.fromkeys(jobs, rows)
    return jobs


@pytest.mark.parametrize(
    "stage",
    [
        "factor",
        pytest.param("normalizador", marks=pytest.mark.long),
        pytest.param("publicacion", marks=pytest.mark.long),
    ],
)
def test_a_home_goes_up_one_release_and_down_again(
    earlier: Environment, tmp_path: Path, stage: str
) -> None:
    """In each release a job is killed in a stage, and the other release goes on with it."""
    home, folder = tmp_path / "home", tmp_path / "backup"
    run_command(home, earlier, "sample", "--mostradores", "4", *SIZE)
    start_job(home, earlier)
    start_job(home, earlier, stage)
    with run_server(home) as server:
        assert len(check_release(server, ROWS)) == 2
        with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client:
            begun = begin_job(client)
        wait_until(lambda: stage in {seen.stage for seen in find_stages(home).values()}, bool)
        server.kill()
    run_command(home, NOW, "backup", str(folder))
    shutil.rmtree(home)
    run_command(home, NOW, "restore", str(folder))
    listed = json.loads(run_command(home, earlier, "results", "--json"))
    assert next(job["job_id"] for job in listed) == begun
    with run_server(home, **earlier) as server:
        assert len(check_release(server, ROWS)) == 3
