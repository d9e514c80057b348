"""What a function writes: lines that a person can look up, and nothing that opens a door."""

from __future__ import annotations

from pathlib import Path

from ipp.jobs.job import JobStatus
from tests.cloud.aws import client_of
from tests.cloud.functions import Functions, is_problem, read_body, read_log
from tests.cloud.gateway import build_event
from tests.cloud.scripted_answers import Say, serve_script
from tests.cloud.stack import CLAIMS, TOKEN, Stack, build_stack, statement_answer


def test_a_line_tells_the_request_and_the_invocation(alone: tuple[Stack, Functions]) -> None:
    made, ask = alone
    for number in (1, 2):
        request = build_event(
            "GET",
            f"/ipp/status/ipp-{number}",
            claims=CLAIMS,
            headers={"x-request-id": f"mine-{number}"},
        )
        ask("status", request)
    told = [line for line in read_log(made, "status") if line["message"] == "request"]
    assert [(line["path"], line["status"], line["request_id"]) for line in told] == [
        ("/ipp/status/ipp-1", 404, "mine-1"),
        ("/ipp/status/ipp-2", 404, "mine-2"),
    ]
    assert len({line["requestId"] for line in told}) == 2


def test_what_nobody_expected_is_told_there_and_not_to_the_caller(
    alone: tuple[Stack, Functions],
) -> None:
    made, ask = alone
    job = made.put(JobStatus.COMPLETED)
    short = statement_answer(
        ["7051602"]
    )  # a row without most of its columns, which no warehouse gives
    answer = ask(
        "results",
        build_event("GET", f"/ipp/results/{job.job_id}", claims=CLAIMS),
        statement_answer(),
        short,
    )
    assert is_problem(answer, 500)
    assert "ValueError" not in answer["body"]
    (told,) = [
        line
        for line in read_log(made, "results")
        if line["level"] == "ERROR" and line["logger"] == "ipp.server.api"
    ]
    assert told["errorType"] == "ValueError"
    assert read_body(answer)["request_id"] in told["message"]


def test_what_was_not_available_is_told_there_with_its_cause(
    alone: tuple[Stack, Functions],
) -> None:
    made, ask = alone
    client_of(made.address, "dynamodb").delete_table(TableName=f"{made.name}-ipp-jobs")
    answer = ask("status", build_event("GET", "/ipp/status/ipp-1", claims=CLAIMS))
    assert is_problem(answer, 503)
    (told,) = [
        line
        for line in read_log(made, "status")
        if line["level"] == "WARNING" and line["logger"] == "ipp.server.api"
    ]
    assert "IPP_JOBS_TABLE" in told["message"]
    assert told["errorType"] == "ResourceNotFoundException"


def test_no_credential_is_in_it(aws: str, tmp_path: Path) -> None:
    made = build_stack(aws, tmp_path)
    job = made.put(JobStatus.COMPLETED)
    client_of(aws, "s3").put_object(
        Bucket=f"{made.name}-ipp-processed", Key=f"{job.job_id}/descargas/todos.csv", Body=b""
    )
    bearer = "eyJ-the-callers-own"
    with serve_script(
        Say(403, {"error_code": "PERMISSION_DENIED", "message": f"token {TOKEN}"})
    ) as workspace:
        environ = made.settings(workspace.url) | {
            "AWS_SECRET_ACCESS_KEY": "aws-not-to-be-seen",
            "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
        }
        with made.function("results", environ) as function:
            headers = {"authorization": f"Bearer {bearer}"}
            path = f"/ipp/results/{job.job_id}"
            refused = function.invoke(build_event("GET", path, claims=CLAIMS, headers=headers))
            link = function.invoke(
                build_event("GET", f"{path}/download", claims=CLAIMS, headers=headers)
            )
    assert is_problem(refused, 503)
    signature = link["headers"]["location"].partition("X-Amz-Signature=")[2]
    assert signature
    log = (made.folder / "results.log").read_text()
    assert log
    secrets = (TOKEN, "aws-not-to-be-seen", bearer, signature)
    assert [secret for secret in secrets if secret in log + refused["body"]] == []
