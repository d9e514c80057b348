"""The running server held to its own description, by every check that schemathesis has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.e2e.command import IPP
from tests.e2e.server import FIRST, run_server, wait_for_end
from tests.waiting import PATIENCE_SECONDS

CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_the_server_does_what_its_description_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPP_MAX_JOBS", "1000")
    home = tmp_path / "home"
    subprocess.run(
        [*IPP, "sample", "--mostradores", "3", "--materiales", "60", "--dias", "60"],
        env=os.environ | {"IPP_HOME": str(home)}, check=True, capture_output=True,
    )  # fmt: skip
    command = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert command is not None
    with (
        run_server(home) as server,
        httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client,
    ):
        job_id = client.post("/ipp/start", json={"mostradores": [FIRST]}).json()["job_id"]
        config = tmp_path / CONFIG.name
        config.write_text(CONFIG.read_text().replace("JOB_ID", job_id))
        assert wait_for_end(client, job_id)["status"] == "COMPLETED"
        done = subprocess.run(
            [
                command, "--config-file", str(config), "run",
                f"{server.address}/openapi.json", "--checks", "all", "--max-examples", "15",
                "--seed", "7",
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6_000:]
    assert "Traceback" not in (tmp_path / "home.log").read_text()
