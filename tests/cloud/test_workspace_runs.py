"""A run of the tests' workspace is a real process, and what it reads and writes is in S3."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.jobs import PerformanceTarget

from ipp.errors import UnavailableError
from ipp.jobs.engines.databricks_engine import FAST_START_COUNTERS, DatabricksEngine
from ipp.jobs.engines.engine import RunOutcome, RunState
from tests.cloud.aws import client_of, run_moto
from tests.cloud.clients import (
    build_cheap_jobs,
    list_processes,
    open_engine,
    open_official_client,
    wait_for_run,
)
from tests.cloud.workspace import JobDefinition, Volumes, Workspace, run_workspace
from tests.waiting import wait_until

CATALOGUE = """
import sys
from pathlib import Path
folder, job_id = Path(sys.argv[1]), sys.argv[2]
asked = (folder / "ipp-raw" / job_id / "solicitud.json").read_text()
(folder / "ipp-raw" / job_id / "usado.txt").unlink()
made = folder / "ipp-processed" / job_id / "mostradores" / "1.txt"
made.parent.mkdir(parents=True)
made.write_text(asked.upper())
"""
"""A stage that reads what it was asked, removes a file and writes one."""


def running(engine: DatabricksEngine, run_id: str) -> RunState:
    return wait_until(lambda: engine.run_state(run_id), lambda state: state.state == "RUNNING")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_moto(tmp_path_factory.mktemp("aws")) as address:
        yield address


@pytest.fixture
def s3(aws: str) -> Iterator[Any]:
    client = client_of(aws, "s3")
    for bucket in ("one-raw", "one-processed"):
        client.create_bucket(Bucket=bucket)
    yield client
    client.close()


def test_what_lies_in_the_buckets_is_what_a_run_has_as_files(
    aws: str, s3: Any, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    command = (sys.executable, "-I", "-S", "-c", CATALOGUE, str(files), "{job_id}")
    job = JobDefinition(id=789, name="job", command=command)
    buckets = Volumes(str(files), aws, {"ipp-raw": "one-raw", "ipp-processed": "one-processed"})
    for key in ("ipp-1/solicitud.json", "ipp-1/usado.txt", "ipp-2/solicitud.json"):
        s3.put_object(Bucket="one-raw", Key=key, Body=b"asked of " + key.encode())
    with (
        run_workspace(tmp_path / "workspace", [job], volumes=buckets) as place,
        open_engine(place.settings) as engine,
    ):
        assert (
            wait_for_run(engine, engine.submit_stage("normalizador", "ipp-1", "token-1")).result
            == "SUCCESS"
        )
    made = s3.get_object(Bucket="one-processed", Key="ipp-1/mostradores/1.txt")["Body"].read()
    assert made == b"ASKED OF IPP-1/SOLICITUD.JSON"
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="one-raw")["Contents"]]
    assert keys == ["ipp-1/solicitud.json", "ipp-2/solicitud.json"]
    assert not (files / "ipp-raw" / "ipp-2").exists()


def test_a_task_is_the_wheels_entry_point_with_the_parameters_of_the_run(tmp_path: Path) -> None:
    job = JobDefinition(
        id=789,
        name="job",
        entry_point="ipp",
        named_parameters={"uno": "{{job.parameters.job_id}}!"},
    )
    with run_workspace(tmp_path, [job]) as place, open_engine(place.settings) as engine:
        state = wait_for_run(engine, engine.submit_stage("normalizador", "ipp-1", "token-1"))
    assert state.result == "FAILED"
    assert "--uno=ipp-1!" in state.message


def test_an_error_of_ours_is_told_in_its_own_words_alone(tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-c",
        "from ipp.errors import NotFoundError; raise NotFoundError('No existe.')",
    )
    job = JobDefinition(id=789, name="job", command=command)
    with run_workspace(tmp_path, [job]) as place, open_engine(place.settings) as engine:
        state = wait_for_run(engine, engine.submit_stage("normalizador", "ipp-1", "token-1"))
    assert state.message == "No existe."


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_small_job_runs_in_the_mode_that_starts_soon_and_a_large_one_in_its_jobs_own(
    tmp_path: Path, beyond: int
) -> None:
    jobs = build_cheap_jobs(tmp_path)
    counters = FAST_START_COUNTERS + beyond
    with (
        run_workspace(tmp_path, jobs) as place,
        open_engine(place.settings) as engine,
        open_official_client(place.settings) as official,
    ):
        run_id = engine.submit_stage("factor", "ipp-1", "token-1", counters)
        assert engine.submit_stage("factor", "ipp-1", "token-1", counters) == run_id
        seen = official.jobs.get_run(int(run_id)).effective_performance_target
    expected = PerformanceTarget.STANDARD if beyond else PerformanceTarget.PERFORMANCE_OPTIMIZED
    assert seen is expected


@pytest.fixture
def one_at_a_time(tmp_path: Path) -> Iterator[Workspace]:
    with run_workspace(tmp_path, build_cheap_jobs(tmp_path), grace=0.5) as place:
        yield place


def test_a_run_too_many_waits_for_the_one_before(one_at_a_time: Workspace) -> None:
    with open_engine(one_at_a_time.settings) as engine:
        first = engine.submit_stage("factor", "ipp-long", "token-1")
        running(engine, first)
        second = engine.submit_stage("factor", "ipp-2", "token-2")
        assert engine.run_state(second).state == "QUEUED"
        assert engine.submit_stage(
            "publicacion", "ipp-3", "token-3"
        )  # another job has its own room
        engine.cancel_run(first)
        assert wait_for_run(engine, second).result == "SUCCESS"
    assert len(list_processes(one_at_a_time.folder, "ipp-2")) == 1


@pytest.mark.parametrize(
    ("job_id", "result", "starts"), [("ipp-twice", "SUCCESS", 2), ("ipp-wrong", "FAILED", 3)]
)
def test_a_task_that_fails_is_tried_again_as_often_as_its_job_says(
    tmp_path: Path, job_id: str, result: str, starts: int
) -> None:
    jobs = build_cheap_jobs(tmp_path, max_retries=2, retry_wait=0.3)
    with run_workspace(tmp_path, jobs) as place, open_engine(place.settings) as engine:
        run_id = engine.submit_stage("factor", job_id, "token-1")
        waiting = wait_until(
            lambda: engine.run_state(run_id), lambda state: state.state == "WAITING_FOR_RETRY"
        )
        assert waiting.outcome is RunOutcome.RUNNING
        assert wait_for_run(engine, run_id).result == result
        (effect,) = place.effects()
        assert (effect.starts, effect.attempts) == (starts, starts)
        with open_official_client(place.settings) as official:
            tasks = official.jobs.get_run(int(run_id)).tasks or []
            assert [task.attempt_number for task in tasks] == list(range(starts))
            first = official.jobs.get_run_output(tasks[0].run_id or 0)
            assert first.error
    assert len(list_processes(tmp_path, job_id)) == starts


def test_a_machine_is_believed_until_its_token_ends_and_then_gets_another(
    one_at_a_time: Workspace,
) -> None:
    with (
        open_engine(one_at_a_time.machine) as engine,
        open_official_client(one_at_a_time.machine) as official,
    ):
        run_id = engine.submit_stage("factor", "ipp-1", "token-1")
        assert official.jobs.get_run(int(run_id)).run_id == int(run_id)
        one_at_a_time.expire()
        assert engine.submit_stage("factor", "ipp-1", "token-1") == run_id
    tokens = [each["status"] for each in one_at_a_time.asked("/oidc/v1/token")]
    assert tokens == [200, 200, 200]
    assert [each["status"] for each in one_at_a_time.asked("/jobs/run-now")] == [200, 403, 200]


def test_whoever_has_no_token_of_it_gets_nothing(one_at_a_time: Workspace) -> None:
    stranger = replace(one_at_a_time.settings, token="another")
    with (
        open_engine(stranger) as engine,
        pytest.raises(UnavailableError, match="no acepta la credencial"),
    ):
        engine.submit_stage("factor", "ipp-1", "token-1")
    with open_official_client(stranger) as official, pytest.raises(PermissionDenied):
        official.jobs.run_now(790)
    assert one_at_a_time.effects() == []
