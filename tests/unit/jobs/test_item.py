"""A job as the attributes that are stored."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given

from ipp.jobs.job import RETENTION, Job, JobOwner, Stage, StageRun
from ipp.jobs.job_record import format_moment, job_from_item, job_to_item
from tests.contract.jobs import NOW, build_job, jobs, moments
from tests.contract.test_stored_items import SEED

US = dt.timedelta(microseconds=1)


def test_the_attributes_are_those_of_the_seed_and_ours() -> None:
    runs = tuple(
        StageRun(stage, "token", run_id)
        for stage, run_id in zip(Stage, ("123456", "7", "8"), strict=True)
    )
    made = replace(
        build_job(SEED["job_id"], created_at=NOW - dt.timedelta(minutes=1), updated_at=NOW),
        user=JobOwner(**SEED["user_info"]),
        mostradores=(7051602, 7051603),
        stages=runs,
    )
    item = job_to_item(made, databricks_job_id="789")
    stages, parametros = item.pop("stages"), item.pop("parametros")
    assert item == SEED | {
        "owner": "abc-123", "factor_run_id": "7", "job2_run_id": "8", "version": 1,
        "fecha_corte": "2026-06-30", "fingerprint": "f", "cancel_requested": False, "attempt": 1,
        "ttl": item["ttl"],
    }  # fmt: skip
    assert [stage["run_id"] for stage in stages] == ["123456", "7", "8"]
    assert parametros["joroba"] == "0.035"
    assert type(item["status"]) is str


def test_what_is_not_known_is_left_out() -> None:
    item = job_to_item(build_job("ipp-1"))
    assert not {
        "databricks_run_id",
        "factor_run_id",
        "job2_run_id",
        "databricks_job_id",
        "error",
    } & set(item)
    assert "refreshed_at" not in item


def test_a_number_may_come_as_any_that_equals_it_and_more_than_is_known_is_no_fault() -> None:
    item = job_to_item(build_job("ipp-1")) | {"version": Decimal(3), "unknown": "x"}
    item["stages"][0] |= {"done": Decimal(2), "unknown": "x"}
    read = job_from_item(item)
    assert (read.version, read.stages[0].done) == (3, 2)
    assert type(read.version) is type(read.stages[0].done) is int


@pytest.mark.parametrize("when", [NOW + US, NOW.replace(tzinfo=None), NOW + 999 * US])
def test_a_moment_that_would_not_be_read_back_is_refused(when: dt.datetime) -> None:
    with pytest.raises(ValueError, match="not a moment in whole milliseconds"):
        job_to_item(build_job("ipp-1", created_at=when, updated_at=NOW))


@pytest.mark.parametrize("made", [build_job(""), build_job("ipp-1", sub="")])
def test_a_job_without_an_id_or_an_owner_is_refused(made: Job) -> None:
    with pytest.raises(ValueError, match="an id and an owner"):
        job_to_item(made)


@given(one=moments, other=moments)
def test_moments_sort_as_their_texts(one: dt.datetime, other: dt.datetime) -> None:
    assert (one < other) == (format_moment(one) < format_moment(other))


@given(made=jobs)
def test_who_deletes_by_the_ttl_deletes_nothing_that_changed_within_a_week(made: Job) -> None:
    late = job_to_item(made)["ttl"] - (made.updated_at + RETENTION).timestamp()
    assert -1e-3 < late < 1
