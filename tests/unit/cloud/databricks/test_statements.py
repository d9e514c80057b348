"""Statements: waited for within a budget, never repeated by mistake, no value in their text."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.cloud.databricks.client import CallBudget, DatabricksClient, DatabricksRefusedError
from ipp.core.tables import CONFIGURATIONS
from ipp.errors import BusyError, IppError, UnavailableError
from ipp.storage.warehouse.databricks_warehouse import DatabricksWarehouse
from ipp.storage.warehouse.sql_statement import (
    STATEMENT_TIMEOUT_SECONDS,
    Statement,
    StatementRunner,
)
from ipp.storage.warehouse.warehouse import RowQuery
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.sample_chain import AUTHOR
from tests.unit.cloud.databricks.test_client import SETTINGS, open_client

PATH = "/api/2.0/sql/statements"
QUESTION = Statement("SELECT a, b FROM t WHERE a = :a", {"a": 1})
CHANGE = Statement("UPDATE t SET a = :a", {"a": 1}, safe=False)
COLUMNS: list[tuple[str, Callable[[str], Any]]] = [("a", int), ("b", str)]


def says(state: str, *rows: list[str | None], following: int | None = None, **status: Any) -> Say:
    """Answer about a statement; ``following`` is the number of the chunk after its first."""
    content: dict[str, Any] = {"statement_id": "s-1", "status": {"state": state, **status}}
    if state == "SUCCEEDED":
        content["result"] = chunk(*rows, following=following).content
    return Say(content=content)


def chunk(*rows: list[str | None], following: int | None = None) -> Say:
    told: dict[str, Any] = {"row_count": len(rows), "data_array": list(rows)}
    return Say(content=told if following is None else {**told, "next_chunk_index": following})


def fails(code: str, message: str = "why") -> Say:
    return says("FAILED", error={"error_code": code, "message": message})


@contextmanager
def running(
    *script: Say, waited: float = STATEMENT_TIMEOUT_SECONDS
) -> Iterator[tuple[StatementRunner, Scripted, list[float]]]:
    """Yield statements on a scripted workspace, and how long each wait was; no time passes."""
    with open_client(*script) as (client, server, slept):
        made = StatementRunner(
            client,
            "abc",
            catalog="nadro",
            waited=waited,
            clock=lambda: sum(slept),
            sleep=slept.append,
        )
        yield made, server, slept


def paths(server: Scripted) -> list[str]:
    return [f"{method} {path.removeprefix(PATH)}" for method, path, *_ in server.asked]


def body_of(server: Scripted, number: int = 0) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(server.asked[number][3])
    return content


def test_a_statement_that_runs_is_looked_at_until_it_has_ended() -> None:
    script = [
        says("PENDING"),
        says("RUNNING"),
        says("A NEW WORD"),
        says("SUCCEEDED", ["1", "x"], ["2", None]),
    ]
    with running(*script) as (statements, server, slept):
        found = statements.fetch_rows(QUESTION, COLUMNS)
    assert found == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert paths(server) == ["POST ", "GET /s-1", "GET /s-1", "GET /s-1"]
    assert slept == sorted(slept)
    assert 0 < slept[0] < 1


def test_the_workspace_answers_before_its_client_gives_up() -> None:
    with running(says("SUCCEEDED")) as (statements, server, _):
        statements.fetch_rows(QUESTION, COLUMNS)
    asked = body_of(server)
    assert asked["on_wait_timeout"] == "CONTINUE"
    assert 5 <= int(asked["wait_timeout"].removesuffix("s")) <= CallBudget().read - 2


def test_a_statement_that_takes_too_long_is_cancelled_and_given_up() -> None:
    with (
        running(says("RUNNING")) as (statements, server, slept),
        pytest.raises(UnavailableError, match="demasiado"),
    ):
        statements.fetch_rows(QUESTION, COLUMNS)
    assert paths(server)[-1] == "POST /s-1/cancel"
    assert paths(server).count("POST /s-1/cancel") == 1
    assert STATEMENT_TIMEOUT_SECONDS <= sum(slept) <= STATEMENT_TIMEOUT_SECONDS + 2


@pytest.mark.parametrize(
    "trouble", [Say(500), Say(404, {"error_code": "NOT_FOUND"}), Say(drop=True)]
)
def test_a_cancelling_that_fails_changes_nothing(trouble: Say) -> None:
    with (
        running(says("RUNNING"), waited=1.0) as (statements, server, _),
        suppress(UnavailableError),
    ):
        statements.fetch_rows(QUESTION, COLUMNS)
    script = [says("RUNNING")] * (len(server.asked) - 1) + [trouble]
    with (
        running(*script, waited=1.0) as (statements, server, _),
        pytest.raises(UnavailableError, match="demasiado"),
    ):
        statements.fetch_rows(QUESTION, COLUMNS)
    assert paths(server)[-1] == "POST /s-1/cancel"


def test_a_statement_that_has_no_number_is_not_looked_at() -> None:
    with running(Say(content={})) as (statements, server, _), pytest.raises(UnavailableError):
        statements.fetch_rows(QUESTION, COLUMNS)
    assert paths(server) == ["POST "]


@pytest.mark.parametrize(
    "code",
    [
        "ABORTED", "DEADLINE_EXCEEDED", "INTERNAL_ERROR", "IO_ERROR", "RESOURCE_EXHAUSTED",
        "SERVICE_UNDER_MAINTENANCE", "TEMPORARILY_UNAVAILABLE", "WORKSPACE_TEMPORARILY_UNAVAILABLE",
    ],
)  # fmt: skip
@pytest.mark.parametrize("looks", [0, 1])
def test_a_failure_that_passes_is_not_available_just_now(code: str, looks: int) -> None:
    script = [*[says("RUNNING")] * looks, fails(code)]
    with running(*script) as (statements, server, _), pytest.raises(UnavailableError, match=code):
        statements.fetch_rows(QUESTION, COLUMNS)
    assert len(server.asked) == 1 + looks


@pytest.mark.parametrize(
    "code", ["BAD_REQUEST", "NOT_FOUND", "UNAUTHENTICATED", "UNKNOWN", "A_NEW_CODE"]
)
def test_a_failure_that_stays_is_a_refusal_in_the_workspaces_own_words(code: str) -> None:
    message = "[TABLE_OR_VIEW_NOT_FOUND] The table or view cannot be found."
    script = [says("RUNNING"), fails(code, message)]
    with running(*script) as (statements, _, _), pytest.raises(DatabricksRefusedError) as error:
        statements.fetch_rows(QUESTION, COLUMNS)
    assert error.value.error_code == code
    assert message in error.value.message


@pytest.mark.parametrize("state", ["CANCELED", "CLOSED"])
def test_what_somebody_else_ended_is_not_available_just_now(state: str) -> None:
    with running(says(state)) as (statements, _, _), pytest.raises(UnavailableError, match=state):
        statements.fetch_rows(QUESTION, COLUMNS)


def test_a_chunk_that_does_not_come_is_not_the_end_of_the_answer() -> None:
    script = [
        says("SUCCEEDED", ["1", "x"], following=1),
        Say(404, {"error_code": "NOT_FOUND", "message": "expired"}),
    ]
    with running(*script) as (statements, _, _), pytest.raises(DatabricksRefusedError):
        statements.fetch_rows(QUESTION, COLUMNS)


def test_an_answer_that_never_ends_is_given_up() -> None:
    script = [says("SUCCEEDED", following=1), chunk(["1", "x"], following=1)]
    with (
        running(*script) as (statements, server, _),
        pytest.raises(UnavailableError, match="no termina"),
    ):
        statements.fetch_rows(QUESTION, COLUMNS)
    assert len(server.asked) < 300


@pytest.mark.parametrize("trouble", [Say(500), Say(503), Say(504), Say(drop=True)])
def test_a_change_of_which_nothing_is_known_is_not_made_again_and_a_question_is(
    trouble: Say,
) -> None:
    with running(trouble, says("SUCCEEDED", ["1", "1"])) as (statements, server, _):
        with pytest.raises(UnavailableError):
            statements.count_changed(CHANGE)
        assert len(server.asked) == 1
    with running(trouble, says("SUCCEEDED", ["1", "x"])) as (statements, server, _):
        assert statements.fetch_rows(QUESTION, COLUMNS) == [{"a": 1, "b": "x"}]
        assert paths(server) == ["POST ", "POST "]


def test_a_change_that_runs_is_looked_at_as_often_as_it_takes() -> None:
    with running(says("RUNNING"), Say(503), Say(drop=True), says("SUCCEEDED", ["2"])) as (
        statements,
        server,
        _,
    ):
        assert statements.count_changed(CHANGE) == 2
    assert paths(server) == ["POST ", "GET /s-1", "GET /s-1", "GET /s-1"]


OVERTAKEN = fails(
    "BAD_REQUEST", "[DELTA_CONCURRENT_APPEND.WITH_PARTITION_HINT] Transaction conflict detected."
)


def test_a_change_that_another_came_before_is_made_again() -> None:
    with running(OVERTAKEN, says("RUNNING"), OVERTAKEN, says("SUCCEEDED", ["1"])) as (
        statements,
        server,
        _,
    ):
        assert statements.count_changed(CHANGE) == 1
    assert paths(server) == ["POST ", "POST ", "GET /s-1", "POST "]


def test_whoever_is_always_overtaken_gives_up() -> None:
    with running(OVERTAKEN) as (statements, server, _), pytest.raises(BusyError):
        statements.count_changed(CHANGE)
    assert 1 < len(server.asked) < 10


@pytest.mark.parametrize("rows", [[], [[None]]])
def test_a_change_that_does_not_say_how_many_rows_is_not_known_to_be_made(
    rows: list[list[str | None]],
) -> None:
    with running(says("SUCCEEDED", *rows)) as (statements, _, _), pytest.raises(UnavailableError):
        statements.count_changed(CHANGE)


READS: Mapping[str, Callable[[str], Any]] = {
    "STRING": str,
    "BIGINT": int,
    "DOUBLE": float,
    "BOOLEAN": lambda text: {"true": True, "false": False}[text],
    "DATE": dt.date.fromisoformat,
}

NASTY = st.sampled_from(
    ["'", "''", '"', "`", "\\", "\\'", ":a", ":job_id", "--", "/*", ";", "{}", "%s", "?", "\n",
     "\0"],
)  # fmt: skip
TEXT = st.lists(st.one_of(NASTY, st.text(max_size=5)), max_size=6).map("".join)
VALUES = st.one_of(
    TEXT,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.dates(),
    st.none(),
)


@pytest.fixture(scope="module")
def refusing() -> Iterator[tuple[StatementRunner, Scripted]]:
    """Statements on a workspace that takes none of them."""
    with serve_script(fails("BAD_REQUEST")) as server:
        client = DatabricksClient(replace(SETTINGS, url=server.url))
        yield StatementRunner(client, "abc", catalog="nadro"), server
        client.close()


@given(st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_values_travel_beside_the_text_each_with_its_type(
    refusing: tuple[StatementRunner, Scripted], values: dict[str, Any]
) -> None:
    statements, server = refusing
    with suppress(DatabricksRefusedError):
        statements.fetch_rows(Statement("SELECT :a, :b, :c, :d", values), COLUMNS)
    asked = body_of(server, -1)
    assert asked["statement"] == "SELECT :a, :b, :c, :d"
    read = {
        each["name"]: READS[each["type"]](each["value"]) if "value" in each else None
        for each in asked["parameters"]
    }
    assert {name: repr(value) for name, value in read.items()} == {
        name: repr(value) for name, value in values.items()
    }


def sent(server: Scripted, question: Callable[[], object]) -> Mapping[str, Any]:
    with suppress(IppError):
        question()
    return body_of(server, -1)


def questions(
    warehouse: DatabricksWarehouse, text: str, number: int, amount: float, flag: bool
) -> list[Callable[[], object]]:
    """Everything that a warehouse may be asked, with these values wherever one goes."""
    cells = {
        "inventory_model": text,
        "target_investment": amount,
        "include_branded": flag,
        "mostrador": number,
    }
    row = {name: cells.get(name) for name in CONFIGURATIONS.by_name}
    return [
        lambda: warehouse.configured_counters([number]),
        lambda: warehouse.unknown_counters([number]),
        lambda: warehouse.job_summary(text, number),
        lambda: warehouse.query_rows(
            RowQuery(text, number, text, "description", False, number, number % 500, text)
        ),
        lambda: warehouse.failed_counters(text, number),
        lambda: warehouse.notices(text),
        lambda: warehouse.investment_curve(text, number),
        lambda: warehouse.list_configurations(text, number, number % 500),
        lambda: warehouse.get_configuration(number),
        lambda: warehouse.insert_configuration(row, AUTHOR),
        lambda: warehouse.update_configuration(row, row, AUTHOR),
        lambda: warehouse.delete_configuration(row, AUTHOR),
    ]


@given(
    TEXT.filter(lambda text: bool(text.strip())),
    st.integers(1, 10**10 - 1),
    st.floats(0.01, 1e12),
    st.booleans(),
)
@settings(max_examples=20)
def test_a_statement_of_the_warehouse_is_the_same_text_whatever_is_asked_for(
    refusing: tuple[StatementRunner, Scripted], text: str, number: int, amount: float, flag: bool
) -> None:
    statements, server = refusing
    warehouse = DatabricksWarehouse(statements)
    texts = [
        [sent(server, asked) for asked in questions(warehouse, *values)]
        for values in ((text, number, amount, flag), ("x", 1, 1.0, True))
    ]
    assert [asked["statement"] for asked in texts[0]] == [asked["statement"] for asked in texts[1]]
    assert all(asked["parameters"] for asked in texts[0])


def test_ten_thousand_mostradores_are_one_statement_and_one_value(
    refusing: tuple[StatementRunner, Scripted],
) -> None:
    statements, server = refusing
    many = list(range(9_999_990_000, 10_000_000_000))
    before = len(server.asked)
    asked = sent(server, lambda: DatabricksWarehouse(statements).configured_counters(many))
    assert len(server.asked) == before + 1
    assert [json.loads(each["value"]) for each in asked["parameters"]] == [many]


def test_before_any_job_has_published_there_is_nothing_to_tell_of_one() -> None:
    missing = fails(
        "BAD_REQUEST",
        "[TABLE_OR_VIEW_NOT_FOUND] The table `ipp_procesos` cannot be found.\n== SQL ==",
    )
    with running(missing) as (statements, _, _):
        assert DatabricksWarehouse(statements).publication("ipp-1") is None
    refused = fails("BAD_REQUEST", "[INSUFFICIENT_PERMISSIONS] SELECT")
    with running(refused) as (statements, _, _), pytest.raises(DatabricksRefusedError):
        DatabricksWarehouse(statements).publication("ipp-1")
