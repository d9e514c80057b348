"""What an operator is told to type is there to be typed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours
from fastapi.routing import APIRoute
from infra import deploy

from ipp.cli import run_cli
from ipp.cloud.databricks import workspace_settings
from ipp.core.tables import CURVES, FAILURES, IMPORTABLE_TABLES, PROCESSES, RESULTS
from ipp.entrypoints.spark_wiring import KEY, SECRET, VOLUMES_PATH
from ipp.jobs.job import JobStatus
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.jwks import JwksClient
from ipp.server.web import sign_in
from ipp.server.web.oidc import OidcClient
from ipp.server.web.session import MAX_COOKIE_CHARACTERS
from tests.cloud.template import Template, content

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
BUNDLE = yaml.safe_load((ROOT / "infra" / "databricks.yml").read_text(encoding="utf-8"))

PUT_IN = {
    "RUN_AS",
    "CALLER_ID",
    "EXTERNAL_ID",
    "PRINCIPAL_ARN",
    "OLD_SECRET_ID",
    "OLD_RAW_BUCKET",
    "OLD_PROCESSED_BUCKET",
    "RAW_BUCKET",
    "PROCESSED_BUCKET",
}
"""What the text says to put something of one's own in the place of."""

OTHERS = {
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "DATABRICKS_HOST",
    "ADMIN_USER_PASSWORD_AUTH",
    "CAN_USE",
    "FORWARDED_ALLOW_IPS",
    "CREATE_FAILED",
    "DELETE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
}
"""What AWS's and Databricks' own commands know, and the server that runs the page."""


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", TEXT))
    assert {"package", "deploy", "deploy-function", "logs", "check-infra"} <= named <= targets


def test_every_variable_that_is_named_is_read_by_somebody() -> None:
    ours = (
        ROOT / "src" / "ipp" / "settings.py",
        Path(workspace_settings.__file__),
        ROOT / ".github" / "workflows" / "deploy.yml",
    )
    read = set().union(
        *(re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", at.read_text("utf-8")) for at in ours)
    )
    read |= {f"DATABRICKS_{name}" for name in workspace_settings._VARIABLE_NAMES}
    read |= {re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() for name in content()["Parameters"]}
    named = set(
        re.findall(r"(?<![\w.])[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", TEXT.replace("BUNDLE_VAR_", ""))
    )
    assert "ALARM_EMAIL" in named
    assert named - read - PUT_IN - OTHERS - {status.value for status in JobStatus} == set()


def test_a_parameter_is_set_by_the_variable_of_its_name() -> None:
    """As the text has it: for a parameter, the name by which the deployment reads it."""
    assert set(deploy.parameters()) == set(content()["Parameters"]) - {"Stage"}
    named = set(
        re.findall(
            r"\b(?:DATABRICKS_\w+|AUTOMATIC_\w+|RESERVE_\w+|\w+_DAYS|\w+_LIMIT|MAX_JOBS)\b", TEXT
        )
    )
    ours = {deploy._variable(name) for name in deploy.parameters()}
    assert len(named & ours) > 10


def test_every_default_that_is_told_is_the_templates() -> None:
    defaults = {
        deploy._variable(name): it.get("Default") for name, it in content()["Parameters"].items()
    }
    told = dict(re.findall(r"\b([A-Z]+_[A-Z]+) \(([^)]+)\)", TEXT))
    assert len(told) >= 7
    assert told == {name: str(defaults[name]) for name in told}


def test_people_are_sent_back_to_addresses_that_the_page_has() -> None:
    """Those that the text tells, and those that the stack has where nobody tells any."""
    router = sign_in.sign_in_router(
        OidcClient(
            "https://localhost", "", TokenAuthenticator("", "", JwksClient("https://localhost"))
        )
    )
    paths = {route.path for route in router.routes if isinstance(route, APIRoute)}
    for name, parameter in (("CALLBACK_URLS", "CallbackUrls"), ("LOGOUT_URLS", "LogoutUrls")):
        (told,) = re.findall(rf"{name}=https://HOST(\S+)", TEXT)
        default = content()["Parameters"][parameter]["Default"]
        assert default == f"http://localhost:8000{told}"
        assert told in paths
    assert f"{MAX_COOKIE_CHARACTERS:,} characters" in TEXT


def test_every_output_that_is_named_is_the_stacks() -> None:
    named = set(re.findall(r"\boutput ([A-Z]\w+)", TEXT))
    assert {"RawBucket", "UserPoolId", "ApiAddress"} <= named <= set(content()["Outputs"])


def test_every_variable_that_is_told_is_the_bundles_and_those_without_a_default_are_told() -> None:
    wanted = {name for name, it in BUNDLE["variables"].items() if "default" not in it}
    assert wanted <= set(re.findall(r"BUNDLE_VAR_([a-z_]+)=", TEXT)) <= set(BUNDLE["variables"])


def test_the_key_of_aws_is_kept_under_the_names_that_a_stage_asks_for() -> None:
    assert re.findall(r"put-secret ipp-\$STAGE ([a-z-]+)", TEXT) == [KEY, SECRET]


def test_the_stages_and_functions_are_those_that_there_are() -> None:
    stages = content()["Parameters"]["Stage"]["AllowedValues"]
    assert set(re.findall(r"`?(?:STAGE=|--stage )([a-z]+-[a-z]+)", TEXT)) <= set(stages)
    assert all(f"`{stage}`" in TEXT for stage in stages)
    functions = Template({"Stage": "jul-dev"}).functions
    assert set(re.findall(r"FUNCTION=(\w+)", TEXT)) <= set(functions)
    for name, function in functions.items():
        assert re.search(rf"\| {name} \| {function['FunctionName']} \|", TEXT), name


def test_what_the_functions_set_aside_is_what_is_told() -> None:
    aside = sum(
        int(it["ReservedConcurrentExecutions"])
        for it in Template({"Stage": "jul-dev"}).functions.values()
    )
    assert f"six functions set {aside} of" in TEXT
    assert f"less than {100 + aside}," in TEXT


def test_the_role_and_the_secret_have_the_names_that_are_told() -> None:
    role = content()["Resources"]["DatabricksRole"]["Properties"]["RoleName"]["Fn::Sub"]
    assert f"role/{role.replace('${Stage}', chr(39) + '$STAGE' + chr(39))}" in TEXT
    assert f"--name {content()['Parameters']['DatabricksSecretName']['Default']} " in TEXT


def test_every_table_that_is_named_has_a_contract() -> None:
    known = {
        table.name for table in (*IMPORTABLE_TABLES.values(), RESULTS, CURVES, FAILURES, PROCESSES)
    }
    named = set(re.findall(r"\binvenadro\.(?:bronze|gold)\.\w+", TEXT))
    assert {"invenadro.bronze.sellout", RESULTS.name} <= named <= known
    folders = set(re.findall(rf"{VOLUMES_PATH}/importacion/(\w+)", TEXT))
    assert folders <= {name.rpartition(".")[2] for name in known}


def test_every_command_of_ours_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    lines = re.findall(r"(?:^|`)ipp ([a-z]+[^`\n]*)", TEXT, re.MULTILINE)
    assert len(lines) > 4
    for line in lines:
        assert run_cli([line.split()[0], "--ayuda"]) == 0, line
        shown = capsys.readouterr().out
        assert [option for option in re.findall(r"--[a-z-]+", line) if option not in shown] == [], (
            line
        )
    assert {line.split()[1] for line in lines if line.startswith("import ")} <= set(
        IMPORTABLE_TABLES
    )


@pytest.mark.parametrize("block", re.findall(r"^ *```sh\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))
def test_what_is_to_be_typed_is_a_shells_and_what_is_sent_is_json(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    filled = re.sub(r"'\$(?:\w+|\([^)]+\))'", "x", block)
    for sent in re.findall(
        r"(?:--json|--payload|--policy-document|-d)\s+'(.*?)'(?=\s|$)", filled, re.DOTALL
    ):
        assert json.loads(sent), sent
