"""``ipp serve --nube``: what it needs to start, and what it leaves to others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx2
import pytest

from ipp.entrypoints.exit_status import FAILED, INTERRUPTED, INVALID
from ipp.jobs.job import JobStatus
from ipp.server.api.claims import Role
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.cloud.stack import USER, Stack, run_in
from tests.e2e.command import IPP
from tests.e2e.server import Server
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.web.oidc_issuer import PretendIssuer, run_issuer
from tests.waiting import PATIENCE_SECONDS

NEEDED = (
    "IPP_ISSUER", "IPP_AUDIENCE", "IPP_JOBS_TABLE", "IPP_RAW_BUCKET", "IPP_PROCESSED_BUCKET",
    "DATABRICKS_WORKSPACE_URL", "DATABRICKS_JOB1_ID", "DATABRICKS_FACTOR_JOB_ID",
    "DATABRICKS_JOB2_ID", "DATABRICKS_WAREHOUSE_ID",
)  # fmt: skip

IMPORTED = """
import sys
from ipp.entrypoints import cloud_server
print(*sorted({name.partition(".")[0] for name in sys.modules}))
print(*sorted(name for name in sys.modules if name.startswith("ipp.pipeline.runners")))
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[PretendIssuer]:
    with run_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def workspace() -> Iterator[Scripted]:
    with serve_script(Say(500)) as made:
        yield made


@pytest.fixture(scope="module")
def environ(deployed: Stack, issuer: PretendIssuer, workspace: Scripted) -> dict[str, str]:
    signing = {"IPP_ISSUER": issuer.url, "IPP_AUDIENCE": AUDIENCE, "HOME": "/nowhere"}
    return deployed.settings(workspace.url) | signing


def refused(environ: Mapping[str, str], status: int = INVALID, program: Sequence[str] = IPP) -> str:
    """What a server says that does not start."""
    ended = subprocess.run(
        [*program, "serve", "--nube", "--port", "0"],
        env=environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == status, ended
    assert "Traceback" not in ended.stderr
    return " ".join(ended.stderr.split())


@pytest.mark.parametrize("gone", [[NEEDED[0]], [NEEDED[2], NEEDED[5]], NEEDED])
def test_what_is_not_set_is_named_at_the_start(environ: dict[str, str], gone: list[str]) -> None:
    said = refused({name: value for name, value in environ.items() if name not in gone})
    assert f"Falta fijar {', '.join(name for name in NEEDED if name in gone)}." in said


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ({"DATABRICKS_ACCESS_TOKEN"}, "DATABRICKS_SECRET"),
        ({"AWS_REGION", "AWS_DEFAULT_REGION"}, "AWS_REGION"),
    ],
)
def test_a_credential_and_a_region_are_needed_too(
    environ: dict[str, str], gone: set[str], named: str
) -> None:
    said = refused({name: value for name, value in environ.items() if name not in gone})
    assert f"Falta fijar {named}." in said


def test_a_secret_that_is_not_there_is_told(environ: dict[str, str]) -> None:
    secret = {"DATABRICKS_ACCESS_TOKEN": "", "DATABRICKS_SECRET": "secretsmanager:nadie"}
    assert "El secreto de Databricks no respondió" in refused(environ | secret, FAILED)


@pytest.mark.parametrize("gone", ["boto3", "httpx2"])
def test_a_library_that_is_not_installed_is_named(environ: dict[str, str], gone: str) -> None:
    without = f"import sys; sys.modules[{gone!r}] = None; from ipp.cli import main; main()"
    said = refused(environ, program=[sys.executable, "-c", without])
    assert f"Falta instalar {gone}, que --nube necesita." in said


def test_nothing_that_runs_stages_is_imported() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, env=os.environ
    )
    modules, runners = ran.stdout.split("\n")[:2]
    assert "boto3" in modules.split()
    assert "pyspark" not in modules.split()
    assert runners == ""


def test_a_status_settles_when_it_is_read_and_the_log_holds_no_secret(
    environ: dict[str, str],
    issuer: PretendIssuer,
    deployed: Stack,
    workspace: Scripted,
    tmp_path: Path,
) -> None:
    server = Server(tmp_path / "home", environ, "--nube")
    server.start()
    try:
        job = deployed.put(JobStatus.JOB1_RUNNING, running="4711")
        token, admin = issuer.token_of(USER.sub), issuer.token_of("jefa", Role.ADMIN)
        workspace.script[:] = [run_in("TERMINATED", "CANCELED")]
        with httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client:
            headers = {"Authorization": f"Bearer {token}"}
            assert client.get(f"/ipp/status/{job.job_id}").status_code == 401
            found = client.get(f"/ipp/status/{job.job_id}", headers=headers).json()
            assert found["status"] == "FAILED"
            assert '"FailedJobs":[1' in server.read_line().replace(" ", "")
            metrics = client.get("/metrics", headers={"Authorization": f"Bearer {admin}"}).text
            assert 'ipp_jobs_total{status="FAILED"} 1.0' in metrics
    finally:
        assert server.stop() == INTERRUPTED
    assert not (tmp_path / "home").exists(), "it writes nothing on this machine but what passes"
    log = server.log.read_text()
    assert token.partition(".")[0] not in log
    assert environ["DATABRICKS_ACCESS_TOKEN"] not in log
