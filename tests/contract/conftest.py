"""What the contract tests share: stores of jobs, and a DynamoDB that answers over HTTP."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ipp.jobs.dynamodb import DynamoJobStore, create_table
from ipp.jobs.sqlite import SqliteJobStore

_PATIENCE = 30.0
"""Seconds that the server may take to answer."""

_MOTO = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
"""
"""moto's server, answering one request at a time: it looks at a condition and writes in two steps, DynamoDB in one."""


@pytest.fixture(scope="session")
def dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a server of its own, which this process started on a port that the system chose."""
    log = tmp_path_factory.mktemp("aws") / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", _MOTO],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        client = client_of(_address(server, log))
        yield client
        client.close()
    finally:
        server.terminate()
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="module")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SqliteJobStore]:
    folder, numbers = tmp_path_factory.mktemp("jobs"), itertools.count()
    return lambda: SqliteJobStore(folder / f"{next(numbers)}" / "jobs.sqlite")


@pytest.fixture(scope="module")
def calls(dynamodb: Any) -> Iterator[list[str]]:
    """The operations that were called, by name: none may be one that reads a whole table."""
    called: list[str] = []
    note = lambda model, **_: called.append(model.name)  # noqa: E731
    dynamodb.meta.events.register("before-call.dynamodb", note)
    yield called
    dynamodb.meta.events.unregister("before-call.dynamodb", note)
    assert "Scan" not in called


@pytest.fixture(scope="module")
def new_dynamodb(dynamodb: Any, calls: list[str]) -> Callable[[], DynamoJobStore]:
    def new() -> DynamoJobStore:
        name = f"ipp-jobs-{uuid.uuid4()}"
        create_table(dynamodb, name)
        return DynamoJobStore(dynamodb, name)

    return new


def client_of(address: str) -> Any:
    """A client that never repeats a call, so that a test sees every answer, and goes through no proxy."""
    return boto3.client(
        "dynamodb",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(
            connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=20
        ),
    )


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server says that it listens: it does so once it does."""
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up and server.poll() is None:
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"no server: {log.read_text(errors='replace')}")
