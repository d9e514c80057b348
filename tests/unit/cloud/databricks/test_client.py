"""Requests to a workspace: within a budget, never repeated by mistake, no credential in a text."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import pytest

from ipp.cloud.databricks.client import (
    CallBudget,
    DatabricksClient,
    DatabricksRefusedError,
    call_deadline,
)
from ipp.errors import IncompleteError, InvalidInputError, UnavailableError
from ipp.settings import DatabricksSettings
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.waiting import PATIENCE_SECONDS

SECRET = "dapi-not-to-be-seen"
SETTINGS = DatabricksSettings(
    url="https://adb-1.azuredatabricks.net", token=SECRET, normaliser_job="789", factor_job="790",
    publication_job="791", warehouse="abc",
)  # fmt: skip


PATIENT = CallBudget(connect=CallBudget().seconds, read=CallBudget().seconds)
"""An answer is waited for as long as a call may take: the machine of the tests may be busy."""


@contextmanager
def open_client(
    *script: Say, settings: DatabricksSettings = SETTINGS, budget: CallBudget | None = None
) -> Iterator[tuple[DatabricksClient, Scripted, list[float]]]:
    """Yield a client of a scripted server, and how long it waited each time; no time passes."""
    with serve_script(*script) as server:
        waited: list[float] = []
        client = DatabricksClient(
            replace(settings, url=server.url),
            budget=budget or PATIENT,
            clock=lambda: sum(waited),
            sleep=waited.append,
            random=Random(1),
        )
        yield client, server, waited
        client.close()


@pytest.mark.parametrize("trouble", [Say(500), Say(503), Say(429), Say(drop=True)])
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_safe_is_asked_again_until_it_is_answered(trouble: Say, method: str) -> None:
    with open_client(trouble, trouble, Say(content={"run_id": 1})) as (client, server, waited):
        answer = (
            client.get("/api/x") if method == "get" else client.post("/api/x", {"a": 1}, safe=True)
        )
    assert answer == {"run_id": 1}
    assert len(server.asked) == 3
    assert len({body for *_, body in server.asked}) == 1
    assert len(waited) == 2


@pytest.mark.parametrize("trouble", [Say(500), Say(502), Say(504), Say(drop=True)])
def test_what_may_have_been_done_and_is_not_safe_is_not_asked_again(trouble: Say) -> None:
    with open_client(trouble, Say()) as (client, server, _), pytest.raises(UnavailableError):
        client.post("/api/x", {}, safe=False)
    assert len(server.asked) == 1


def test_what_was_turned_away_unread_is_asked_again_whatever_it_is() -> None:
    with open_client(Say(429), Say()) as (client, server, _):
        client.post("/api/x", {}, safe=False)
    assert len(server.asked) == 2


def test_as_long_is_waited_as_is_asked_for() -> None:
    with open_client(Say(429, headers={"Retry-After": "3"}), Say()) as (client, _, waited):
        client.get("/api/x")
    assert waited == [3.0]


def test_what_asks_for_more_patience_than_there_is_is_told_to_the_caller() -> None:
    with (
        open_client(Say(429, headers={"Retry-After": "60"}), Say()) as (client, server, waited),
        pytest.raises(UnavailableError) as error,
    ):
        client.get("/api/x")
    assert (error.value.retry_after, waited, len(server.asked)) == (60.0, [], 1)


@pytest.mark.parametrize("trouble", [Say(500), Say(429), Say(drop=True)])
def test_no_trouble_is_tried_for_ever(trouble: Say) -> None:
    with (
        open_client(trouble, budget=CallBudget(tries=4)) as (client, server, waited),
        pytest.raises(UnavailableError),
    ):
        client.get("/api/x")
    assert len(server.asked) == 4
    assert sum(waited) < 12


def test_nobody_there_is_not_available() -> None:
    with serve_script(Say()) as gone:
        url = gone.url
    with pytest.raises(UnavailableError, match="no respondió a tiempo"):
        DatabricksClient(replace(SETTINGS, url=url), sleep=lambda _: None).get("/api/x")


def test_a_refusal_is_definite_and_in_the_workspaces_own_words() -> None:
    said = Say(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Job 789 does not exist."})
    with open_client(said) as (client, server, _), pytest.raises(DatabricksRefusedError) as error:
        client.get("/api/x")
    assert len(server.asked) == 1
    assert (error.value.status, error.value.error_code) == (400, "INVALID_PARAMETER_VALUE")
    assert str(error.value) == (
        "Databricks rechazó la petición (INVALID_PARAMETER_VALUE): Job 789 does not exist."
    )


MACHINE = replace(SETTINGS, token="", client_id="principal", client_secret=SECRET)
GIVEN = Say(content={"access_token": "one-" + SECRET, "expires_in": 3600})
AGAIN = Say(content={"access_token": "two", "expires_in": 3600})


def test_a_machine_asks_for_a_token_once_and_uses_it_until_it_is_about_to_end() -> None:
    script = [GIVEN, Say(), Say(), Say(), AGAIN, Say()]
    with open_client(*script, settings=MACHINE) as (client, server, waited):
        for seconds in (0.0, 0.0, 3_539.0, 2.0):
            waited.append(seconds)
            client.get("/api/x")
    assert [
        (path, headers.get("Authorization"))
        for _, path, headers, _ in server.asked
        if path == "/api/x"
    ] == [
        *[("/api/x", f"Bearer one-{SECRET}")] * 3, ("/api/x", "Bearer two"),
    ]  # fmt: skip
    assert [path for _, path, *_ in server.asked] == [
        "/oidc/v1/token", "/api/x", "/api/x", "/api/x", "/oidc/v1/token", "/api/x",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_ended_early_is_renewed_once(status: int) -> None:
    with open_client(GIVEN, Say(status), AGAIN, Say(content={"ok": 1}), settings=MACHINE) as (
        client,
        server,
        _,
    ):
        assert client.get("/api/x") == {"ok": 1}
    assert [
        headers.get("Authorization") for _, path, headers, _ in server.asked if path == "/api/x"
    ] == [
        f"Bearer one-{SECRET}", "Bearer two",
    ]  # fmt: skip


@pytest.mark.parametrize("trouble", [Say(500), Say(503), Say(429), Say(drop=True)])
def test_a_token_that_could_not_be_had_just_now_is_asked_for_again_whatever_it_is_for(
    trouble: Say,
) -> None:
    with open_client(trouble, trouble, GIVEN, Say(content={"ok": 1}), settings=MACHINE) as (
        client,
        server,
        waited,
    ):
        assert client.post("/api/x", {}, safe=False) == {"ok": 1}
    assert [path for _, path, *_ in server.asked] == ["/oidc/v1/token"] * 3 + ["/api/x"]
    assert len(waited) == 2


@pytest.mark.parametrize("status", [400, 401])
def test_a_machine_that_the_workspace_does_not_know_is_the_operators_to_mend(status: int) -> None:
    with (
        open_client(Say(status, {"error": "invalid_client"}), settings=MACHINE) as (
            client,
            server,
            _,
        ),
        pytest.raises(UnavailableError, match=r"no dio un token a IPP \(invalid_client\)") as error,
    ):
        client.get("/api/x")
    assert "client_id y client_secret" in error.value.hint
    assert len(server.asked) == 1


def test_an_answer_that_sends_us_elsewhere_is_nobody_we_asked() -> None:
    with (
        open_client(Say(302, headers={"Location": "https://login.example"})) as (client, server, _),
        pytest.raises(UnavailableError, match="responde otro") as error,
    ):
        client.post("/api/x", {}, safe=True)
    assert "DATABRICKS_WORKSPACE_URL" in error.value.hint
    assert len(server.asked) == 1


def test_no_answer_is_waited_for_longer_than_the_budget_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = replace(SETTINGS, url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        client = DatabricksClient(settings, budget=CallBudget(seconds=1.5, read=3_600.0))
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="no respondió a tiempo"):
            client.get("/api/x")
        client.close()
    assert time.monotonic() - begun < PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("settings", "tokens", "status", "asked"),
    [(SETTINGS, [], 401, 2), (SETTINGS, [], 403, 1), (MACHINE, [GIVEN, AGAIN], 401, 4),
     (MACHINE, [GIVEN, AGAIN], 403, 4)],
)  # fmt: skip
def test_a_credential_that_is_not_accepted_is_the_operators_to_mend(
    settings: DatabricksSettings, tokens: list[Say], status: int, asked: int
) -> None:
    refusal = Say(status, {"error_code": "PERMISSION_DENIED"})
    script = [each for token in tokens for each in (token, refusal)] or [refusal]
    with (
        open_client(*script, settings=settings) as (client, server, _),
        pytest.raises(UnavailableError, match="no acepta la credencial") as error,
    ):
        client.get("/api/x")
    assert "Quien opera IPP" in error.value.hint
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    "say", [Say(500), Say(401), Say(403), Say(400, {"message": "no"}), Say(429), Say(drop=True)]
)
@pytest.mark.parametrize("settings", [SETTINGS, MACHINE])
def test_no_text_has_a_credential_in_it(
    say: Say, settings: DatabricksSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    script = [say] if settings is SETTINGS else [GIVEN, say]
    with open_client(*script, settings=settings) as (client, _, _):
        with pytest.raises((UnavailableError, DatabricksRefusedError)) as error:
            client.get("/api/x")
        texts = [
            str(error.value),
            repr(error.value),
            repr(client),
            repr(settings),
            repr(vars(client)),
            caplog.text,
        ]
        chain: BaseException | None = error.value
        while chain is not None:
            texts.append(repr(chain) + str(chain.args))
            chain = chain.__context__
    assert not any(SECRET in text for text in texts)


def test_what_is_not_set_is_named_and_nothing_of_what_is() -> None:
    some = DatabricksSettings(
        url="https://adb-1.azuredatabricks.net", token=SECRET, warehouse="abc"
    )
    with pytest.raises(IncompleteError) as error:
        DatabricksClient(some).get("/api/x")
    assert error.value.message == "Configuración de Databricks incompleta"
    assert error.value.missing == (
        "DATABRICKS_JOB1_ID",
        "DATABRICKS_FACTOR_JOB_ID",
        "DATABRICKS_JOB2_ID",
    )
    assert (
        error.value.hint
        == "Falta fijar DATABRICKS_JOB1_ID, DATABRICKS_FACTOR_JOB_ID, DATABRICKS_JOB2_ID."
    )


ENVIRON = {
    "DATABRICKS_WORKSPACE_URL": "https://adb-1.azuredatabricks.net/",
    "DATABRICKS_JOB1_ID": "789", "DATABRICKS_FACTOR_JOB_ID": "790", "DATABRICKS_JOB2_ID": "791",
    "DATABRICKS_WAREHOUSE_ID": "abc",
}  # fmt: skip


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        (f" {SECRET}\n", SETTINGS),
        (json.dumps({"client_id": "principal", "client_secret": SECRET}), MACHINE),
        (json.dumps({"token": SECRET}), SETTINGS),
    ],
)
def test_a_secret_holds_a_token_or_a_principal(secret: str, found: DatabricksSettings) -> None:
    environ = ENVIRON | {"DATABRICKS_SECRET": "secretsmanager:ipp/cloud/databricks"}
    assert DatabricksSettings.from_environment(environ, lambda name: secret) == found


def test_the_environments_own_credential_comes_first_and_no_secret_is_asked_for() -> None:
    def never(_name: str) -> str:
        raise AssertionError

    environ = ENVIRON | {"DATABRICKS_ACCESS_TOKEN": SECRET, "DATABRICKS_SECRET": "ssm:ipp"}
    assert DatabricksSettings.from_environment(environ, never) == SETTINGS


@pytest.mark.parametrize(
    "url", ["http://adb-1.azuredatabricks.net", "adb-1.azuredatabricks.net", "file:///etc"]
)
def test_a_token_travels_only_to_an_address_that_is_encrypted(url: str) -> None:
    with pytest.raises(InvalidInputError, match="DATABRICKS_WORKSPACE_URL"):
        DatabricksSettings.from_environment(
            ENVIRON | {"DATABRICKS_WORKSPACE_URL": url}, lambda _: ""
        )


def test_whoever_waits_for_several_answers_waits_for_all_of_them_only_so_long() -> None:
    """Each call alone would be tried four times, with 1.4 seconds between."""
    with open_client(Say(503), budget=CallBudget(tries=4, first=0.2)) as (client, server, waited):
        with call_deadline(0.25):
            for _ in range(3):
                with pytest.raises(UnavailableError):
                    client.get("/api/x")
        assert sum(waited) <= 3 * 0.25
        assert len(server.asked) < 3 * 4
        with pytest.raises(UnavailableError):
            client.get("/api/x")
    assert len(server.asked) >= 3 + 4
