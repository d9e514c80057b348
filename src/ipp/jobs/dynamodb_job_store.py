"""Jobs as items of one DynamoDB table, with optimistic locking by version."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, ClassVar, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from typing_extensions import override

from ipp.cloud.aws_errors import translate_aws_errors
from ipp.errors import IncompleteError
from ipp.jobs.dynamodb_table import (
    ENTITY_PARTITION,
    INDEX_ATTRIBUTES,
    TABLE_INDEXES,
    build_sort_key,
    index_keys,
    item_key,
    key_item_id,
)
from ipp.jobs.job import (
    KEY_CLAIM_RETENTION,
    RETENTION,
    RUNNING_STATUSES,
    UNFINISHED_RETENTION,
    Job,
    JobStatus,
)
from ipp.jobs.job_record import JobItem, expiry_cutoff, format_moment, job_from_item, job_to_item
from ipp.jobs.job_store import JobCursor, JobStore
from ipp.jobs.unreadable_job import UnreadableJobError, UnreadableJobs

_QUERY_PAGE_ENTRIES: Final = 1_000
"""Maximum number of index entries that one query examines."""

_BATCH_GET_ITEMS: Final = 100
"""Maximum number of items in one BatchGetItem call."""

_KEY_RETENTION: Final = dt.timedelta(days=365)
"""How long the item of a key is stored; its job is kept for a week after each change."""

_SERIALIZER: Final = TypeSerializer()
_DESERIALIZER: Final = TypeDeserializer()

_ENDED_VALUES: Final = {
    f":ended{number}": {"S": status.value}
    for number, status in enumerate(status for status in JobStatus if status.ended)
}
"""The statuses of jobs that have ended, as parameters of an expression."""

_UNEXPIRED_CONDITION: Final = (
    "(#updated > :ended_horizon OR "
    f"(#updated > :horizon AND NOT #status IN ({', '.join(_ENDED_VALUES)})))"
)
"""Condition of a job that has not expired."""

_EXPIRY_NAMES: Final = {"#updated": "updated_at", "#status": "status"}
"""The names in `_UNEXPIRED_CONDITION`; `_expiry_values` has its parameters."""


class MissingTableError(IncompleteError):
    """The configured jobs table does not exist; retrying will not help."""

    def __init__(self) -> None:
        super().__init__(["IPP_JOBS_TABLE"])
        self.message = "No existe la tabla de procesos de DynamoDB que nombra IPP_JOBS_TABLE."
        self.hint = "Quien opera IPP debe corregir IPP_JOBS_TABLE, o la región, o crear la tabla."


class DynamoJobStore(JobStore):
    """A `JobStore` in a table made by `create_table`; ``client`` is boto3's low-level client.

    The client's configuration sets timeouts and retries. Every call raises the client's errors.
    A write may return False although it succeeded, if its answer was lost and the client repeated
    it: read the job to find out. The indexes are eventually consistent, so a list finds a new job
    a moment later, but returns every job as last written. ``databricks_job_id`` is stored with
    every job, for people. ``unreadable`` records the jobs that cannot be read.
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

    @override
    def get_job(self, job_id: str, now: dt.datetime) -> Job | None:
        item = self._get_item(job_id)
        if item is None:
            return None
        kept = RETENTION if item.get("status") in _ENDED_VALUES.values() else UNFINISHED_RETENTION
        # DynamoDB may take two days to delete expired items. Without updated_at it is a key's item.
        if item.get("updated_at", {}).get("S", "") <= expiry_cutoff(now, kept):
            return None
        return self._read_item(item)

    @override
    def find_job(self, key: str, now: dt.datetime) -> Job | None:
        claim = self._get_item(key_item_id(key))
        return None if claim is None else self.get_job(claim["names"]["S"], now)

    @override
    def claim_key(self, key: str, job_id: str, now: dt.datetime) -> str:
        new = ("attribute_not_exists(#names)", None)
        condition: tuple[str, Mapping[str, Any] | None] = new
        while not self._put_key(key, job_id, now, *condition):
            claim = self._get_item(key_item_id(key))
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

    @override
    def create_job(self, job: Job, now: dt.datetime) -> bool:
        return self._write_item(
            self._build_item(job),
            f"attribute_not_exists(#updated) OR NOT {_UNEXPIRED_CONDITION}",
            _EXPIRY_NAMES,
            _expiry_values(now),
        )

    @override
    def replace_job(self, job: Job) -> bool:
        if job.version == 1:
            # Items written by the original system (the seed) have no version.
            return self._put_item(
                job, "attribute_not_exists(#key) AND job_id = :value", "version", job.job_id
            )
        return self._put_item(job, "#key = :value", "version", job.version - 1)

    @override
    def list_jobs(
        self,
        *,
        owner: str | None,
        status: JobStatus | None,
        limit: int,
        after: JobCursor | None,
        now: dt.datetime,
    ) -> Sequence[Job]:
        # ``status`` filters in the index, which examines up to a thousand entries a query.
        index, partition = (
            ("created_at-index", ENTITY_PARTITION) if owner is None else ("owner-index", owner)
        )
        before = (
            None if after is None else build_sort_key(format_moment(after.created_at), after.job_id)
        )
        entries = self._index_entries(
            index, partition, limit=limit, now=now, status=status, before=before
        )
        return self._read_matching(entries, limit, lambda job: status in {None, job.status})

    @override
    def list_unfinished(self, *, owner: str | None, limit: int, now: dt.datetime) -> Sequence[Job]:
        index, partition = (
            ("unfinished-index", ENTITY_PARTITION)
            if owner is None
            else ("unfinished-owner-index", owner)
        )
        entries = self._index_entries(index, partition, limit=limit, now=now)
        jobs = self._read_matching(entries, limit, lambda job: not job.status.ended)
        return sorted(jobs, key=lambda job: (job.updated_at, job.job_id))

    @override
    def count_by_status(self, now: dt.datetime) -> Mapping[JobStatus, int]:
        entries = self._index_entries(
            "unfinished-index", ENTITY_PARTITION, limit=_QUERY_PAGE_ENTRIES, now=now
        )
        counts = Counter(entry.get("status", {}).get("S") for entry in entries)
        return {status: counts[status.value] for status in RUNNING_STATUSES}

    def _put_item(self, job: Job, condition: str, key: str, value: str | int) -> bool:
        return self._write_item(
            self._build_item(job),
            condition,
            {"#key": key},
            {":value": _SERIALIZER.serialize(value)},
        )

    def _build_item(self, job: Job) -> JobItem:
        return job_to_item(job, databricks_job_id=self._databricks_job_id) | index_keys(job)

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
        """Yield the id and status of an index's unexpired jobs, in its order, querying lazily."""
        partition_key, sort_key = TABLE_INDEXES[index]
        names = {"#partition": partition_key, **_EXPIRY_NAMES}
        values = {":partition": {"S": partition}, **_expiry_values(now)}
        key, chosen = "#partition = :partition", _UNEXPIRED_CONDITION
        if before is not None:
            key += " AND #sort < :before"
            names["#sort"], values[":before"] = sort_key, {"S": before}
        if status is not None:
            chosen += " AND #status = :status"
            values[":status"] = {"S": status.value}
        return self._query_pages(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression=key,
            FilterExpression=chosen,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ProjectionExpression="job_id, #status",
            # By creation the newest comes first, by change the one changed longest ago.
            ScanIndexForward=sort_key == "updated_id",
            # DynamoDB applies Limit before the filter: with a selective status filter, a limit of
            # one page would need many round trips.
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
        self, entries: Iterator[Mapping[str, Any]], limit: int, matches: Callable[[Job], bool]
    ) -> list[Job]:
        """Return the first ``limit`` jobs that match as now stored, not only in the index."""
        ids = (entry["job_id"]["S"] for entry in entries)
        # Keyed by id: a job that moves in an index while it is being read appears twice.
        jobs: dict[str, Job] = {}
        while len(jobs) < limit:
            batch = list(islice(ids, min(limit - len(jobs), _BATCH_GET_ITEMS)))
            if not batch:
                break
            jobs |= {job.job_id: job for job in self._batch_get(batch) if matches(job)}
        return list(jobs.values())

    def _batch_get(self, ids: Sequence[str]) -> list[Job]:
        """Return the readable jobs of at most one batch of ids, as last written, in their order."""
        unique = list(dict.fromkeys(ids))
        items: dict[str, JobItem] = {}
        missing = unique
        if len(unique) > 1:
            keys = [item_key(job_id) for job_id in unique]
            request = {self._table: {"Keys": keys, "ConsistentRead": True}}
            with self._translate_errors():
                answer = self._client.batch_get_item(RequestItems=request)
            items = {item["job_id"]["S"]: item for item in answer["Responses"].get(self._table, ())}
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._table, {"Keys": ()})["Keys"]
            missing = [key["job_id"]["S"] for key in unprocessed]
        # One by one: if DynamoDB throttles, the client retries each GetItem with its own backoff.
        for job_id in missing:
            if (item := self._get_item(job_id)) is not None:
                items[job_id] = item
        return list(self._readable_jobs(items[job_id] for job_id in unique if job_id in items))

    def _get_item(self, job_id: str) -> JobItem | None:
        with self._translate_errors():
            answer = self._client.get_item(
                TableName=self._table, Key=item_key(job_id), ConsistentRead=True
            )
        item: JobItem | None = answer.get("Item")
        return item

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
                    if name not in INDEX_ATTRIBUTES
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
        """Store which job a key names if ``condition`` holds; return whether it did."""
        expires = int((now + _KEY_RETENTION).timestamp())
        item = {
            "job_id": key_item_id(key),
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
        """Store an item if ``condition`` holds; return whether it did."""
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


def _expiry_values(now: dt.datetime) -> dict[str, dict[str, str]]:
    return {
        ":ended_horizon": {"S": expiry_cutoff(now)},
        ":horizon": {"S": expiry_cutoff(now, UNFINISHED_RETENTION)},
        **_ENDED_VALUES,
    }
