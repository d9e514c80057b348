"""A commit that loses against a concurrent one is repeated, and any other error is raised."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from pyspark.errors.exceptions.connect import AnalysisException, SparkConnectGrpcException

from ipp.core.tables import CURVES
from ipp.storage.lakehouse.commit_retry import MAX_ATTEMPTS, retry_lost_commits

LOST = (
    lambda: SparkConnectGrpcException(
        "[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] Transaction conflict detected. SQLSTATE: 2D521"
    ),
    lambda: SparkConnectGrpcException("[DELTA_METADATA_CHANGED] MetadataChangedException"),
    lambda: SparkConnectGrpcException("[DELTA_PROTOCOL_CHANGED] ProtocolChangedException"),
    lambda: AnalysisException("[TABLE_OR_VIEW_ALREADY_EXISTS] Cannot create table or view"),
    lambda: SparkConnectGrpcException("(io.delta.exceptions.ConcurrentWriteException) A conflict"),
)
"""What Spark Connect raises of a commit that lost, as Delta's documentation words it."""

OTHERS = (
    lambda: SparkConnectGrpcException("[UDF_PYSPARK_USER_CODE_ERROR.MEMORY_LIMIT_SERVERLESS]"),
    lambda: AnalysisException("[INSUFFICIENT_PERMISSIONS] User has no MODIFY"),
    lambda: ValueError("not a job's id"),
)

JOBS = [f"ipp-{number}" for number in range(8)]


@given(st.lists(st.sampled_from(LOST), max_size=MAX_ATTEMPTS - 1))
def test_a_commit_is_made_once_however_often_it_lost(lost: list[Callable[[], Exception]]) -> None:
    errors, made, waits = list(lost), list[str](), list[float]()

    def commit() -> None:
        if errors:
            raise errors.pop()()
        made.append("committed")

    retry_lost_commits(commit, waits.append)
    assert made == ["committed"]
    assert len(waits) == len(lost)
    assert all(wait > 0 for wait in waits)


@pytest.mark.parametrize("make_error", OTHERS)
def test_another_error_is_raised_at_once(make_error: Callable[[], Exception]) -> None:
    error = make_error()

    def commit() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        retry_lost_commits(commit, lambda _seconds: pytest.fail("it waited"))
    assert raised.value is error


def test_who_always_loses_gives_up_with_the_last_error() -> None:
    waits: list[float] = []

    def commit() -> None:
        raise LOST[0]()

    with pytest.raises(SparkConnectGrpcException):
        retry_lost_commits(commit, waits.append)
    assert len(waits) == MAX_ATTEMPTS - 1


def curve(job_id: str) -> pl.DataFrame:
    rows = pl.LazyFrame({"job_id": [job_id] * 3, "mostrador": [1, 2, 3]})
    return CURVES.conform_rows(rows).collect().rename(dict(CURVES.labels))


def replace_job(folder: Path, job_id: str, ready: threading.Barrier) -> Any:
    """Replace a job's partition of the table as it is before anybody else has."""
    table = DeltaTable(folder)
    ready.wait()
    return write_deltalake(table, curve(job_id), mode="overwrite", predicate=f"job_id = '{job_id}'")


def test_jobs_that_replace_their_own_partitions_at_once_do_not_conflict(tmp_path: Path) -> None:
    """The law of Delta on which publications run at once, by another writer of the format."""
    write_deltalake(tmp_path, curve("ipp-first"), partition_by=["job_id"])
    for _ in range(3):
        ready = threading.Barrier(len(JOBS))
        with ThreadPoolExecutor(len(JOBS)) as pool:
            for ended in [pool.submit(replace_job, tmp_path, job, ready) for job in JOBS]:
                ended.result()
        stored = pl.read_delta(str(tmp_path)).group_by("job_id").len().sort("job_id").rows()
        assert stored == sorted((job, 3) for job in [*JOBS, "ipp-first"])
