"""What the deployment guide tells an operator to type exists, with the values it names."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours
from fastapi.routing import APIRoute
from infra import deploy

from ipp import settings
from ipp.cli import run_cli
from ipp.core.change_table import CHANGES
from ipp.core.tables import CURVES, FAILURES, IMPORTABLE_TABLES, PROCESSES, RESULTS
from ipp.entrypoints.spark_wiring import KEY, SECRET
from ipp.jobs.job import JobStatus
from ipp.server.api.auth import TokenAuthenticator
from ipp.server.api.jwks import JwksClient
from ipp.server.web import sign_in
from ipp.server.web.oidc import OidcClient
from ipp.server.web.session import MAX_COOKIE_CHARACTERS
from ipp.settings import DEFAULT_CATALOG
from tests.cloud.template import Template, load_template

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
    "PRINCIPAL_ID",
    "RAW_BUCKET",
    "PROCESSED_BUCKET",
}
"""Placeholders that the guide tells operators to replace."""

OTHERS = {
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "DATABRICKS_HOST",
    "ADMIN_USER_PASSWORD_AUTH",
    "CAPABILITY_NAMED_IAM",
    "CAN_USE",
    "FORWARDED_ALLOW_IPS",
    "CREATE_FAILED",
    "DELETE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
}
"""Variables and statuses of AWS, of Databricks and of the server that runs the page."""


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", TEXT))
    assert {"package", "deploy", "deploy-function", "logs", "check-infra"} <= named <= targets


def test_every_variable_that_is_named_is_read() -> None:
    ours = (
        ROOT / "src" / "ipp" / "settings.py",
        ROOT / ".github" / "workflows" / "deploy.yml",
    )
    read = set().union(
        *(re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", at.read_text("utf-8")) for at in ours)
    )
    read |= {f"DATABRICKS_{name}" for name in settings._VARIABLE_NAMES}
    read |= {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() for name in load_template()["Parameters"]
    }
    named = set(
        re.findall(r"(?<![\w.])[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", TEXT.replace("BUNDLE_VAR_", ""))
    )
    assert "ALARM_EMAIL" in named
    assert named - read - PUT_IN - OTHERS - {status.value for status in JobStatus} == set()


def test_a_parameter_is_set_by_the_variable_of_its_name() -> None:
    assert set(deploy.parameters()) == set(load_template()["Parameters"]) - {"Stage"}
    named = set(
        re.findall(
            r"\b(?:DATABRICKS_\w+|AUTOMATIC_\w+|RESERVE_\w+|\w+_DAYS|\w+_LIMIT|MAX_JOBS)\b", TEXT
        )
    )
    ours = {deploy._variable(name) for name in deploy.parameters()}
    assert len(named & ours) > 10


def test_every_default_is_the_templates() -> None:
    defaults = {
        deploy._variable(name): it.get("Default")
        for name, it in load_template()["Parameters"].items()
    }
    told = dict(re.findall(r"\b([A-Z]+_[A-Z]+) \(([^)]+)\)", TEXT))
    assert len(told) >= 7
    assert told == {name: str(defaults[name]) for name in told}


def test_people_are_sent_back_to_addresses_that_the_page_has() -> None:
    """Check those that the guide names, and the defaults of the stack."""
    router = sign_in.sign_in_router(
        OidcClient(
            "https://localhost", "", TokenAuthenticator("", "", JwksClient("https://localhost"))
        )
    )
    paths = {route.path for route in router.routes if isinstance(route, APIRoute)}
    for name, parameter in (("CALLBACK_URLS", "CallbackUrls"), ("LOGOUT_URLS", "LogoutUrls")):
        (told,) = re.findall(rf"{name}=https://HOST(\S+)", TEXT)
        default = load_template()["Parameters"][parameter]["Default"]
        assert default == f"http://localhost:8000{told}"
        assert told in paths
    assert f"{MAX_COOKIE_CHARACTERS:,} characters" in TEXT


def test_every_output_that_is_named_is_the_stacks() -> None:
    named = set(re.findall(r"\boutput ([A-Z]\w+)", TEXT))
    assert {"RawBucket", "UserPoolId", "ApiAddress"} <= named <= set(load_template()["Outputs"])


def test_the_guide_sets_every_variable_of_the_bundle_without_a_default() -> None:
    wanted = {name for name, it in BUNDLE["variables"].items() if "default" not in it}
    assert wanted <= set(re.findall(r"BUNDLE_VAR_([a-z_]+)=", TEXT)) <= set(BUNDLE["variables"])


def test_the_aws_key_is_stored_under_the_names_that_a_stage_reads() -> None:
    assert re.findall(r"put-secret ipp-\$STAGE ([a-z-]+)", TEXT) == [KEY, SECRET]


def test_the_stages_and_functions_exist() -> None:
    stages = load_template()["Parameters"]["Stage"]["AllowedValues"]
    assert set(re.findall(r"`?(?:STAGE=|--stage )([a-z]+-[a-z]+)", TEXT)) <= set(stages)
    assert all(f"`{stage}`" in TEXT for stage in stages)
    functions = Template({"Stage": "jul-dev"}).functions
    named = {name[0].upper() + name[1:] for name in re.findall(r"FUNCTION=(\w+)", TEXT)}
    assert named <= set(functions)
    for name, function in functions.items():
        assert re.search(rf"\| {name} \| {function['FunctionName']} \|", TEXT), name


def test_the_reserved_concurrency_is_the_templates() -> None:
    aside = sum(
        int(it["ReservedConcurrentExecutions"])
        for it in Template({"Stage": "jul-dev"}).functions.values()
    )
    assert f"six functions set {aside} of" in TEXT
    assert f"less than {100 + aside}," in TEXT


def test_the_role_and_the_secret_have_the_names_in_the_guide() -> None:
    role = load_template()["Resources"]["DatabricksRole"]["Properties"]["RoleName"]["Fn::Sub"]
    assert f"role/{role.replace('${Stage}', chr(39) + '$STAGE' + chr(39))}" in TEXT
    assert f"--name {load_template()['Parameters']['DatabricksSecretName']['Default']} " in TEXT


def test_every_table_that_is_named_has_a_contract() -> None:
    known = {
        table.full_name(DEFAULT_CATALOG)
        for table in (*IMPORTABLE_TABLES.values(), RESULTS, CURVES, FAILURES, PROCESSES, CHANGES)
    }
    named = set(re.findall(r"\binvenadro\.(?:bronze|gold)\.\w+", TEXT))
    assert {"invenadro.bronze.sellout", RESULTS.full_name(DEFAULT_CATALOG)} <= named <= known
    folders = set(re.findall(rf"/Volumes/{DEFAULT_CATALOG}/ipp/importacion/(\w+)", TEXT))
    assert folders <= {name.rpartition(".")[2] for name in known}


def test_every_ipp_command_exists(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_every_block_is_valid_shell_and_every_document_valid_json(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    filled = re.sub(r"'\$(?:\w+|\([^)]+\))'", "x", block)
    for sent in re.findall(
        r"(?:--json|--payload|--policy-document|-d)\s+'(.*?)'(?=\s|$)", filled, re.DOTALL
    ):
        assert json.loads(sent), sent
