"""What the contract tests share: stores of jobs, and an AWS that answers over HTTP."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ipp.jobs.dynamodb_job_store import DynamoJobStore
from ipp.jobs.dynamodb_table import create_table
from ipp.jobs.sqlite_job_store import SqliteJobStore
from tests.cloud.aws import client_of, run_moto


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a server that this process started on a free port."""
    with run_moto(tmp_path_factory.mktemp("aws")) as address:
        yield address


@pytest.fixture(scope="session")
def dynamodb(aws: str) -> Iterator[Any]:
    client = client_of(aws, "dynamodb")
    yield client
    client.close()


@pytest.fixture(scope="module")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SqliteJobStore]:
    folder, numbers = tmp_path_factory.mktemp("jobs"), itertools.count()
    return lambda: SqliteJobStore(folder / f"{next(numbers)}" / "jobs.sqlite")


@pytest.fixture(scope="module")
def calls(dynamodb: Any) -> Iterator[list[str]]:
    """The operations that were called, by name: none may be one that reads a whole table."""
    called: list[str] = []

    def note(model: Any, **_: Any) -> None:
        called.append(model.name)

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
