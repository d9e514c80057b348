"""The deploy command: it refuses what it does not know before any call, then calls what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours
from infra import deploy

from tests.cloud.template import FUNCTION, Template, load_template
from tests.waiting import PATIENCE_SECONDS

ROOT = deploy.HERE.parent

FAKE = """#!{python}
import json, os, sys
name = os.path.basename(sys.argv[0])
if "BUNDLE_VAR_on_failure" in os.environ:
    sys.exit("a variable of the environment cannot be a list")
with open({record!r}, "a") as record:
    print(json.dumps([name, *sys.argv[1:]]), file=record)
if "summary" in sys.argv:
    print({summary!r})
if "stack-outputs" in sys.argv:
    print({outputs!r})
if "invoke" in sys.argv:
    answers = json.load(open({answers!r}))
    answer = answers.pop(0)
    json.dump(answers, open({answers!r}, "w"))
    json.dump(answer, open(sys.argv[-1], "w"))
    print(json.dumps({{"StatusCode": 200, **answer.pop("_", {{}})}}))
sys.exit(name == os.environ.get("FAILING") and 3)
"""
"""A command that notes how it was called."""

SUMMARY = {
    "resources": {
        "jobs": {"normalise": {"id": "11"}, "factor": {"id": "12"}, "publish": {"id": "13"}}
    }
}

OUTPUTS = [
    {"OutputKey": "ApiAddress", "OutputValue": "https://x.example/jul-dev"},
    {"OutputKey": "SignInAddress", "OutputValue": "https://y.example"},
]
"""As ``sam list stack-outputs`` prints them."""

Called = Callable[[], list[list[str]]]


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Called:
    """Commands of our own are found first; what they were called with, in order."""
    commands, record = tmp_path / "commands", tmp_path / "record"
    commands.mkdir()
    for name in ("sam", "aws", "databricks"):
        command = commands / name
        command.write_text(
            FAKE.format(
                python=sys.executable,
                record=str(record),
                summary=json.dumps(SUMMARY),
                outputs=json.dumps(OUTPUTS),
                answers=str(tmp_path / "answers"),
            )
        )
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    for parameter in deploy.parameters():
        monkeypatch.delenv(deploy._variable(parameter), raising=False)
    return lambda: (
        [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    )


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("make", f"PYTHON={sys.executable}", *arguments)


def overrides(command: Sequence[str]) -> dict[str, str]:
    """The parameters that a deployment of the stack sets."""
    given = command[command.index("--parameter-overrides") + 1 :]
    return {name: value.strip('"') for name, _, value in (pair.partition("=") for pair in given)}


@pytest.mark.parametrize("target", ["deploy", "deploy-function", "logs"])
@pytest.mark.parametrize("stage", ["", "prod", "jul-dev nadro-prod", "JUL-DEV"])
def test_a_stage_that_is_none_is_refused_before_anything_is_called(
    called: Called, target: str, stage: str
) -> None:
    ended = make(target, f"STAGE={stage}", "FUNCTION=IppStatus")
    assert ended.returncode != 0
    assert "one of jul-dev, jul-qa, nadro-qa, nadro-prod" in ended.stderr
    assert called() == []


@pytest.mark.parametrize("target", ["deploy-function", "logs"])
@pytest.mark.parametrize("function", ["", "IppNada", "ippstatus"])
def test_a_function_that_is_none_is_refused_before_anything_is_called(
    called: Called, target: str, function: str
) -> None:
    ended = make(target, "STAGE=jul-dev", f"FUNCTION={function}")
    assert ended.returncode != 0
    assert "one of IppVerificador, IppIniciador, IppStatus" in ended.stderr
    assert called() == []


@pytest.mark.parametrize(
    ("target", "command"), [("deploy", "databricks"), ("deploy-function", "aws"), ("logs", "aws")]
)
def test_a_command_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, command: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = run(sys.executable, "infra/deploy.py", target, "jul-dev", "IppStatus", "--check")
    assert ended.returncode == 2
    assert f"the command {command} is missing: install" in ended.stderr


@pytest.mark.parametrize("target", ["deploy", "deploy-function"])
def test_it_is_checked_then_packaged_then_deployed(target: str) -> None:
    told = make("--dry-run", target, "STAGE=jul-dev", "FUNCTION=IppStatus").stdout
    order = [f'{target} "jul-dev"', "--check", "infra/package.py dist", f'{target} "jul-dev"']
    places, start = [], 0
    for step in order:
        start = told.index(step, start) + 1
        places.append(start)
    assert places == sorted(places)


@pytest.mark.parametrize("stage", deploy.STAGES)
def test_the_stack_is_first_and_learns_the_numbers_of_the_bundles_jobs(
    called: Called, stage: str
) -> None:
    assert run(sys.executable, "infra/deploy.py", "deploy", stage).returncode == 0
    first, bundle, summary, second, outputs = called()
    assert outputs[:3] == ["sam", "list", "stack-outputs"]
    assert bundle == ["databricks", "bundle", "deploy", "--target", stage]
    assert summary == ["databricks", "bundle", "summary", "--target", stage, "--output", "json"]
    for stack in (first, second):
        assert stack[:2] == ["sam", "deploy"]
        assert stack[stack.index("--stack-name") + 1] == f"invenadro-backend-{stage}-ipp"
        assert Path(stack[stack.index("--template-file") + 1]) == deploy.TEMPLATE
        assert stack[stack.index("--on-failure") + 1] == "DELETE"
    assert overrides(first) == {"Stage": stage}
    assert overrides(second) == {
        "Stage": stage,
        "ProtectData": "true",
        "DatabricksJob1Id": "11",
        "DatabricksFactorJobId": "12",
        "DatabricksJob2Id": "13",
    }


@pytest.mark.parametrize(
    ("given", "addresses"),
    [("", []), ("a@x.mx", ["a@x.mx"]), (" a@x.mx, b@x.mx,", ["a@x.mx", "b@x.mx"])],
)
def test_whom_a_failure_is_told_reaches_the_bundle_as_the_list_that_it_is(
    called: Called,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    addresses: list[str],
) -> None:
    shutil.copytree(deploy.HERE, tmp_path / "infra", ignore=shutil.ignore_patterns(".databricks"))
    file = tmp_path / "infra" / ".databricks" / "bundle" / "jul-qa" / "variable-overrides.json"
    monkeypatch.setenv(deploy.ON_FAILURE, given)
    command = (sys.executable, str(tmp_path / "infra" / "deploy.py"), "deploy", "jul-qa")
    assert run(*command).returncode == 0
    assert file.exists() == bool(given)
    if given:
        assert json.loads(file.read_text()) == {"on_failure": addresses}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"schema": "otro", "on_failure": ["antes@x.mx"]}')
    assert run(*command).returncode == 0
    assert json.loads(file.read_text()) == {"schema": "otro", "on_failure": addresses}
    variable = yaml.safe_load((deploy.HERE / "databricks.yml").read_text())["variables"]
    assert variable["on_failure"]["type"] == "complex"


def test_parameters_come_from_the_variables_of_their_names(
    called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMATIC_RUN", "true")
    monkeypatch.setenv("ALARM_EMAIL", "guardia@example.com")
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example,https://b.example")
    monkeypatch.setenv(
        "LOG_DAYS", ""
    )  # as of a variable that a pipeline does not have: not a wish to have it empty
    assert run(sys.executable, "infra/deploy.py", "deploy", "jul-qa").returncode == 0
    assert overrides(called()[0]) == {
        "Stage": "jul-qa",
        "AutomaticRun": "true",
        "AlarmEmail": "guardia@example.com",
        "AllowedOrigins": "https://a.example,https://b.example",
    }


def test_who_wants_to_delete_the_data_can_leave_it_unprotected(
    called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROTECT_DATA", "false")
    assert run(sys.executable, "infra/deploy.py", "deploy", "jul-dev").returncode == 0
    stacks = [command for command in called() if command[:2] == ["sam", "deploy"]]
    assert [overrides(command)["ProtectData"] for command in stacks] == ["false", "false"]


@pytest.mark.parametrize(("failing", "calls"), [("sam", 1), ("databricks", 2)])
def test_where_a_step_fails_the_next_is_not_taken(
    called: Called, monkeypatch: pytest.MonkeyPatch, failing: str, calls: int
) -> None:
    monkeypatch.setenv("FAILING", failing)
    assert run(sys.executable, "infra/deploy.py", "deploy", "jul-dev").returncode == 3
    assert len(called()) == calls


def test_it_tells_every_address_and_function(called: Called) -> None:
    ended = run(sys.executable, "infra/deploy.py", "deploy", "jul-dev")
    assert len(called()) == 5
    lines = [line.strip() for line in ended.stdout.splitlines()]
    functions = Template({"Stage": "jul-dev"}).of(FUNCTION)
    routes = [
        event["Properties"]
        for made in functions.values()
        for event in made["Events"].values()
        if event["Type"] == "HttpApi"
    ]
    told = {tuple(line.split(" - ")) for line in lines if " - https" in line}
    assert {(method.strip(), address) for method, address in told} == {
        (route["Method"], f"https://x.example/jul-dev{route['Path']}") for route in routes
    }
    assert "ippVerificador: invenadro-backend-jul-dev-ippVerificador" in lines
    assert "sign in: https://y.example" in lines


VALIDATED = {"mode": "automatic", "total": 3}
STARTED = {"job_id": "ipp-1", "mostradores_count": 1, "status": "JOB1_RUNNING"}


def try_canary(folder: Path, *answers: object) -> subprocess.CompletedProcess[str]:
    (folder / "answers").write_text(json.dumps(answers))
    return run(sys.executable, "infra/deploy.py", "canary", "jul-dev")


@pytest.mark.parametrize(("end", "status"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_a_release_is_tried_with_a_job_of_one_mostrador(
    called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, status: int
) -> None:
    monkeypatch.setenv("RELEASE", "0a1b2c3")
    monkeypatch.setenv("CANARY_POLL_SECONDS", "0")
    ended = try_canary(tmp_path, VALIDATED, STARTED, STARTED, {**STARTED, "status": end})
    assert ended.returncode == status
    assert ended.stdout == f"jul-dev: ipp-1 JOB1_RUNNING\njul-dev: ipp-1 {end}\n"
    validate, *starts = called()
    assert validate[validate.index("--function-name") + 1].endswith("-ippVerificador")
    assert [json.loads(start[start.index("--payload") + 1]) for start in starts] == [
        {"mode": "canary", "key": "0a1b2c3"}
    ] * 3


def test_where_nothing_is_configured_no_job_is_tried(called: Called, tmp_path: Path) -> None:
    ended = try_canary(tmp_path, {"total": 0})
    assert ended.returncode == 0
    assert "no job was tried" in ended.stdout


def test_a_function_that_fails_fails_the_release(called: Called, tmp_path: Path) -> None:
    ended = try_canary(tmp_path, {"errorMessage": "no table", "_": {"FunctionError": "Unhandled"}})
    assert ended.returncode == 1
    assert "IppVerificador failed: no table" in ended.stderr


@pytest.mark.parametrize("name", ["IppStatus", "ippStatus"])
def test_one_functions_code_is_replaced(called: Called, name: str) -> None:
    assert (
        run(sys.executable, "infra/deploy.py", "deploy-function", "nadro-qa", name).returncode == 0
    )
    update, wait = called()
    assert update[:3] == ["aws", "lambda", "update-function-code"]
    assert update[update.index("--function-name") + 1] == "invenadro-backend-nadro-qa-ippStatus"
    assert update[update.index("--zip-file") + 1] == f"fileb://{ROOT}/dist/lambda.zip"
    assert wait[4:] == ["--function-name", "invenadro-backend-nadro-qa-ippStatus"]


def test_a_functions_log_is_followed(called: Called) -> None:
    assert make("logs", "STAGE=jul-dev", "FUNCTION=IppIniciador").returncode == 0
    (tail,) = called()
    assert tail[:4] == ["aws", "logs", "tail", "/aws/lambda/invenadro-backend-jul-dev-ippIniciador"]
    assert "--follow" in tail


def test_functions_are_called_as_the_template_calls_them() -> None:
    made = Template({"Stage": "jul-qa"}).of(FUNCTION)
    named = {name: properties["FunctionName"] for name, properties in made.items()}
    assert {name: deploy.name_of("jul-qa", name) for name in deploy.FUNCTIONS} == named


def test_stages_are_those_of_the_template() -> None:
    assert load_template()["Parameters"]["Stage"]["AllowedValues"] == list(deploy.STAGES)


def test_each_parameter_has_a_variable_of_its_own() -> None:
    parameters = deploy.parameters()
    assert {"Stage", *parameters} == set(load_template()["Parameters"])
    assert len({deploy._variable(parameter) for parameter in parameters}) == len(parameters)
    assert set(deploy.JOBS.values()) <= set(parameters)


def test_the_numbers_are_those_of_the_bundles_jobs() -> None:
    bundle = yaml.safe_load((deploy.HERE / "databricks.yml").read_text())
    assert set(bundle["resources"]["jobs"]) == set(deploy.JOBS)
