"""The workspace of the tests is held to the official client, and our engine to both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.jobs import Run

from ipp.errors import RefusedError, UnavailableError
from ipp.jobs.engines.databricks_engine import DatabricksEngine
from ipp.jobs.engines.engine import RunNotFoundError, RunOutcome, RunState
from tests.cloud.clients import (
    build_cheap_jobs,
    list_processes,
    open_engine,
    open_official_client,
    wait_for_run,
)
from tests.cloud.workspace import Effect, End, Fault, Plan, Wait, Weather, Workspace, run_workspace
from tests.waiting import wait_until

RUN_NOW = "/jobs/run-now$"
FACTOR = 790

numbers = itertools.count(1)

Answer = TypeVar("Answer")


@pytest.fixture(scope="module", params=["old", "new", "both"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A workspace that tells the state of a run in one shape, the other, or both."""
    folder = tmp_path_factory.mktemp("workspace")
    jobs = build_cheap_jobs(folder, max_concurrent_runs=100)
    with run_workspace(folder, jobs, shapes=request.param, grace=0.5) as started:
        yield started


@pytest.fixture(scope="module")
def engine(place: Workspace) -> Iterator[DatabricksEngine]:
    with open_engine(place.settings) as made:
        yield made


@pytest.fixture(scope="module")
def official(place: Workspace) -> Iterator[WorkspaceClient]:
    with open_official_client(place.settings) as made:
        yield made


@pytest.fixture
def job_id() -> str:
    return f"ipp-{next(numbers)}"


def ask_until_answered(call: Callable[[], Answer]) -> Answer:
    """Return the final answer: a caller told that the outcome is unknown asks again."""
    for _ in range(20):
        try:
            return call()
        except UnavailableError:
            continue
    raise AssertionError


def list_effects(place: Workspace, job_id: str) -> list[Effect]:
    return [effect for effect in place.effects() if effect.job_id == job_id]


def read_words(run: Run) -> set[tuple[str, str]]:
    """Return the official client's words for a run's state and result, in each shape it got."""
    found = set()
    if run.state is not None:
        old = run.state
        found.add(
            (
                old.life_cycle_state.value if old.life_cycle_state else "?",
                old.result_state.value if old.result_state else "",
            )
        )
    if run.status is not None:
        details = run.status.termination_details
        code = details.code.value if details and details.code else ""
        found.add((run.status.state.value if run.status.state else "?", code))
    return found


@pytest.mark.parametrize(
    "word", ["PENDING", "QUEUED", "BLOCKED", "WAITING_FOR_RETRY", "RUNNING", "TERMINATING"]
)
def test_a_run_that_has_not_ended_goes_on_whatever_keeps_it(
    place: Workspace, engine: DatabricksEngine, official: WorkspaceClient, job_id: str, word: str
) -> None:
    place.plan(Plan(job_id=job_id, waits=(Wait(word, looks=1_000),), runs=False))
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    wait_until(lambda: list_effects(place, job_id)[0].state, lambda state: state == word)
    assert engine.run_state(run_id).outcome is RunOutcome.RUNNING
    assert engine.run_state(run_id).state == word
    assert read_words(official.jobs.get_run(int(run_id))) <= {(word, ""), ("WAITING", "")}
    engine.cancel_run(run_id)


@pytest.mark.parametrize(
    ("state", "result", "outcome"),
    [
        ("TERMINATED", "SUCCESS", RunOutcome.DONE),
        *(
            ("TERMINATED", result, RunOutcome.FAILED)
            for result in (
                "FAILED", "TIMEDOUT", "CANCELED", "SUCCESS_WITH_FAILURES", "UPSTREAM_FAILED",
                "UPSTREAM_CANCELED",
                "EXCLUDED", "DISABLED", "MAXIMUM_CONCURRENT_RUNS_REACHED",
            )
        ),
        ("SKIPPED", "", RunOutcome.FAILED),
        ("INTERNAL_ERROR", "FAILED", RunOutcome.FAILED),
    ],
)  # fmt: skip
def test_a_run_is_done_where_it_ended_in_success_alone(
    place: Workspace,
    engine: DatabricksEngine,
    official: WorkspaceClient,
    job_id: str,
    state: str,
    result: str,
    outcome: RunOutcome,
) -> None:
    place.plan(Plan(job_id=job_id, end=End(state, result, "so it ended"), runs=False))
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    seen = wait_for_run(engine, run_id)
    assert seen.outcome is outcome
    assert "so it ended" in seen.message or outcome is RunOutcome.DONE
    assert (seen.state, seen.result) in read_words(official.jobs.get_run(int(run_id)))


def test_a_word_that_nobody_knows_yet_goes_on_and_survives(
    place: Workspace, engine: DatabricksEngine, official: WorkspaceClient, job_id: str
) -> None:
    place.plan(Plan(job_id=job_id, waits=(Wait("HIBERNATING", looks=3),)))
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    seen = wait_until(lambda: engine.run_state(run_id), lambda state: state.state == "HIBERNATING")
    assert seen.outcome is RunOutcome.UNKNOWN
    assert wait_for_run(engine, run_id).outcome is RunOutcome.DONE


def test_an_end_that_nobody_knows_yet_is_no_success(
    place: Workspace, engine: DatabricksEngine, job_id: str
) -> None:
    place.plan(Plan(job_id=job_id, end=End("TERMINATED", "MOSTLY_FINE"), runs=False))
    seen = wait_for_run(engine, engine.submit_stage("factor", job_id, f"token-{job_id}"))
    assert (seen.result, seen.outcome) == ("MOSTLY_FINE", RunOutcome.FAILED)


def test_both_clients_get_the_same_run_for_a_token(
    place: Workspace, engine: DatabricksEngine, official: WorkspaceClient, job_id: str
) -> None:
    ours = engine.submit_stage("factor", job_id, f"token-{job_id}")
    theirs = official.jobs.run_now(
        FACTOR, idempotency_token=f"token-{job_id}", job_parameters={"job_id": job_id}
    )
    assert str(theirs.run_id) == ours
    wait_for_run(engine, ours)
    (effect,) = list_effects(place, job_id)
    assert (effect.run_id, effect.job, effect.token, effect.starts) == (
        int(ours),
        FACTOR,
        f"token-{job_id}",
        1,
    )
    assert len(list_processes(place.folder, job_id)) == 1


def test_both_clients_read_the_same_of_a_run(
    engine: DatabricksEngine, official: WorkspaceClient, job_id: str
) -> None:
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    ours, theirs = wait_for_run(engine, run_id), official.jobs.get_run(int(run_id))
    assert (ours.url, ours.state) == (theirs.run_page_url, "TERMINATED")
    assert (theirs.job_id, theirs.run_id) == (FACTOR, int(run_id))
    assert {each.name: each.value for each in theirs.job_parameters or ()} == {"job_id": job_id}


@pytest.mark.parametrize(
    ("job_id", "said"),
    [("ipp-wrong", "Falta el precio de 12. → Impórtelo."), ("ipp-mute", "SystemExit: 3")],
)
def test_a_failure_says_what_the_task_said(
    engine: DatabricksEngine, official: WorkspaceClient, job_id: str, said: str
) -> None:
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    assert wait_for_run(engine, run_id).message == said
    (task,) = list(official.jobs.get_run(int(run_id)).tasks or ())
    output = official.jobs.get_run_output(task.run_id or 0)
    assert " ".join((output.error or "").split()) == said
    assert "one line for the logs" in (output.logs or "")


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_whoever_cancels_a_run_it_is_cancelled_for_both(
    place: Workspace, engine: DatabricksEngine, official: WorkspaceClient, who: str, job_id: str
) -> None:
    job_id = f"ipp-long-{job_id}"
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    wait_until(lambda: list_processes(place.folder, job_id), bool)
    for _ in range(2):
        engine.cancel_run(run_id) if who == "ours" else official.jobs.cancel_run(int(run_id))
    seen = wait_for_run(engine, run_id)
    assert seen.result in {"CANCELED", "USER_CANCELED"}
    assert (seen.state, seen.result) in read_words(official.jobs.get_run(int(run_id)))


def test_what_does_not_exist_is_refused_alike(
    engine: DatabricksEngine, official: WorkspaceClient
) -> None:
    with pytest.raises(RunNotFoundError):
        engine.run_state("12")
    with pytest.raises(ResourceDoesNotExist):
        official.jobs.get_run(12)
    engine.cancel_run("12")
    with pytest.raises(InvalidParameterValue, match="Run 12 does not exist"):
        official.jobs.cancel_run(12)
    with pytest.raises(InvalidParameterValue, match="Job 12 does not exist"):
        official.jobs.run_now(12)


def test_a_token_of_more_than_64_characters_is_refused(
    place: Workspace, engine: DatabricksEngine, official: WorkspaceClient, job_id: str
) -> None:
    with pytest.raises(RefusedError, match="INVALID_PARAMETER_VALUE"):
        engine.submit_stage("factor", job_id, "t" * 65)
    with pytest.raises(InvalidParameterValue):
        official.jobs.run_now(FACTOR, idempotency_token="t" * 65, job_parameters={"job_id": job_id})
    assert list_effects(place, job_id) == []
    engine.submit_stage("factor", job_id, f"{job_id}-".ljust(64, "t"))
    assert len(list_effects(place, job_id)) == 1


def list_faults() -> list[Fault]:
    """Everything that happens to a request, before what it asks is done and after."""
    return [
        *(Fault("drop", after=after) for after in (False, True)),
        *(
            Fault("status", status=status, after=after)
            for status in (500, 503)
            for after in (False, True)
        ),
        Fault("status", status=429, retry_after=0),
        Fault("cut", after=True),
        Fault("slow", seconds=0.1),
        Fault("slow", seconds=0.1, after=True),
    ]


@pytest.mark.parametrize(
    "fault", list_faults(), ids=lambda f: f"{f.kind} {f.status} {'after' if f.after else 'before'}"
)
def test_what_happens_to_a_request_starts_no_run_twice(
    place: Workspace, engine: DatabricksEngine, fault: Fault, job_id: str
) -> None:
    for path in (RUN_NOW, "/runs/get$", "/runs/cancel$"):
        place.suffer(Fault(**{**vars(fault), "path": path}))
    before = len(place.asked(RUN_NOW))
    run_id = engine.submit_stage("factor", job_id, f"token-{job_id}")
    assert engine.submit_stage("factor", job_id, f"token-{job_id}") == run_id
    wait_for_run(engine, run_id)
    engine.cancel_run(run_id)
    (effect,) = list_effects(place, job_id)
    assert (effect.starts, effect.result) == (1, "SUCCESS")
    assert len(list_processes(place.folder, job_id)) == 1
    tries = 2 if fault.kind == "slow" else 3
    assert len(place.asked(RUN_NOW)) - before == tries
    assert [each["fault"] != "" for each in place.asked(RUN_NOW)[before:]].count(True) == 1


def test_the_official_client_starts_no_run_twice_either(
    place: Workspace, official: WorkspaceClient, job_id: str
) -> None:
    place.suffer(
        Fault("drop", after=True, path=RUN_NOW),
        Fault("status", after=True, status=503, path=RUN_NOW, retry_after=0),
    )
    try:
        official.jobs.run_now(
            FACTOR, idempotency_token=f"token-{job_id}", job_parameters={"job_id": job_id}
        )
    except DatabricksError:
        official.jobs.run_now(
            FACTOR, idempotency_token=f"token-{job_id}", job_parameters={"job_id": job_id}
        )
    assert len(list_effects(place, job_id)) == 1


def test_in_bad_weather_each_token_has_one_run(place: Workspace, engine: DatabricksEngine) -> None:
    place.weather(Weather(seed=7, rate=0.3, faults=list_faults(), path="/jobs/run"))
    jobs = [f"ipp-weather-{number}" for number in range(20)]

    def run_to_the_end(job_id: str) -> RunState:
        ask_until_answered(lambda: engine.submit_stage("normalizador", job_id, f"token-{job_id}"))
        run_id = ask_until_answered(
            lambda: engine.submit_stage("normalizador", job_id, f"token-{job_id}")
        )
        return wait_until(
            lambda: ask_until_answered(lambda: engine.run_state(run_id)),
            lambda state: state.outcome is RunOutcome.DONE,
        )

    try:
        with ThreadPoolExecutor(4) as threads:
            assert {state.result for state in threads.map(run_to_the_end, jobs)} == {"SUCCESS"}
    finally:
        place.calm()
    seen = [effect for effect in place.effects() if effect.job_id.startswith("ipp-weather-")]
    assert sorted(effect.job_id for effect in seen) == sorted(jobs)
    assert {effect.starts for effect in seen} == {1}
    assert any(each["fault"].startswith("after") for each in place.asked(RUN_NOW))


def test_many_who_ask_at_once_with_one_token_start_one_run(
    place: Workspace, engine: DatabricksEngine, job_id: str
) -> None:
    with ThreadPoolExecutor(8) as threads:
        runs = set(
            threads.map(
                lambda _: engine.submit_stage("factor", job_id, f"token-{job_id}"), range(24)
            )
        )
    assert len(runs) == 1
    wait_for_run(engine, runs.pop())
    assert [effect.starts for effect in list_effects(place, job_id)] == [1]
