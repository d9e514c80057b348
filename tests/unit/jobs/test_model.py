"""The model of a job: which status may follow which, and how tokens and ids are made."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.parameters import Parameters
from ipp.jobs.job import (
    MAX_TOKEN_CHARACTERS,
    NEXT_STATUSES,
    Job,
    JobStatus,
    Stage,
    idempotency_key_id,
    new_stage_run,
    request_fingerprint,
    stage_token,
)
from tests.contract.jobs import jobs
from tests.unit.jobs.job_builder import NOW, build_job


def test_progress_is_the_contracts() -> None:
    assert {status.value: status.progress for status in JobStatus} == {
        "JOB1_RUNNING": 25, "JOB1_DONE": 40, "PROCESSING": 60, "JOB2_RUNNING": 80, "COMPLETED": 100,
        "FAILED": 0, "CANCELLED": 0,
    }  # fmt: skip


def test_a_status_only_moves_forward() -> None:
    for before, after in itertools.product(JobStatus, JobStatus):
        if after in NEXT_STATUSES[before]:
            assert (
                after in {JobStatus.FAILED, JobStatus.CANCELLED} or after.progress > before.progress
            )
            assert before not in NEXT_STATUSES[after]


@pytest.mark.parametrize("status", JobStatus)
def test_a_status_that_may_not_follow_is_refused(status: JobStatus) -> None:
    if status in NEXT_STATUSES[JobStatus.JOB1_RUNNING] or status is JobStatus.JOB1_RUNNING:
        assert build_job().transition(NOW, status).version == 2
    else:
        with pytest.raises(ValueError, match="may not follow"):
            build_job().transition(NOW, status)


@given(jobs, st.sampled_from([None, *JobStatus]))
def test_a_step_goes_to_what_may_follow_and_a_retry_back_to_what_is_published(
    before: Job, status: JobStatus | None
) -> None:
    follows = NEXT_STATUSES[before.status]
    back = {JobStatus.COMPLETED} if before.retried and follows else set()
    if status not in {None, before.status} | follows | back:
        with pytest.raises(ValueError, match="may not follow"):
            before.transition(NOW, status)
        return
    after = before.transition(NOW, status, cancel_requested=True)
    assert after == replace(
        before,
        status=status or before.status,
        version=before.version + 1,
        updated_at=NOW,
        cancel_requested=True,
    )


@given(jobs, st.sampled_from(Stage))
def test_a_stage_has_its_last_run_only(before: Job, stage: Stage) -> None:
    run = new_stage_run("ipp-1", stage, NOW, 3)
    after = replace(before, stages=before.stages_with_run(run))
    assert (after.current_stage, after.run_of(stage)) == (run, run)
    others = [old for old in before.stages if old.stage is not stage]
    assert [after.run_of(old.stage) for old in others] == others
    assert len(after.stages) == len(others) + 1
    assert (run.token, run.started_at) == (stage_token("ipp-1", stage, 3), NOW)


@given(jobs, st.lists(st.integers(0, 99), max_size=3).map(tuple))
def test_only_a_job_that_failed_or_completed_starts_again(
    before: Job, retried: tuple[int, ...]
) -> None:
    if before.status not in {JobStatus.FAILED, JobStatus.COMPLETED}:
        with pytest.raises(ValueError, match="not started again"):
            before.reopen(NOW, retried)
        return
    again = before.reopen(NOW, retried)
    assert (again.status, again.failure, again.refreshed_at) == (
        JobStatus.JOB1_RUNNING,
        None,
        None,
    )
    assert (again.attempt, again.version) == (before.attempt + 1, before.version + 1)
    assert again.computed_counters == (retried or before.mostradores)
    assert not again.cancel_requested
    assert [run.token for run in again.stages] == [
        stage_token(before.job_id, Stage.NORMALISER, again.attempt)
    ]


@given(st.text(max_size=200), st.sampled_from(Stage), st.integers(1, 99))
def test_a_token_is_short_and_names_one_stage_of_one_job(
    job_id: str, stage: Stage, attempt: int
) -> None:
    made = stage_token(job_id, stage, attempt)
    assert len(made) <= MAX_TOKEN_CHARACTERS
    assert made == stage_token(job_id, stage, attempt)
    assert made not in {
        stage_token(job_id, other, attempt) for other in Stage if other is not stage
    }
    assert made != stage_token(job_id, stage, attempt + 1)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_key_is_one_callers(sub: str, key: str, other_sub: str, other_key: str) -> None:
    assert (idempotency_key_id(sub, key) == idempotency_key_id(other_sub, other_key)) == (
        (sub, key) == (other_sub, other_key)
    )


def test_a_fingerprint_tells_requests_apart_but_not_their_order() -> None:
    assert request_fingerprint((2, 1), Parameters()) == request_fingerprint((1, 2), Parameters())
    assert request_fingerprint((1, 2), Parameters()) != request_fingerprint((1, 3), Parameters())
    assert request_fingerprint((1, 2), Parameters()) != request_fingerprint(
        (1, 2), Parameters(forced_factor=0.5)
    )
