"""What is asked while a disk, a database or a table fails is answered 503, and later as ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from ipp.errors import UnavailableError
from ipp.jobs import sqlite_job_store
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.server.api.problem_response import install_problem_handlers
from ipp.server.api.request_log import RequestLog
from ipp.server.web import site
from tests.unit.jobs.job_builder import NOW, build_job
from tests.unit.server.api.conftest import DONE, build_application, store_configurations
from tests.unit.server.api.test_databricks_problems import ASKS

PAGES = (
    "/ajustes",
    "/ajustes/1",
    f"/resultados/{DONE}",
    f"/resultados/{DONE}/7051602",
    f"/resultados/{DONE}/7051602/1001",
)


def check_unavailable(answer: Response) -> None:
    """It says in Spanish that it may pass, and shows nothing of what is inside."""
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "No se pudo leer o escribir" in answer.text
    for inside in ("Traceback", "\x1b", "panicked", ".parquet", ".rs", "src/"):
        assert inside not in answer.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    app = build_application(folder)
    store_configurations(app)
    site.install_pages(app, app.state.scratch)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def garble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3 :] = bytes(byte ^ 0x55 for byte in content[len(content) // 3 :])
    file.write_bytes(content)


def garble_pages(file: Path) -> None:
    """Leave the footer, which is read first, as it is."""
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 3] = bytes(byte ^ 0x55 for byte in content[4 : len(content) // 3])
    file.write_bytes(content)


@pytest.mark.parametrize("spoil", [truncate, garble, garble_pages, Path.unlink])
def test_a_table_that_is_damaged_is_no_error_of_the_server(
    client: TestClient, folder: Path, spoil: Callable[[Path], None]
) -> None:
    files = [*(folder / "lakehouse").rglob("*.parquet")]
    assert files
    for file in files:
        spoil(file)
    refused = 0
    for method, path, body in ASKS.values():
        answer = client.request(method, path, json=body)
        assert answer.status_code != 500, (method, path)
        if answer.status_code == 503:
            assert answer.headers["content-type"] == "application/problem+json"
            check_unavailable(answer)
            refused += 1
    assert refused >= len(ASKS) // 2
    for path in PAGES:
        answer = client.get(path, headers={"sec-fetch-mode": "navigate", "accept-language": "es"})
        assert answer.status_code != 500, path
        if answer.status_code == 503:
            assert answer.headers["content-type"].startswith("text/html")
            check_unavailable(answer)
    assert client.get("/healthz").status_code == 200


def test_a_download_of_a_damaged_table_is_refused_before_it_begins(
    client: TestClient, folder: Path
) -> None:
    for file in (folder / "lakehouse").rglob("*.parquet"):
        garble_pages(file)
    for kind in ("csv", "xlsx", "parquet"):
        check_unavailable(client.get(f"/ipp/results/{DONE}/download?format={kind}"))


def test_a_locked_store_is_waited_for_and_then_unavailable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_job_store, "_BUSY_TIMEOUT_SECONDS", 0.05)
    path = folder / "jobs.sqlite"
    store = SqliteJobStore(path)
    assert store.create_job(build_job("ipp-1"), NOW)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="otro proceso la está usando") as error:
            store.create_job(build_job("ipp-2"), NOW)
        assert error.value.retry_after == 5
        assert store.get_job("ipp-1", NOW) is not None, "readers do not wait"
        other.rollback()
    assert store.create_job(build_job("ipp-2"), NOW)


def test_a_full_disk_is_unavailable(folder: Path) -> None:
    store = SqliteJobStore(folder / "jobs.sqlite")
    assert store.create_job(build_job("ipp-1"), NOW)
    with store._file.connection() as db:  # the one that the next call takes from the pool
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UnavailableError, match="el disco está lleno"):
        for number in range(2, 200):
            store.create_job(build_job(f"ipp-{number}"), NOW)
    assert store.get_job("ipp-1", NOW) is not None


class Counts:
    """Counts nothing."""

    def count_request(self, scope: Any, status: int, seconds: float) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (pl.exceptions.PanicException("\x1b[31mcalled `Option::unwrap()`"), 503),
        (OSError(28, "No space left on device"), 503),
        (MemoryError(), 503),
        (pl.exceptions.ComputeError("write failed: No space left on device (os error 28)"), 503),
        (ValueError("a fault of ours"), 500),
    ],
)
def test_whatever_a_route_raises_is_answered_as_a_problem(
    error: BaseException, status: int
) -> None:
    def fail(request: Request) -> None:
        raise error

    async def fail_in_the_loop(request: Request) -> None:
        raise error

    app: Any = Starlette(routes=[Route("/a", fail), Route("/b", fail_in_the_loop)])
    install_problem_handlers(app)
    app.add_middleware(RequestLog, counts=Counts())
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/a", "/b"):
            answer = client.get(path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert ("retry-after" in answer.headers) == (status == 503)
            assert "unwrap" not in answer.text
            assert "\x1b" not in answer.text
