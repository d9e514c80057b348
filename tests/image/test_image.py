"""The image of the Dockerfile, run by an engine, as restricted as compose.yaml says."""

from __future__ import annotations

import importlib.metadata
import json
import re
import signal
import tomllib

import httpx2
import pytest
from packaging.requirements import Requirement

from tests.e2e.server import FIRST, SECOND, wait_for_end
from tests.image.conftest import COMMIT, wait_for_answer
from tests.image.engine import (
    IMAGE,
    ROOT,
    Container,
    inspect_image,
    podman,
    run_command,
    run_container,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.image

ENDED_BY_REQUEST = 128 + signal.SIGTERM
"""The status of a command that was asked to end, and did."""


def run_shell(script: str) -> str:
    """What a shell in the image prints, as the image's own person."""
    words = ("--network", "none", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
    return podman("run", "--rm", *words, "--entrypoint", "sh", IMAGE, "-c", script).stdout


def test_it_says_what_it_is_and_runs_as_nobody_of_the_machine() -> None:
    described = inspect_image()
    config = described["Config"]
    assert config["User"] == "10001:10001"
    assert (config["Entrypoint"], config["Cmd"]) == (["ipp"], ["serve", "--host", "0.0.0.0"])
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == ["/data"]
    assert "/healthz" in described["Healthcheck"]["Test"][-1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = {name.rpartition(".")[2]: said for name, said in config["Labels"].items()}
    assert (labels["version"], labels["revision"]) == (project["version"], COMMIT)
    assert labels["licenses"] == project["license"]


def test_it_holds_the_lock_and_nothing_that_builds() -> None:
    listing = "{d.name: d.version for d in importlib.metadata.distributions()}"
    printed = run_shell(
        f"python -c 'import importlib.metadata, json; print(json.dumps({listing}))'"
    )
    installed = {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in json.loads(printed).items()
    }
    lock = (ROOT / "requirements" / "image.txt").read_text(encoding="utf-8")
    # Markers are asked of this Python, which is the image's.
    lines = map(Requirement, re.findall(r"^[\w.-]+==[^\\\n]+", lock, re.MULTILINE))
    pinned = {line.name: line for line in lines if not line.marker or line.marker.evaluate()}
    assert installed.pop("ipp") == importlib.metadata.version("ipp")
    assert installed.keys() == pinned.keys()
    for name, version in installed.items():
        assert pinned[name].specifier.contains(version), name
    builders = "for name in cc gcc c++ make pip; do command -v $name; done"
    left = "ls -d /root/.cache /src /build /dist /opt/ipp/bin/pip* 2>/dev/null"
    assert not run_shell(f"{builders}; {left}; true")


def test_without_an_issuer_it_opens_no_door(data: str) -> None:
    with run_container("ipp-test-open", "server", data, network="none") as container:
        assert container.status() == 2
        assert "IPP_ISSUER" in container.log()


def test_it_has_no_right_but_to_write_its_data(server: Container) -> None:
    said = server.execute("cat", "/proc/self/status").stdout
    rights = dict(re.findall(r"^(\w+):\s+(.*)$", said, re.MULTILINE))
    assert rights["Uid"].split() == ["10001"] * 4
    assert {int(rights[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {0}
    assert rights["NoNewPrivs"] == "1"
    for folder in ("/", "/opt/ipp", "/home", "/var/tmp"):
        refused = server.execute("touch", f"{folder}/written")
        assert "Read-only file system" in refused.stderr, folder
    for folder in ("/data", "/tmp"):
        assert server.execute("touch", f"{folder}/written").returncode == 0, folder
    assert server.execute("rm", "/data/written").returncode == 0
    assert server.execute("stat", "--format=%a", "/data").stdout.strip() == "700"


def test_a_job_goes_from_the_sample_to_its_results(server: Container, ana: httpx2.Client) -> None:
    assert server.is_healthy()
    job_id = start_job(ana)
    assert wait_for_end(ana, job_id)["status"] == "COMPLETED"
    rows = ana.get(f"/ipp/results/{job_id}/rows", params={"limit": 500}).json()["rows"]
    assert {row["mostrador"] for row in rows} == {FIRST, SECOND}
    download = ana.get(f"/ipp/results/{job_id}/download", follow_redirects=True)
    assert (download.status_code, len(download.content) > 1_000) == (200, True)


def test_asked_to_end_it_gives_its_job_back_and_goes_on_after_the_start(
    server: Container, ana: httpx2.Client
) -> None:
    job_id = start_job(ana)
    assert server.stop() == ENDED_BY_REQUEST, server.log()
    server.start_again()
    wait_for_answer()
    assert wait_for_end(ana, job_id)["status"] == "COMPLETED"
    assert "Traceback" not in server.log()


def test_a_worker_in_another_container_takes_over_from_a_killed_server(
    server: Container, ana: httpx2.Client, data: str
) -> None:
    job_id = start_job(ana)
    server.kill()
    with run_container("ipp-test-worker", "worker", data, ["worker"], network="none") as worker:
        wait_until(lambda: status_of(data, job_id), {"COMPLETED", "FAILED"}.__contains__)
        assert status_of(data, job_id) == "COMPLETED"
        assert worker.stop() == 0, worker.log()
    server.start_again()
    wait_for_answer()
    assert ana.get(f"/ipp/status/{job_id}").json()["status"] == "COMPLETED"


def start_job(client: httpx2.Client) -> str:
    answer = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def status_of(data: str, job_id: str) -> str:
    """A job's status, as a command in a container of its own reads it."""
    jobs = json.loads(run_command(data, "results", "--json"))
    (status,) = (job["status"] for job in jobs if job["job_id"] == job_id)
    return str(status)
