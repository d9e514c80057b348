"""The DynamoDB table of jobs: its keys and its indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ipp.jobs.job import Job
from ipp.jobs.job_record import JobItem, format_moment

TABLE_INDEXES: Final[Mapping[str, tuple[str, str]]] = {
    "created_at-index": ("entity", "created_id"),
    "owner-index": ("owner", "created_id"),
    "unfinished-index": ("unfinished", "updated_id"),
    "unfinished-owner-index": ("unfinished_owner", "updated_id"),
}
"""The global secondary indexes: partition key and sort key, all strings.

The last two hold only jobs that have not ended.
"""

PROJECTED_ATTRIBUTES: Final = ("status", "updated_at")
"""The attributes that an index holds besides its keys: only those that queries filter by.

A job of ten thousand mostradores is 130 KB; projecting it whole would write it again to every
index at each change.
"""

ENTITY_PARTITION: Final = "job"
"""The single partition of the indexes over all jobs."""

INDEX_ATTRIBUTES: Final = frozenset(name for keys in TABLE_INDEXES.values() for name in keys) - {
    "owner"
}
"""The attributes that serve only the indexes; every write computes them again."""


def create_table(client: Any, table_name: str) -> None:
    """Create the table of a `DynamoJobStore`, with indexes and expiry, and wait for it."""
    names = sorted({"job_id", *(name for keys in TABLE_INDEXES.values() for name in keys)})
    client.create_table(
        TableName=table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": sort, "KeyType": "RANGE"},
                ],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": list(PROJECTED_ATTRIBUTES),
                },
            }
            for index, (partition, sort) in TABLE_INDEXES.items()
        ],
    )
    client.get_waiter("table_exists").wait(TableName=table_name)
    client.update_time_to_live(
        TableName=table_name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )


def index_keys(job: Job) -> JobItem:
    """Return the index attributes of a job; leaving one out keeps the job out of that index."""
    keys = {
        "entity": ENTITY_PARTITION,
        "created_id": build_sort_key(format_moment(job.created_at), job.job_id),
    }
    if job.status.ended:
        return keys
    updated = build_sort_key(format_moment(job.updated_at), job.job_id)
    return keys | {
        "unfinished": ENTITY_PARTITION,
        "unfinished_owner": job.user.sub,
        "updated_id": updated,
    }


def build_sort_key(when: str, job_id: str) -> str:
    """Return a key that sorts by moment (of fixed length), then by id to break ties."""
    return f"{when}#{job_id}"


def item_key(job_id: str) -> dict[str, dict[str, str]]:
    """Return the primary key of an item, as the low-level client takes it."""
    return {"job_id": {"S": job_id}}


def key_item_id(key: str) -> str:
    """Return the id of the item that says which job a key names; no job has such an id."""
    return f"key#{key}"
