"""What a workspace's answers about a run mean, whatever shape its API gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ipp.cloud.databricks.client import DatabricksClient, DatabricksRefusedError
from ipp.errors import UnavailableError
from ipp.jobs.engines.databricks_engine import FAST_START_COUNTERS, DatabricksEngine
from ipp.jobs.engines.engine import RunNotFoundError, RunState
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.unit.cloud.databricks.test_client import SETTINGS, open_client

NOW = 1_800_000_000.0
PAGE = "https://adb-1.azuredatabricks.net/runs/7"


@contextmanager
def open_engine(*script: Say) -> Iterator[tuple[DatabricksEngine, Scripted]]:
    with open_client(*script) as (client, server, _):
        yield DatabricksEngine(client, SETTINGS, clock=lambda: NOW), server


def seen(run: Mapping[str, Any], *more: Say) -> RunState:
    with open_engine(Say(content=dict(run)), *more) as (engine, server):
        state = engine.run_state("7")
    assert server.asked[0][1].endswith("/runs/get?run_id=7")
    return state


def old(state: str, result: str = "", message: str = "") -> dict[str, Any]:
    """A run's state as the older field has it."""
    return {
        "state": {"life_cycle_state": state, "state_message": message}
        | ({"result_state": result} if result else {})
    }


def new(state: str, code: str = "", message: str = "") -> dict[str, Any]:
    """A run's state as the newer field has it."""
    details = {"termination_details": {"code": code, "message": message}} if code else {}
    return {"status": {"state": state} | details}


@pytest.mark.parametrize(
    ("run", "state"),
    [
        (old("PENDING"), RunState("PENDING")),
        (old("TERMINATED", "SUCCESS"), RunState("TERMINATED", "SUCCESS")),
        (old("RUNNING", message="In run"), RunState("RUNNING", message="In run")),
        (new("QUEUED"), RunState("QUEUED")),
        (new("WAITING"), RunState("WAITING_FOR_RETRY")),
        (new("TERMINATED", "SUCCESS"), RunState("TERMINATED", "SUCCESS")),
        (old("RUNNING") | new("TERMINATED", "FAILED"), RunState("RUNNING")),
        ({"state": None, **new("BLOCKED")}, RunState("BLOCKED")),
        ({}, RunState("")),
        ({"run_page_url": PAGE, **old("RUNNING")}, RunState("RUNNING", url=PAGE)),
    ],
    ids=str,
)
def test_a_state_is_read_from_either_field(run: dict[str, Any], state: RunState) -> None:
    assert seen(run) == state


def attempt(number: int, start: float, setup: float = 0.0, state: str = "RUNNING") -> Any:
    moments = {"start_time": int(start * 1_000), "setup_duration": int(setup * 1_000)}
    return {"attempt_number": number, "run_id": 70 + number, **moments, **old(state)}


@pytest.mark.parametrize(
    ("run", "ran"),
    [
        (old("RUNNING") | {"tasks": [attempt(0, NOW - 100)]}, 100.0),
        (old("RUNNING") | {"tasks": [attempt(0, NOW - 100, 30)]}, 70.0),
        (old("RUNNING") | {"tasks": [attempt(1, NOW - 5), attempt(0, NOW - 900)]}, 5.0),
        (old("RUNNING") | {"tasks": [attempt(0, NOW + 3_600)]}, 0.0),
        (old("RUNNING") | {"tasks": [attempt(0, 0)]}, 0.0),
        (old("RUNNING") | {"tasks": [attempt(0, NOW - 100, state="PENDING")]}, 0.0),
        (old("PENDING") | {"tasks": [attempt(0, NOW - 100)]}, 0.0),
        (old("RUNNING") | {"start_time": int(NOW - 9)}, 0.0),
        (old("RUNNING") | {"tasks": []}, 0.0),
    ],
    ids=str,
)
def test_a_stage_runs_while_its_last_attempt_does(run: dict[str, Any], ran: float) -> None:
    assert seen(run).ran == ran


FAILED = old("TERMINATED", "FAILED", "Task stage failed") | {
    "tasks": [{"attempt_number": 1, "run_id": 72}, {"attempt_number": 0, "run_id": 71}],
    "run_page_url": PAGE,
}


def test_a_failure_is_told_by_the_error_of_the_last_attempt() -> None:
    error = "ipp.errors.InvalidInputError: Falta el precio\n  de 12."
    with open_engine(Say(content=FAILED), Say(content={"error": error})) as (engine, server):
        state = engine.run_state("7")
    assert state == RunState("TERMINATED", "FAILED", "Falta el precio de 12.", PAGE)
    assert server.asked[1][1].endswith("/runs/get-output?run_id=72")


@pytest.mark.parametrize(
    "answer", [Say(404), Say(403), Say(content={}), Say(content={"error": ""})]
)
def test_a_failure_without_an_error_is_told_by_the_message_of_the_run(answer: Say) -> None:
    assert seen(FAILED, answer).message == "Task stage failed"


def test_a_failure_that_never_began_a_task_is_told_by_its_message() -> None:
    run = old("INTERNAL_ERROR", "FAILED", "No cluster")
    with open_engine(Say(content=run)) as (engine, server):
        assert engine.run_state("7").message == "No cluster"
    assert len(server.asked) == 1


def test_a_long_error_is_cut() -> None:
    assert len(seen(FAILED, Say(content={"error": "x" * 5_000})).message) == 2_000


@pytest.mark.parametrize("status", [400, 404])
def test_a_run_that_the_workspace_does_not_know_is_not_found(status: int) -> None:
    with open_engine(Say(status)) as (engine, _), pytest.raises(RunNotFoundError):
        engine.run_state("7")


def test_a_workspace_that_refuses_to_say_is_not_one_that_knows_no_run() -> None:
    with open_engine(Say(409)) as (engine, _), pytest.raises(DatabricksRefusedError) as caught:
        engine.run_state("7")
    assert not isinstance(caught.value, RunNotFoundError)


def test_a_start_names_the_job_its_token_and_what_to_compute() -> None:
    numbers = {"normalizador": 789, "factor": 790, "publicacion": 791}
    for stage, number in numbers.items():
        with open_engine(Say(content={"run_id": 5})) as (engine, server):
            assert engine.submit_stage(stage, "ipp-1", "token-1") == "5"
        assert json.loads(server.asked[0][3]) == {
            "job_id": number, "idempotency_token": "token-1",
            "job_parameters": {"job_id": "ipp-1"}, "performance_target": "PERFORMANCE_OPTIMIZED",
        }  # fmt: skip


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_large_job_runs_in_the_mode_of_its_databricks_job(beyond: int) -> None:
    with open_engine(Say(content={"run_id": 5})) as (engine, server):
        engine.submit_stage("factor", "ipp-1", "token-1", FAST_START_COUNTERS + beyond)
    assert ("performance_target" in json.loads(server.asked[0][3])) == (not beyond)


def test_a_start_whose_answer_names_no_run_may_have_happened() -> None:
    """It is asked for again, by its token."""
    with open_engine(Say(content={})) as (engine, _), pytest.raises(UnavailableError):
        engine.submit_stage("factor", "ipp-1", "token-1")


@pytest.mark.parametrize(
    ("run_id", "answer", "asked"), [("7", Say(404), 1), ("7", Say(), 1), ("run-7", Say(), 0)]
)
def test_cancelling_what_has_ended_or_is_no_run_is_nothing(
    run_id: str, answer: Say, asked: int
) -> None:
    with open_engine(answer) as (engine, server):
        engine.cancel_run(run_id)
    assert [json.loads(body) for _, _, _, body in server.asked] == [{"run_id": 7}] * asked


def test_cancelling_at_a_workspace_that_is_away_is_not_done() -> None:
    with open_engine(Say(503)) as (engine, _), pytest.raises(UnavailableError):
        engine.cancel_run("7")


def test_what_may_be_asked_twice_is_asked_again_when_the_answer_is_lost() -> None:
    with open_engine(Say(500), Say(content={"run_id": 5}), Say(drop=True), Say()) as (
        engine,
        server,
    ):
        assert engine.submit_stage("factor", "ipp-1", "token-1") == "5"
        engine.cancel_run("5")
    assert [path.rpartition("/")[2] for _, path, _, _ in server.asked] == [
        "run-now", "run-now", "cancel", "cancel",
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["", "abc", "7 9", "-1"])
def test_a_stage_without_the_number_of_a_job_is_refused_unasked(number: str) -> None:
    with serve_script(Say(content={"run_id": 5})) as server:
        settings = replace(SETTINGS, url=server.url, factor_job=number)
        client = DatabricksClient(settings)
        with pytest.raises(DatabricksRefusedError, match="no es el número de un job"):
            DatabricksEngine(client, settings).submit_stage("factor", "ipp-1", "token-1")
        client.close()
    assert server.asked == []
