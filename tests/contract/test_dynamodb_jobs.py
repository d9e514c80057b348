"""What only the DynamoDB store promises: its requests, and its behaviour under lag and load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ipp.errors import UnavailableError
from ipp.jobs import dynamodb_job_store as module
from ipp.jobs.dynamodb_job_store import DynamoJobStore, MissingTableError
from ipp.jobs.dynamodb_table import TABLE_INDEXES, create_table
from ipp.jobs.job import JobStatus
from tests.cloud.aws import client_of
from tests.contract.jobs import NOW, build_job


@pytest.fixture
def store(new_dynamodb: Callable[[], DynamoJobStore]) -> DynamoJobStore:
    return new_dynamodb()


@contextmanager
def after(client: Any, operation: str, act: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """Let ``act`` at every answer to an operation before the store sees it."""
    event = f"after-call.dynamodb.{operation}"

    def handler(parsed: dict[str, Any], **_: object) -> None:
        act(parsed)

    client.meta.events.register(event, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(event, handler)


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        (
            "http://127.0.0.1:9",
            UnavailableError,
            r"DynamoDB no respondió \(EndpointConnectionError\)",
        ),
        ("", MissingTableError, r"No existe la tabla .* IPP_JOBS_TABLE"),
    ],
)
def test_a_table_that_cannot_be_asked_is_not_available(
    dynamodb: Any, address: str, error: type[UnavailableError], message: str
) -> None:
    """The server or the table is absent: repeating does not help, so the setting is named."""
    store = DynamoJobStore(client_of(address, "dynamodb") if address else dynamodb, "no-such-table")
    made = build_job("ipp-1")
    asks: list[Callable[[], object]] = [
        lambda: store.get_job("ipp-1", NOW),
        lambda: store.create_job(made, NOW),
        lambda: store.replace_job(made.transition(NOW)),
        lambda: store.list_jobs(owner=None, status=None, limit=5, after=None, now=NOW),
        lambda: store.list_unfinished(owner="ana", limit=5, now=NOW),
        lambda: store.find_job("key", NOW),
        lambda: store.claim_key("key", "ipp-1", NOW),
    ]
    for ask in asks:
        with pytest.raises(error, match=message) as raised:
            ask()
        assert type(raised.value) is error


def test_no_call_reads_the_whole_table(store: DynamoJobStore, calls: list[str]) -> None:
    calls.clear()
    made = build_job("ipp-1")
    store.create_job(made, NOW)
    store.create_job(build_job("ipp-2"), NOW)
    store.replace_job(made.transition(NOW))
    store.get_job("ipp-1", NOW)
    for owner in (None, "ana"):
        store.list_jobs(owner=owner, status=None, limit=5, after=None, now=NOW)
        store.list_jobs(owner=owner, status=JobStatus.FAILED, limit=5, after=None, now=NOW)
        store.list_unfinished(owner=owner, limit=5, now=NOW)
    listed = ["Query", "BatchGetItem", "Query", "Query", "BatchGetItem"]
    assert calls == ["PutItem"] * 3 + ["GetItem"] + listed * 2


def test_a_list_goes_on_over_reads_and_batches(
    store: DynamoJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUERY_PAGE_ENTRIES", 3)
    monkeypatch.setattr(module, "_BATCH_GET_ITEMS", 2)
    made = [
        build_job(f"ipp-{n:02}", status=JobStatus.FAILED if n % 5 else JobStatus.COMPLETED)
        for n in range(20)
    ]
    for one in made:
        store.create_job(one, NOW)
    for owner in (None, "ana"):
        found = store.list_jobs(
            owner=owner, status=JobStatus.COMPLETED, limit=3, after=None, now=NOW
        )
        assert found == [made[15], made[10], made[5]]
        assert (
            store.list_jobs(owner=owner, status=None, limit=20, after=None, now=NOW) == made[::-1]
        )


def test_an_index_that_is_behind_gives_nothing_that_is_no_longer_so(
    store: DynamoJobStore, dynamodb: Any
) -> None:
    made = [build_job(f"ipp-{number}") for number in range(4)]
    for one in made:
        store.create_job(one, NOW)
    ended = made[3].transition(NOW, JobStatus.FAILED)
    with after(
        dynamodb, "Query", lambda _: store.replace_job(ended)
    ):  # between the index and the jobs
        found = store.list_jobs(
            owner="ana", status=JobStatus.JOB1_RUNNING, limit=2, after=None, now=NOW
        )
    assert found == [made[2], made[1]]
    ended = made[0].transition(NOW, JobStatus.FAILED)
    with after(dynamodb, "Query", lambda _: store.replace_job(ended)):
        assert store.list_unfinished(owner="ana", limit=2, now=NOW) == [made[1], made[2]]
    changed = made[1].transition(NOW + dt.timedelta(seconds=1))
    with after(dynamodb, "Query", lambda _: store.replace_job(changed)):
        assert store.list_unfinished(owner="ana", limit=2, now=NOW) == [made[2], changed]


def test_a_list_looks_at_no_more_than_it_gives(store: DynamoJobStore, dynamodb: Any) -> None:
    for number in range(5):
        store.create_job(build_job(f"ipp-{number}"), NOW)
    looked: list[int] = []
    with after(dynamodb, "Query", lambda parsed: looked.append(parsed["ScannedCount"])):
        store.list_jobs(owner=None, status=None, limit=2, after=None, now=NOW)
        store.list_jobs(owner="ana", status=None, limit=3, after=None, now=NOW)
        store.list_unfinished(owner="ana", limit=1, now=NOW)
    assert looked == [2, 3, 1]


def test_jobs_are_read_as_they_were_last_written(store: DynamoJobStore, dynamodb: Any) -> None:
    for number in range(2):
        store.create_job(build_job(f"ipp-{number}"), NOW)
    asked: list[bool] = []

    def note(params: dict[str, Any], **_: object) -> None:
        asked.append(next(iter(params.get("RequestItems", {}).values()), params)["ConsistentRead"])

    events = (
        "provide-client-params.dynamodb.GetItem",
        "provide-client-params.dynamodb.BatchGetItem",
    )
    for event in events:
        dynamodb.meta.events.register(event, note)
    try:
        store.get_job("ipp-1", NOW)
        store.list_jobs(owner=None, status=None, limit=2, after=None, now=NOW)
    finally:
        for event in events:
            dynamodb.meta.events.unregister(event, note)
    assert asked == [True, True]


def test_what_a_batch_leaves_out_is_asked_for_again(store: DynamoJobStore, dynamodb: Any) -> None:
    made = [build_job(f"ipp-{number}") for number in range(5)]
    for one in made:
        store.create_job(one, NOW)

    def leave_out(parsed: dict[str, Any]) -> None:
        ((table, items),) = parsed["Responses"].items()
        parsed["UnprocessedKeys"] = {
            table: {"Keys": [{"job_id": item["job_id"]} for item in items[1:]]}
        }
        del items[1:]

    with after(dynamodb, "BatchGetItem", leave_out):
        assert store.list_jobs(owner=None, status=None, limit=9, after=None, now=NOW) == made[::-1]


def test_the_item_is_the_seeds(dynamodb: Any) -> None:
    create_table(dynamodb, "ipp-jobs-seed")
    DynamoJobStore(dynamodb, "ipp-jobs-seed", databricks_job_id="789").create_job(
        build_job("ipp-abc123-def456"), NOW
    )
    item = dynamodb.get_item(TableName="ipp-jobs-seed", Key={"job_id": {"S": "ipp-abc123-def456"}})[
        "Item"
    ]
    assert item["mostradores"] == {"L": [{"S": "7051602"}]}
    assert item["mostradores_count"] == {"N": "1"}
    assert item["databricks_job_id"] == {"S": "789"}
    assert item["created_at"] == {"S": "2026-07-01T12:00:00.000Z"}
    assert item["ttl"] == {"N": "1783512000"}


def test_the_table_expires_its_items_and_has_its_indexes(dynamodb: Any) -> None:
    create_table(dynamodb, "ipp-jobs-table")
    expiry = dynamodb.describe_time_to_live(TableName="ipp-jobs-table")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    table = dynamodb.describe_table(TableName="ipp-jobs-table")["Table"]
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == set(TABLE_INDEXES)
    assert "created_at-index" in TABLE_INDEXES


def test_only_jobs_that_have_not_ended_are_in_the_indexes_of_the_unfinished(dynamodb: Any) -> None:
    create_table(dynamodb, table := "ipp-jobs-sparse")
    store = DynamoJobStore(dynamodb, table)
    store.create_job(build_job("ipp-1"), NOW)
    store.create_job(build_job("ipp-2"), NOW)
    store.replace_job(build_job("ipp-1").transition(NOW, JobStatus.CANCELLED))
    for index, partition in (("unfinished-index", "job"), ("unfinished-owner-index", "ana")):
        held = dynamodb.query(
            TableName=table,
            IndexName=index,
            KeyConditionExpression="#key = :key",
            ExpressionAttributeNames={"#key": TABLE_INDEXES[index][0]},
            ExpressionAttributeValues={":key": {"S": partition}},
        )["Items"]
        assert [item["job_id"]["S"] for item in held] == ["ipp-2"]
        assert "mostradores" not in held[0]
