"""Jobs as items of one DynamoDB table, each written on condition of the version it builds on."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, ClassVar, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from ipp.cloud.aws_errors import translate_aws_errors
from ipp.errors import IncompleteError
from ipp.jobs.job import KEY_CLAIM_RETENTION, RUNNING_STATUSES, Job, JobStatus
from ipp.jobs.job_record import JobItem, expiry_cutoff, format_moment, job_from_item, job_to_item
from ipp.jobs.job_store import JobCursor
from ipp.jobs.unreadable_job import UnreadableJobError, UnreadableJobs

TABLE_INDEXES: Final[Mapping[str, tuple[str, str]]] = {
    "created_at-index": ("entity", "created_id"),
    "owner-index": ("owner", "created_id"),
    "unfinished-index": ("unfinished", "updated_id"),
    "unfinished-owner-index": ("unfinished_owner", "updated_id"),
}
"""The global indexes: partition key and sort key, all strings. The last two hold jobs that have not ended alone."""

PROJECTED_ATTRIBUTES: Final = ("status", "updated_at")
"""What an index holds besides its keys: enough to choose by. A job of ten thousand mostradores is 130 KB, and would
be written once more for every index at every change."""

_ENTITY_PARTITION: Final = "job"
"""The one partition of the indexes over all jobs."""

_QUERY_PAGE_ENTRIES: Final = 1_000
"""Entries of an index that one query looks at, at most."""

_BATCH_GET_ITEMS: Final = 100
"""Items that DynamoDB gives at a time, at most."""

_INDEX_ATTRIBUTES: Final = frozenset(name for keys in TABLE_INDEXES.values() for name in keys) - {
    "owner"
}
"""The attributes that are there for the indexes alone, and made anew with every write."""

_KEY_RETENTION: Final = dt.timedelta(days=365)
"""How long the item of a key is stored: its job is kept for a week after each of its changes."""

_SERIALIZER: Final = TypeSerializer()
_DESERIALIZER: Final = TypeDeserializer()


class MissingTableError(IncompleteError):
    """There is no table of jobs by the name that is set: asking again changes nothing."""

    def __init__(self) -> None:
        super().__init__(["IPP_JOBS_TABLE"])
        self.message = "No existe la tabla de procesos de DynamoDB que nombra IPP_JOBS_TABLE."
        self.hint = "Quien opera IPP debe corregir IPP_JOBS_TABLE, o la región, o crear la tabla."


class DynamoJobStore:
    """A `JobStore` in a table as `create_table` makes it; ``client`` is boto3's low-level one.

    How long a call takes and how often it is repeated is the client's to say. Every call raises the client's errors.
    A False may also follow one's own write, where its answer was lost and the client repeated it: reading tells.
    A list finds a job a moment after it was written, as the indexes follow; what it gives is as it was last written.
    ``databricks_job_id`` is stored with every job, for people. ``unreadable`` is told what cannot
    be read.
    """

    instant: ClassVar = False

    def __init__(
        self,
        client: Any,
        table_name: str,
        *,
        databricks_job_id: str = "",
        unreadable: UnreadableJobs | None = None,
    ) -> None:
        self._client = client
        self._table = table_name
        self._databricks_job_id = databricks_job_id
        self._unreadable = UnreadableJobs() if unreadable is None else unreadable

    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        """The job as it was last written, None where there is none. Raises `UnreadableJobError`."""
        item = self._get_item(job_id)
        # DynamoDB may take two days to delete what has expired. An item without a change is a key's.
        if item is None or item.get("updated_at", {}).get("S", "") <= expiry_cutoff(now):
            return None
        return self._read_item(item)

    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        """Return the job whose id `claim_key` gave for ``key``, None where it is not there."""
        claim = self._get_item(_key_item_id(key))
        return None if claim is None else self.get_job(claim["names"]["S"], now)

    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        """Return the id of the job that ``key`` names, ``job_id`` from now on where it names none."""
        new = ("attribute_not_exists(#names)", None)
        condition: tuple[str, Mapping[str, Any] | None] = new
        while not self._put_key(key, job_id, now, *condition):
            claim = self._get_item(_key_item_id(key))
            if claim is None:
                condition = new
                continue
            named: str = claim["names"]["S"]
            if claim["claimed_at"]["S"] > expiry_cutoff(
                now, KEY_CLAIM_RETENTION
            ) or self._is_stored(named, now):
                return named
            condition = ("#names = :names", {":names": claim["names"]})
        return job_id

    def create_job(self, job: Job, now: dt.datetime) -> bool:
        """Store a new job; False where one with its id is there already, which is left as it is."""
        return self._put_item(
            job, "attribute_not_exists(#key) OR #key <= :value", "updated_at", expiry_cutoff(now)
        )

    def replace_job(self, job: Job) -> bool:
        """Store ``job`` over version ``job.version - 1``; False where that is not the stored one."""
        if job.version == 1:  # over the seed's own item, which has no version
            return self._put_item(
                job, "attribute_not_exists(#key) AND job_id = :value", "version", job.job_id
            )
        return self._put_item(job, "#key = :value", "version", job.version - 1)

    def list_jobs(
        self,
        *,
        owner: str | None,
        status: JobStatus | None,
        limit: int,
        after: JobCursor | None,
        now: dt.datetime,
    ) -> Sequence[Job]:
        """At most ``limit`` jobs, newest first, then by id; of one owner, or of all where it is None.

        Fewer only where the list ends. With a ``status`` the jobs of the others are passed over in their index, up
        to a thousand a query.
        """
        index, partition = (
            ("created_at-index", _ENTITY_PARTITION) if owner is None else ("owner-index", owner)
        )
        before = None if after is None else _sort_key(format_moment(after.created_at), after.job_id)
        entries = self._index_entries(
            index, partition, limit=limit, now=now, status=status, before=before
        )
        return self._read_matching(entries, limit, lambda job: status in {None, job.status})

    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        """At most ``limit`` jobs that have not ended, those changed longest ago first."""
        index, partition = (
            ("unfinished-index", _ENTITY_PARTITION)
            if owner is None
            else ("unfinished-owner-index", owner)
        )
        entries = self._index_entries(index, partition, limit=limit, now=now)
        found = self._read_matching(entries, limit, lambda job: not job.status.ended)
        return sorted(found, key=lambda job: (job.updated_at, job.job_id))

    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        """How many jobs stand in each status that is not an end, as the index has them."""
        entries = self._index_entries(
            "unfinished-index", _ENTITY_PARTITION, limit=_QUERY_PAGE_ENTRIES, now=now
        )
        found = Counter(entry.get("status", {}).get("S") for entry in entries)
        return {status: found[status.value] for status in RUNNING_STATUSES}

    def _put_item(self, job: Job, condition: str, key: str, value: str | int) -> bool:
        item = job_to_item(job, databricks_job_id=self._databricks_job_id) | _index_keys(job)
        return self._write_item(
            item, condition, {"#key": key}, {":value": _SERIALIZER.serialize(value)}
        )

    def _index_entries(
        self,
        index: str,
        partition: str,
        *,
        limit: int,
        now: dt.datetime,
        status: JobStatus | None = None,
        before: str | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """The id and status of an index's jobs whose time is not over, in its order, asked for as they are taken."""
        partition_key, sort_key = TABLE_INDEXES[index]
        names = {"#partition": partition_key, "#updated": "updated_at", "#status": "status"}
        values = {":partition": partition, ":horizon": expiry_cutoff(now)}
        key, chosen = "#partition = :partition", "#updated > :horizon"
        if before is not None:
            key += " AND #sort < :before"
            names["#sort"], values[":before"] = sort_key, before
        if status is not None:
            chosen += " AND #status = :status"
            values[":status"] = status.value
        return self._query_pages(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression=key,
            FilterExpression=chosen,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
            ProjectionExpression="job_id, #status",
            ScanIndexForward=sort_key
            == "updated_id",  # newest first, but changed longest ago first
            # It counts what is looked at: where most of that is passed over, a page's worth would be a trickle.
            Limit=min(limit, _QUERY_PAGE_ENTRIES) if status is None else _QUERY_PAGE_ENTRIES,
        )

    def _query_pages(self, **query: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            with self._translate_errors():
                answer = self._client.query(**query)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _read_matching(
        self, entries: Iterator[Mapping[str, Any]], limit: int, wanted: Callable[[Job], bool]
    ) -> list[Job]:
        """The first ``limit`` jobs that are wanted as they are now, not only as an index has them."""
        ids = (entry["job_id"]["S"] for entry in entries)
        found: dict[
            str, Job
        ] = {}  # by id: one that moves in an index while it is read is met twice
        while len(found) < limit and (
            some := list(islice(ids, min(limit - len(found), _BATCH_GET_ITEMS)))
        ):
            found |= {job.job_id: job for job in self._batch_get(some) if wanted(job)}
        return list(found.values())

    def _batch_get(self, ids: Sequence[str]) -> list[Job]:
        """Return the jobs of at most a batch of ids as last written, in their order, if readable."""
        unique = list(dict.fromkeys(ids))
        items: dict[str, JobItem] = {}
        missing = unique
        if len(unique) > 1:
            keys = [_item_key(job_id) for job_id in unique]
            asked = {self._table: {"Keys": keys, "ConsistentRead": True}}
            with self._translate_errors():
                answer = self._client.batch_get_item(RequestItems=asked)
            items = {item["job_id"]["S"]: item for item in answer["Responses"].get(self._table, ())}
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._table, {"Keys": ()})["Keys"]
            missing = [key["job_id"]["S"] for key in unprocessed]
        for (
            job_id
        ) in missing:  # one by one: these the client repeats in its own time where DynamoDB is busy
            if (item := self._get_item(job_id)) is not None:
                items[job_id] = item
        return list(self._readable_jobs(items[job_id] for job_id in unique if job_id in items))

    def _get_item(self, job_id: str) -> JobItem | None:
        with self._translate_errors():
            answer = self._client.get_item(
                TableName=self._table, Key=_item_key(job_id), ConsistentRead=True
            )
        found: JobItem | None = answer.get("Item")
        return found

    def _readable_jobs(self, items: Iterator[JobItem]) -> Iterator[Job]:
        for item in items:
            try:
                yield self._read_item(item)
            except UnreadableJobError:
                continue

    def _read_item(self, item: JobItem) -> Job:
        try:
            return job_from_item(
                {
                    name: _DESERIALIZER.deserialize(value)
                    for name, value in item.items()
                    if name not in _INDEX_ATTRIBUTES
                }
            )
        except UnreadableJobError as error:
            self._unreadable.record_error(error)
            raise

    def _is_stored(self, job_id: str, now: dt.datetime) -> bool:
        try:
            return self.get_job(job_id, now) is not None
        except UnreadableJobError:
            return True

    def _put_key(
        self,
        key: str,
        job_id: str,
        now: dt.datetime,
        condition: str,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store which job a key names, on a condition; False where it does not hold."""
        expires = int((now + _KEY_RETENTION).timestamp())
        item = {
            "job_id": _key_item_id(key),
            "names": job_id,
            "claimed_at": format_moment(now),
            "ttl": expires,
        }
        return self._write_item(item, condition, {"#names": "names"}, values)

    def _write_item(
        self,
        item: JobItem,
        condition: str,
        names: Mapping[str, str],
        values: Mapping[str, Any] | None,
    ) -> bool:
        """Store an item on a condition; False where it does not hold."""
        more = {"ExpressionAttributeValues": values} if values else {}
        with self._translate_errors():
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={
                        name: _SERIALIZER.serialize(attribute) for name, attribute in item.items()
                    },
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    **more,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        with translate_aws_errors("DynamoDB"):
            try:
                yield
            except self._client.exceptions.ResourceNotFoundException as error:
                raise MissingTableError from error


def create_table(client: Any, table_name: str) -> None:
    """Make the table that `DynamoJobStore` needs, its indexes and its expiry; returns when it can be used."""
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


def _index_keys(job: Job) -> JobItem:
    """Where the indexes hold the job: an attribute that is not there leaves it out of one."""
    places = {
        "entity": _ENTITY_PARTITION,
        "created_id": _sort_key(format_moment(job.created_at), job.job_id),
    }
    if job.status.ended:
        return places
    updated = _sort_key(format_moment(job.updated_at), job.job_id)
    return places | {
        "unfinished": _ENTITY_PARTITION,
        "unfinished_owner": job.user.sub,
        "updated_id": updated,
    }


def _sort_key(when: str, job_id: str) -> str:
    """Sorts by moment, which is always as long, and then by id: jobs of the same moment have an order too."""
    return f"{when}#{job_id}"


def _item_key(job_id: str) -> dict[str, dict[str, str]]:
    return {"job_id": {"S": job_id}}


def _key_item_id(key: str) -> str:
    """Return the id of the item that says which job a key names; no job has it."""
    return f"key#{key}"
