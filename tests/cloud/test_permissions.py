"""Each role lets its function do what the function does, and nothing else.

The functions run against what the template makes, with the environment that it gives them; every
call of theirs is noted as the action and the resource that IAM would be asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ipp.jobs.job import JobOwner, JobStatus
from tests.cloud.aws import aws_environment, client_of, run_moto
from tests.cloud.aws_call import Permission, covers, read_permissions, recording_program
from tests.cloud.gateway import build_event
from tests.cloud.runtime import Function
from tests.cloud.scripted_answers import Say, Scripted, serve_script
from tests.cloud.stack import CLAIMS, CONFIGURED, STARTED, TO_START, Stack, run_in, statement_answer
from tests.cloud.template import ACCOUNT, ROLE, Template, create_stack, role_statements

TEMPLATE = Template(
    {
        "Stage": "jul-dev",
        "DatabricksJob1Id": "789",
        "DatabricksFactorJobId": "790",
        "DatabricksJob2Id": "791",
        "DatabricksWarehouseId": "abc",
    }
)

ADMIN = {"sub": "boss-1", "cognito:groups": "[ipp-admin]"}
ASKED = {"mostradores": ["7051602", "7051603"]}

OF_LAMBDA_ITSELF = {"Log", "Trace", "DeadLetters"}
"""What Lambda does by a function's role, before and after the function's own code."""

RECORDING = recording_program("from awslambdaric.__main__ import main", "main(sys.argv)")
"""Lambda's runtime, which records its calls to AWS."""

ROLES = {
    "VerificadorRole": "IppVerificador",
    "IniciadorRole": "IppIniciador",
    "StatusRole": "IppStatus",
    "ResultsRole": "IppResults",
    "ReconcilerRole": "IppReconciler",
    "AutomaticoRole": "IppAutomatico",
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What the template makes, with the secret that an operator puts beside it."""
    with run_moto(tmp_path_factory.mktemp("aws")) as address:
        create_stack(address, TEMPLATE.parameters)
        client_of(address, "secretsmanager").create_secret(
            Name="invenadro-backend/ipp-databricks", SecretString=json.dumps({"token": "dapi-1"})
        )
        yield Stack(address, "invenadro-backend-jul-dev", tmp_path_factory.mktemp("logs"))


class Watched:
    """The functions of a stack, in Lambda's runtime; ``asked`` is what their calls ask IAM for."""

    def __init__(
        self, deployed: Stack, workspace: Scripted, folder: Path, started: ExitStack
    ) -> None:
        self.deployed = deployed
        self._workspace = workspace
        self._notes = folder / "calls.jsonl"
        self._started = started
        self._functions: dict[str, Function] = {}

    def __call__(self, handler: str, event: Mapping[str, Any], *databricks: Say) -> Any:
        self._workspace.script[:] = databricks or [Say(500)]
        if handler not in self._functions:
            environ = {
                **TEMPLATE.environment,
                **aws_environment(self.deployed.address),
                "DATABRICKS_WORKSPACE_URL": self._workspace.url,
                "NOTES": str(self._notes),
            }
            function = self.deployed.function(handler, environ, (sys.executable, "-c", RECORDING))
            self._functions[handler] = self._started.enter_context(function)
        return self._functions[handler].invoke(event)

    @property
    def asked(self) -> set[Permission]:
        return read_permissions(self._notes)


@pytest.fixture
def ask(deployed: Stack, tmp_path: Path) -> Iterator[Watched]:
    with serve_script(Say(500)) as workspace, ExitStack() as started:
        yield Watched(deployed, workspace, tmp_path, started)


def verify(ask: Watched) -> None:
    request = build_event("POST", "/ipp/validate-clients", claims=CLAIMS, body=ASKED)
    assert ask("verificador", request, statement_answer(["7051602"]))["statusCode"] == 200


def start(ask: Watched) -> None:
    for n in range(3):  # who has several running has them counted by their items, many at a time
        headers = {"idempotency-key": f"key-{n}"}
        request = build_event(
            "POST", "/ipp/start", claims={"sub": "starter-1"}, body=ASKED, headers=headers
        )
        assert ask("iniciador", request, *TO_START)["statusCode"] == 202


def look(ask: Watched) -> None:
    running, new = (
        ask.deployed.put(JobStatus.JOB1_RUNNING, running="4711"),
        ask.deployed.put(JobStatus.JOB1_RUNNING),
    )
    status = build_event("GET", f"/ipp/status/{running.job_id}", claims=CLAIMS)
    assert ask("status", status, run_in("RUNNING"))["statusCode"] == 200
    for _ in range(2):  # its first stage is begun, and then asked for
        status = build_event("GET", f"/ipp/status/{new.job_id}", claims=CLAIMS)
        assert ask("status", status, STARTED)["statusCode"] == 200
    for claims in (CLAIMS, ADMIN):
        listed = ask("status", build_event("GET", "/ipp/jobs", claims=claims))
        assert len(json.loads(listed["body"])["jobs"]) >= 2
    cancel = build_event("POST", f"/ipp/jobs/{running.job_id}/cancel", claims=CLAIMS)
    assert (
        ask("status", cancel, Say(content={}), run_in("TERMINATED", "CANCELED"))["statusCode"]
        == 200
    )


def fetch(ask: Watched) -> None:
    early = build_event(
        "GET", f"/ipp/results/{ask.deployed.put(JobStatus.JOB1_RUNNING).job_id}", claims=CLAIMS
    )
    for _ in range(2):
        assert ask("results", early, STARTED)["statusCode"] == 409
    job = ask.deployed.put(JobStatus.COMPLETED)
    download = build_event("GET", f"/ipp/results/{job.job_id}/download", claims=CLAIMS)
    assert ask("results", download)["statusCode"] == 404
    client_of(ask.deployed.address, "s3").put_object(
        Bucket=TEMPLATE.environment["IPP_PROCESSED_BUCKET"],
        Key=f"{job.job_id}/descargas/todos.csv",
        Body=b"a",
    )
    assert ask("results", download)["statusCode"] == 302


def sweep(ask: Watched) -> None:
    job = ask.deployed.put(JobStatus.JOB1_RUNNING, owner=JobOwner(sub="sweeper-1"))
    ask.deployed.put(JobStatus.JOB1_RUNNING, owner=JobOwner(sub="sweeper-1"))
    assert ask("reconciler", {}, STARTED, run_in("RUNNING"))["waiting"] >= 2
    created = {
        "detail-type": "Object Created",
        "detail": {"object": {"key": f"{job.job_id}/raw_data.xlsx"}},
    }
    assert ask("reconciler", created, run_in("RUNNING"))["job_id"] == job.job_id


def morning(ask: Watched) -> None:
    for n in range(3):
        day = (dt.date(2026, 7, 10) + dt.timedelta(days=n)).isoformat()
        started = ask("automatic", {"time": f"{day}T14:00:00Z"}, CONFIGURED, CONFIGURED, *TO_START)
        assert started["mostradores_count"] == 2


DOES = {
    "IppVerificador": verify,
    "IppIniciador": start,
    "IppStatus": look,
    "IppResults": fetch,
    "IppReconciler": sweep,
    "IppAutomatico": morning,
}


@pytest.mark.parametrize(("role", "function"), ROLES.items())
def test_a_role_grants_what_its_function_asks_for_and_nothing_else(
    ask: Watched, role: str, function: str
) -> None:
    DOES[function](ask)
    granted = {
        (action, resource): statement["Sid"]
        for statement in role_statements(TEMPLATE.properties(role))
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    refused = [
        (action, resource)
        for action, resource in ask.asked
        if not any(action == given and covers(pattern, resource) for given, pattern in granted)
    ]
    assert not refused
    idle = {
        (given, pattern)
        for (given, pattern), sid in granted.items()
        if sid not in OF_LAMBDA_ITSELF
        and not any(action == given and covers(pattern, resource) for action, resource in ask.asked)
    }
    assert not idle


@pytest.mark.parametrize("role", TEMPLATE.of(ROLE))
def test_no_action_and_no_resource_is_every_one(role: str) -> None:
    assert "ManagedPolicyArns" not in TEMPLATE.properties(role)
    for statement in role_statements(TEMPLATE.properties(role)):
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Sid"] == "Trace":  # X-Ray has no resources to name
            assert statement["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
            continue
        for resource in statement["Resource"]:
            # What is named at run time may be any: a log's streams, a bucket's objects.
            named = re.sub(
                r"^arn:aws:logs:[^*]+:log-group:[^*]+:\*$|^arn:aws:s3:::[^*/]+/.+$", "", resource
            )
            assert "*" not in named, resource


def test_each_function_has_a_role_that_nobody_else_has() -> None:
    roles = {TEMPLATE.functions[function]["Role"] for function in ROLES.values()}
    assert roles == {f"arn:aws:iam::{ACCOUNT}:role/{role}" for role in ROLES}
    assert {*ROLES, "SchedulerRole"} == set(TEMPLATE.of(ROLE))
    for role in TEMPLATE.of(ROLE):
        (trusted,) = TEMPLATE.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler.amazonaws.com" if role == "SchedulerRole" else "lambda.amazonaws.com"
        assert trusted["Principal"] == {"Service": service}


def test_databricks_has_a_role_only_where_it_is_said_who_databricks_is() -> None:
    assert "DatabricksRole" not in TEMPLATE.resources
    assert (
        "DatabricksRole"
        not in Template({"Stage": "jul-dev", "DatabricksExternalId": "e-1"}).resources
    )


def test_the_role_of_databricks_is_for_whom_is_named_and_for_the_two_buckets() -> None:
    who = "arn:aws:iam::414351767826:role/unity"
    named = {"Stage": "jul-dev", "DatabricksPrincipalArn": who, "DatabricksExternalId": "e-1"}
    role = Template(named).properties("DatabricksRole")
    theirs, own = role["AssumeRolePolicyDocument"]["Statement"]
    assert theirs["Principal"] == {"AWS": who}
    itself = f"arn:aws:iam::{ACCOUNT}:role/{role['RoleName']}"
    assert own["Condition"]["ArnEquals"] == {"aws:PrincipalArn": itself}
    assert {it["Condition"]["StringEquals"]["sts:ExternalId"] for it in (theirs, own)} == {"e-1"}
    buckets = [
        f"arn:aws:s3:::invenadro-backend-jul-dev-ipp-{it}-{ACCOUNT}" for it in ("raw", "processed")
    ]
    reached = {
        resource for statement in role_statements(role) for resource in statement["Resource"]
    }
    assert reached == {*buckets, *(f"{bucket}/*" for bucket in buckets), itself}
