"""A job whose time is over, on a real server: what it published is answered as before."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.e2e.server import FIRST, SECOND, Server, ended, serving


@pytest.fixture(scope="module")
def server(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("forgotten") / "home"
    shutil.copytree(chain, home)
    with serving(home) as running:
        yield running


def forget(home: Path, job_id: str) -> None:
    """Take out a job's item, as the sweep does seven days after its last change."""
    (path,) = home.rglob("jobs.sqlite")
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,)).rowcount == 1


def test_what_a_forgotten_job_published_is_answered_as_before(server: Server) -> None:
    with httpx2.Client(base_url=server.address, timeout=60) as client:
        job_id = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]}).json()["job_id"]
        assert ended(client, job_id)["status"] == "COMPLETED"
        results = f"/ipp/results/{job_id}"
        paths = [
            results, f"{results}/rows?mostrador={FIRST}&sort=importe_optimo&order=desc",
            f"{results}/rows?limit=500",
            f"{results}/curve?mostrador={FIRST}", f"{results}/rows?mostrador=1",
            f"{results}/download",
            f"{results}/download?format=xlsx&mostrador={SECOND}",
            f"{results}/download?format=parquet",
        ]  # fmt: skip
        before = [client.get(path) for path in paths]
        forget(server.home, job_id)
        after = [client.get(path) for path in paths]
        assert [answer.status_code for answer in before] == [
            200,
            200,
            200,
            before[3].status_code,
            404,
            200,
            200,
            200,
        ]
        for path, was, now in zip(paths, before, after, strict=True):
            assert (now.status_code, now.content) == (was.status_code, was.content), path
        assert client.get(f"/procesos/{job_id}/resultados/{FIRST}").status_code == 200
        assert client.get(f"/ipp/status/{job_id}").status_code == 404
        assert client.get("/ipp/jobs").json()["jobs"] == []
