"""Each function answers API Gateway's events by the contract, in the runtime that Lambda runs."""

from __future__ import annotations

import base64
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipp.jobs.job import Job, JobOwner, JobStatus
from tests.cloud.aws import client_of
from tests.cloud.functions import Answer, Functions, is_problem, read_body
from tests.cloud.gateway import build_event
from tests.cloud.http_answer import CODE, answer_event
from tests.cloud.runtime import Function
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.cloud.stack import (
    CLAIMS,
    CONFIGURED,
    TO_START,
    TOKEN,
    Stack,
    build_stack,
    run_in,
    statement_answer,
)
from tests.waiting import PATIENCE_SECONDS

ADMIN = {"sub": "boss-1", "cognito:groups": "[ipp-admin other]"}
OTHER = JobOwner(sub="somebody-else")

ASKED = {"mostradores": ["7051602", "7051603"]}

ROUTES = {
    ("POST", "/ipp/validate-clients"): "verificador",
    ("GET", "/configuraciones"): "verificador",
    ("POST", "/configuraciones"): "verificador",
    ("GET", "/cambios"): "verificador",
    ("GET", "/configuraciones/7051602"): "verificador",
    ("PUT", "/configuraciones/7051602"): "verificador",
    ("DELETE", "/configuraciones/7051602"): "verificador",
    ("POST", "/ipp/start"): "iniciador",
    ("GET", "/ipp/status/ipp-1"): "status",
    ("GET", "/ipp/jobs"): "status",
    ("POST", "/ipp/jobs/ipp-1/cancel"): "status",
    ("GET", "/ipp/results/ipp-1"): "results",
    ("GET", "/ipp/results/ipp-1/rows"): "results",
    ("GET", "/ipp/results/ipp-1/curve"): "results",
    ("GET", "/ipp/results/ipp-1/download"): "results",
}


@pytest.mark.parametrize("handler", sorted(set(ROUTES.values())))
def test_a_function_serves_its_own_routes_and_nobody_without_claims(
    ask: Functions, handler: str
) -> None:
    for (method, path), owner in ROUTES.items():
        answer = ask(handler, build_event(method, path, claims=None))
        assert is_problem(answer, 401 if owner == handler else 404), (method, path, answer)


@pytest.mark.parametrize("handler", sorted(set(ROUTES.values())))
def test_a_function_says_that_it_is_well_to_anybody(ask: Functions, handler: str) -> None:
    assert read_body(ask(handler, build_event("GET", "/healthz", claims=None))) == {"status": "ok"}


def test_mostradores_are_validated(ask: Functions) -> None:
    answer = ask(
        "verificador",
        build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=ASKED),
        statement_answer(["7051603"]),
    )
    assert answer["statusCode"] == 200
    assert read_body(answer)["validClients"] == ["7051603"]
    assert read_body(answer)["invalidClients"] == ["7051602"]
    assert ask.bearers == {f"Bearer {TOKEN}"}


def test_a_job_belongs_to_whom_the_claims_name(ask: Functions, deployed: Stack) -> None:
    answer = ask(
        "iniciador", build_event("POST", "/ipp/start", claims=CLAIMS, body=ASKED), *TO_START
    )
    assert answer["statusCode"] == 202
    assert read_body(answer)["databricks_run_id"] == "4711"
    item = client_of(deployed.address, "dynamodb").get_item(
        TableName=f"{deployed.name}-ipp-jobs", Key={"job_id": {"S": read_body(answer)["job_id"]}}
    )["Item"]
    assert {name: value["S"] for name, value in item["user_info"]["M"].items()} == {
        "email": "user@example.com",
        "username": "usuario",
        "sub": "abc-123",
        "name": "Usuaria de Prueba",
    }


def test_what_was_asked_lies_where_the_run_reads_it(ask: Functions, deployed: Stack) -> None:
    job_id = read_body(
        ask("iniciador", build_event("POST", "/ipp/start", claims=CLAIMS, body=ASKED), *TO_START)
    )["job_id"]
    laid = client_of(deployed.address, "s3").get_object(
        Bucket=f"{deployed.name}-ipp-raw", Key=f"{job_id}/solicitud.json"
    )
    assert json.loads(laid["Body"].read())["mostradores"] == [7_051_602, 7_051_603]
    assert [run["job_parameters"] for run in ask.runs_asked_for] == [{"job_id": job_id}]


def test_anothers_job_is_not_there_except_for_an_administrator(
    ask: Functions, deployed: Stack
) -> None:
    job = deployed.put(JobStatus.COMPLETED, owner=OTHER)
    assert is_problem(
        ask("status", build_event("GET", f"/ipp/status/{job.job_id}", claims=CLAIMS)), 404
    )
    found = ask("status", build_event("GET", f"/ipp/status/{job.job_id}", claims=ADMIN))
    assert read_body(found)["status"] == "COMPLETED"


def test_a_status_is_moved_on_by_its_run(ask: Functions, deployed: Stack) -> None:
    job = deployed.put(JobStatus.JOB1_RUNNING, running="4711")
    answer = ask(
        "status",
        build_event("GET", f"/ipp/status/{job.job_id}", claims=CLAIMS),
        run_in("TERMINATED", "SUCCESS"),
    )
    assert (read_body(answer)["status"], read_body(answer)["progress"]) == ("JOB1_DONE", 40)


def test_a_job_is_cancelled_with_its_run(ask: Functions, deployed: Stack) -> None:
    job = deployed.put(JobStatus.JOB1_RUNNING, running="4711")
    request = build_event("POST", f"/ipp/jobs/{job.job_id}/cancel", claims=CLAIMS)
    answer = ask("status", request, Say(content={}), run_in("TERMINATED", "CANCELED"))
    assert read_body(answer)["status"] == "CANCELLED"


def test_an_address_that_is_given_leads_back_through_the_stage(ask: Functions) -> None:
    answer = ask(
        "iniciador",
        build_event("POST", "/ipp/start", claims=CLAIMS, stage="jul-dev", body=ASKED),
        *TO_START,
    )
    location = answer["headers"]["location"]
    assert location == f"/jul-dev/ipp/status/{read_body(answer)['job_id']}"
    followed = build_event("GET", location.removeprefix("/jul-dev"), claims=CLAIMS, stage="jul-dev")
    assert followed["rawPath"] == location
    assert ask("status", followed, run_in("PENDING"))["statusCode"] == 200


def test_a_configuration_that_is_made_is_found_through_the_stage(ask: Functions) -> None:
    body = {"mostrador": "7051602", "tipo_inventario": "IPP", "monto_deseado": 950_000}
    request = build_event("POST", "/configuraciones", claims=CLAIMS, stage="jul-dev", body=body)
    answer = ask("verificador", request, statement_answer(["7051602"]), statement_answer(["1"]))
    assert (answer["statusCode"], answer["headers"]["location"]) == (
        201,
        "/jul-dev/configuraciones/7051602",
    )


def test_a_problem_names_the_address_that_was_asked_for(ask: Functions) -> None:
    answer = ask(
        "status", build_event("GET", "/ipp/status/ipp-none", claims=CLAIMS, stage="jul-dev")
    )
    assert is_problem(answer, 404)
    assert read_body(answer)["instance"] == "/jul-dev/ipp/status/ipp-none"


def test_a_domain_of_its_own_has_no_stage_in_its_addresses(ask: Functions) -> None:
    request = build_event("POST", "/ipp/start", claims=CLAIMS, body=ASKED)
    request["requestContext"]["stage"] = "jul-dev"
    answer = ask("iniciador", request, *TO_START)
    assert answer["headers"]["location"] == f"/ipp/status/{read_body(answer)['job_id']}"


def test_a_body_may_come_in_base64(ask: Functions) -> None:
    request = build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=ASKED)
    request |= {
        "body": base64.b64encode(request["body"].encode()).decode(),
        "isBase64Encoded": True,
    }
    assert read_body(ask("verificador", request, CONFIGURED))["status"] == "all_valid"


@pytest.mark.parametrize("handler", ["verificador", "iniciador"])
def test_a_body_over_a_mebibyte_is_refused(ask: Functions, handler: str) -> None:
    path = {"verificador": "/ipp/validate-clients", "iniciador": "/ipp/start"}[handler]
    request = build_event("POST", path, claims=CLAIMS, body=ASKED)
    request["body"] += " " * (1 << 20)
    assert is_problem(ask(handler, request), 413)


def test_texts_keep_their_accents_through_the_gateway(ask: Functions) -> None:
    request = build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=ASKED)
    answer = ask("verificador", request, CONFIGURED)
    assert answer["isBase64Encoded"] is False
    assert read_body(answer)["message"] == "Todos los 2 mostradores tienen configuración"


def test_whoever_waits_is_answered_before_they_give_up(deployed: Stack) -> None:
    code = (
        "import ipp.entrypoints.lambda_functions;"
        f" ipp.entrypoints.lambda_functions._REQUEST_DATABRICKS_SECONDS = 10.0{CODE}"
    )
    later = Say(429, headers={"Retry-After": "11"})  # which a call alone would wait for
    found = answer_event(deployed, "verificador", (sys.executable, "-c", code), [later])
    assert is_problem(found.answer, 503)
    assert found.answer["headers"]["retry-after"] == "11"
    assert found.asked == 1


class TestWithoutDatabricks:
    """A function whose Databricks is not set up, wholly or in part."""

    def refused(
        self, aws: str, folder: Path, handler: str, request: Answer, **environ: str
    ) -> tuple[Any, str]:
        made = build_stack(aws, folder)
        with made.function(handler, made.settings("") | environ) as function:
            answer = function.invoke(request)
        assert is_problem(answer, 503)
        return read_body(answer), json.dumps(answer)

    @pytest.mark.parametrize(
        ("handler", "path"), [("verificador", "/ipp/validate-clients"), ("iniciador", "/ipp/start")]
    )
    def test_what_is_missing_is_named(
        self, aws: str, tmp_path: Path, handler: str, path: str
    ) -> None:
        problem, _ = self.refused(
            aws, tmp_path, handler, build_event("POST", path, claims=CLAIMS, body=ASKED)
        )
        assert problem["error"] == "Configuración de Databricks incompleta"
        assert problem["message"] == (
            "Configuración de Databricks incompleta."
            " Falta fijar DATABRICKS_WORKSPACE_URL, DATABRICKS_ACCESS_TOKEN, DATABRICKS_JOB1_ID,"
            " DATABRICKS_FACTOR_JOB_ID, DATABRICKS_JOB2_ID, DATABRICKS_WAREHOUSE_ID."
        )

    def test_what_is_there_is_not_told(self, aws: str, tmp_path: Path) -> None:
        some = {
            "DATABRICKS_ACCESS_TOKEN": TOKEN,
            "DATABRICKS_JOB1_ID": "78901",
            "DATABRICKS_JOB2_ID": "78902",
        }
        request = build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=ASKED)
        problem, answer = self.refused(aws, tmp_path, "verificador", request, **some)
        assert problem["message"] == (
            "Configuración de Databricks incompleta."
            " Falta fijar DATABRICKS_WORKSPACE_URL, DATABRICKS_FACTOR_JOB_ID,"
            " DATABRICKS_WAREHOUSE_ID."
        )
        assert [value for value in some.values() if value in answer] == []


class TestSecret:
    """The credential is in a secret, which the environment names."""

    REQUEST = build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=ASKED)

    @pytest.fixture
    def asked(self, aws: str, tmp_path: Path) -> Iterator[tuple[Stack, Function, Scripted]]:
        made = build_stack(aws, tmp_path)
        with serve_script(CONFIGURED) as workspace:
            environ = made.settings(workspace.url) | {
                "DATABRICKS_SECRET": f"secretsmanager:{made.name}"
            }
            del environ["DATABRICKS_ACCESS_TOKEN"]
            with made.function("verificador", environ) as function:
                yield made, function, workspace

    def test_it_is_shown_to_databricks_and_to_nobody_else(
        self, asked: tuple[Stack, Function, Scripted]
    ) -> None:
        made, function, workspace = asked
        client_of(made.address, "secretsmanager").create_secret(
            Name=made.name, SecretString='{"token": "dapi-kept"}'
        )
        answer = function.invoke(self.REQUEST)
        assert answer["statusCode"] == 200
        assert {headers["Authorization"] for _, _, headers, _ in workspace.asked} == {
            "Bearer dapi-kept"
        }
        assert "dapi-kept" not in json.dumps(answer) + (made.folder / "verificador.log").read_text()

    def test_a_function_that_could_not_read_it_tries_again(
        self, asked: tuple[Stack, Function, Scripted]
    ) -> None:
        made, function, _ = asked
        answer = function.invoke(self.REQUEST)
        assert is_problem(answer, 503)
        assert (
            read_body(answer)["error"]
            == "El secreto de Databricks no respondió (ResourceNotFoundException)."
        )
        client_of(made.address, "secretsmanager").create_secret(
            Name=made.name, SecretString="dapi-kept"
        )
        assert function.invoke(self.REQUEST)["statusCode"] == 200


class TestDownload:
    """The answer is an address to fetch the file from."""

    @pytest.fixture
    def job(self, deployed: Stack) -> Job:
        return deployed.put(JobStatus.COMPLETED)

    def put(self, deployed: Stack, job: Job, name: str, body: bytes) -> None:
        client_of(deployed.address, "s3").put_object(
            Bucket=f"{deployed.name}-ipp-processed", Key=f"{job.job_id}/descargas/{name}", Body=body
        )

    def request(self, job_id: str, **query: str) -> dict[str, Any]:
        return build_event("GET", f"/ipp/results/{job_id}/download", claims=CLAIMS, query=query)

    @pytest.mark.parametrize(
        ("query", "stored", "named"),
        [
            ({}, "todos.csv", ".csv"),
            ({"locale": "es"}, "todos-es.csv", ".csv"),
            ({"format": "xlsx", "mostrador": "7051602"}, "7051602.xlsx", "-7051602.xlsx"),
            ({"format": "parquet"}, "todos.parquet", ".parquet"),
        ],
    )
    def test_whoever_follows_it_has_the_file(
        self,
        ask: Functions,
        deployed: Stack,
        job: Job,
        query: dict[str, str],
        stored: str,
        named: str,
    ) -> None:
        self.put(deployed, job, stored, b"what was published")
        answer = ask("results", self.request(job.job_id, **query))
        assert answer["statusCode"] == 302
        with urllib.request.urlopen(
            answer["headers"]["location"], timeout=PATIENCE_SECONDS
        ) as fetched:
            assert fetched.read() == b"what was published"
            assert (
                fetched.headers["Content-Disposition"]
                == f'attachment; filename="{job.job_id}{named}"'
            )

    def test_a_sheet_that_would_be_too_long_was_not_made(self, ask: Functions, job: Job) -> None:
        answer = ask("results", self.request(job.job_id, format="xlsx"))
        assert is_problem(answer, 400)
        assert "pida un mostrador a la vez" in read_body(answer)["detail"]

    def test_a_file_that_is_gone_is_not_found(self, ask: Functions, job: Job) -> None:
        assert is_problem(ask("results", self.request(job.job_id)), 404)

    def test_a_mostrador_that_failed_has_no_file_and_says_why(
        self, ask: Functions, job: Job
    ) -> None:
        asked = self.request(job.job_id, mostrador="7051602")
        answer = ask("results", asked, statement_answer(["7051602", "factor", "sin precio"]))
        assert is_problem(answer, 409)
        assert (
            read_body(answer)["error"]
            == "El mostrador 7051602 falló en la etapa factor: sin precio."
        )
        assert is_problem(ask("results", asked, statement_answer()), 404)

    def test_anothers_file_is_not_found(self, ask: Functions, deployed: Stack) -> None:
        job = deployed.put(JobStatus.COMPLETED, owner=OTHER)
        self.put(deployed, job, "todos.csv", b"not yours")
        assert is_problem(ask("results", self.request(job.job_id)), 404)

    def test_a_mostrador_that_is_not_in_it_is_not_found(self, ask: Functions, job: Job) -> None:
        assert is_problem(ask("results", self.request(job.job_id, mostrador="1")), 404)

    @pytest.mark.parametrize("query", [{"format": "pdf"}, {"locale": "fr"}, {"mostrador": "x"}])
    def test_what_is_no_file_of_ours_is_refused(
        self, ask: Functions, job: Job, query: dict[str, str]
    ) -> None:
        assert is_problem(ask("results", self.request(job.job_id, **query)), 400)

    def test_there_is_none_before_the_job_has_ended(self, ask: Functions, deployed: Stack) -> None:
        job = deployed.put(JobStatus.JOB1_RUNNING, running="4711")
        assert is_problem(ask("results", self.request(job.job_id), run_in("RUNNING")), 409)
