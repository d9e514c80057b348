"""Deploy IPP to an AWS account and a Databricks workspace, for `make deploy` and similar targets.

    python infra/deploy.py deploy STAGE
    python infra/deploy.py deploy-function STAGE FUNCTION
    python infra/deploy.py logs STAGE FUNCTION
    python infra/deploy.py canary STAGE

A function has its name in the template, or that of the original system: IppStatus or ippStatus.

With ``--check`` it only reports what is missing. Otherwise it checks first, and stops if anything
is missing.

A parameter of the template is set by the variable of its name, AlarmEmail by ALARM_EMAIL; without
the variable, the stack keeps its value. The ids of the jobs are read from the bundle.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DIST = HERE.parent / "dist"
TEMPLATE = HERE / "template.yaml"

STAGES = ("jul-dev", "jul-qa", "nadro-qa", "nadro-prod")

FUNCTIONS = (
    "IppVerificador",
    "IppIniciador",
    "IppStatus",
    "IppResults",
    "IppReconciler",
    "IppAutomatico",
)

NEEDED = {
    "deploy": ("sam", "databricks"),
    "deploy-function": ("aws",),
    "logs": ("aws",),
    "canary": ("aws",),
}
"""The programs that each command calls."""

WHERE = {
    "sam": "`make check-infra` installs it, or see the AWS SAM documentation",
    "aws": "install the AWS CLI, version 2",
    "databricks": "install the Databricks CLI",
}

JOBS = {
    "normalise": "DatabricksJob1Id",
    "factor": "DatabricksFactorJobId",
    "publish": "DatabricksJob2Id",
}
"""The parameter that takes the id of each of the bundle's jobs."""

CANARY_SECONDS = 5_400
"""How long a job of one mostrador may take: three stages, each of which may have to wait."""

POLL_SECONDS = float(os.environ.get("CANARY_POLL_SECONDS", "30"))
"""Interval at which the canary's job is asked for."""

ENDED = ("COMPLETED", "FAILED", "CANCELLED")

ON_FAILURE = "BUNDLE_VAR_on_failure"
"""The variable with the addresses that Databricks writes to when a run fails."""

_PATH = os.pathsep.join((os.environ.get("PATH", ""), str(HERE.parent / ".venv-infra" / "bin")))


def problems(what: str, stage: str, function: str) -> list[str]:
    """Return a sentence for each thing that is missing for a command."""
    found = []
    whole = what in {"deploy", "canary"}
    example = "" if whole else " FUNCTION=IppStatus"
    if stage not in STAGES:
        given = f"{stage} is no stage" if stage else "STAGE is missing"
        found.append(f"{given}: make {what} STAGE=jul-dev{example} (one of {', '.join(STAGES)})")
    if not whole and function not in FUNCTIONS:
        given = f"{function} is no function" if function else "FUNCTION is missing"
        found.append(f"{given}: make {what} STAGE=jul-dev{example} (one of {', '.join(FUNCTIONS)})")
    missing = [command for command in NEEDED[what] if shutil.which(command, path=_PATH) is None]
    return found + [f"the command {command} is missing: {WHERE[command]}" for command in missing]


def deploy(stage: str) -> None:
    """Deploy the stack, the bundle, and the stack again if the bundle's jobs have new ids.

    The stack is first: its buckets have to exist before the bundle's jobs can be let into them. Its
    table and its user pool are protected the second time: a stack whose creation fails has to be
    deleted whole.
    """
    given = {name: value for name in parameters() if (value := os.environ.get(_variable(name), ""))}
    _stack(stage, given)
    sys.stdout.write(
        f"The stack of {stage} is there. docs/how-to/deploy.md says what its bundle needs the "
        "first time.\n"
    )
    sys.stdout.flush()
    _set_failure_addresses(stage)
    _run("databricks", "bundle", "deploy", "--target", stage)
    summary = json.loads(
        _run("databricks", "bundle", "summary", "--target", stage, "--output", "json", read=True)
    )
    jobs = summary["resources"]["jobs"]
    numbers = {parameter: str(jobs[job]["id"]) for job, parameter in JOBS.items()}
    _stack(stage, {"ProtectData": "true"} | given | numbers)
    outputs = json.loads(
        _run(
            "sam",
            "list",
            "stack-outputs",
            "--stack-name",
            _stack_name(stage),
            "--output",
            "json",
            read=True,
        )
    )
    addresses = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    sys.stdout.write(describe(stage, addresses))


def describe(stage: str, outputs: Mapping[str, str]) -> str:
    """Return the addresses and the functions of a deployed stage, as Serverless printed them."""
    text = TEMPLATE.read_text(encoding="utf-8")
    routes = [
        (method, quoted or plain)
        for method, quoted, plain in re.findall(
            r'Method: (\w+), Path: (?:"([^"]+)"|([\w/-]+))', text
        )
    ]
    wide = max(len(method) for method, _ in routes)
    return "\n".join(
        [
            "endpoints:",
            *(f"  {method:<{wide}} - {outputs['ApiAddress']}{path}" for method, path in routes),
            "functions:",
            *(f"  {name[0].lower()}{name[1:]}: {name_of(stage, name)}" for name in FUNCTIONS),
            f"sign in: {outputs['SignInAddress']}",
            "",
        ]
    )


def canary(stage: str) -> None:
    """Validate every mostrador, run a job of one, and exit with 1 unless it completes.

    The variable RELEASE names what is tried; the same release tries the same job once.
    """
    release = os.environ.get("RELEASE") or _run("git", "rev-parse", "HEAD", read=True).strip()
    validated = _invoke(stage, "IppVerificador", {"mode": "automatic"})
    if not validated["total"]:
        sys.stdout.write(f"{stage}: no mostrador has a configuration, so no job was tried.\n")
        return
    event, until = {"mode": "canary", "key": release}, time.monotonic() + CANARY_SECONDS
    told = ""
    while True:
        job = _invoke(stage, "IppAutomatico", event)
        if job["status"] != told:
            told = job["status"]
            sys.stdout.write(f"{stage}: {job['job_id']} {told}\n")
            sys.stdout.flush()
        if told in ENDED:
            break
        if time.monotonic() > until:
            sys.stderr.write(f"{job['job_id']} has not ended: look at its run in Databricks\n")
            sys.exit(1)
        time.sleep(POLL_SECONDS)
    if told != "COMPLETED":
        sys.stderr.write(f"{job['job_id']} is {told}: GET /ipp/status/{job['job_id']} says why\n")
        sys.exit(1)


def deploy_function(stage: str, function: str) -> None:
    """Deploy the code of one function; the next deployment of the stack replaces it."""
    name = name_of(stage, function)
    code = f"fileb://{DIST / 'lambda.zip'}"
    _run(
        "aws",
        "lambda",
        "update-function-code",
        "--function-name",
        name,
        "--zip-file",
        code,
        "--query",
        "CodeSha256",
    )
    _run("aws", "lambda", "wait", "function-updated-v2", "--function-name", name)


def logs(stage: str, function: str) -> None:
    """Follow the log of a function, from 15 minutes ago."""
    group = f"/aws/lambda/{name_of(stage, function)}"
    _run("aws", "logs", "tail", group, "--since", "15m", "--follow", "--format", "short")


def name_of(stage: str, function: str) -> str:
    """Return the name of a function in AWS, which is that of the original system."""
    return f"invenadro-backend-{stage}-{function[0].lower()}{function[1:]}"


def parameters() -> list[str]:
    """Return the names of the template's parameters, except the stage."""
    section = re.split(r"^(?=\w)", TEMPLATE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (own,) = [part for part in section if part.startswith("Parameters:")]
    return [name for name in re.findall(r"^  (\w+):", own, re.MULTILINE) if name != "Stage"]


def _variable(parameter: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", parameter).upper()


def _invoke(stage: str, function: str, event: Mapping[str, str]) -> dict[str, Any]:
    """Return a function's answer to an event; exit with 1 if it fails."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        told = _run(
            *("aws", "lambda", "invoke", "--function-name", name_of(stage, function)),
            *("--cli-binary-format", "raw-in-base64-out", "--payload", json.dumps(event)),
            answer.name,
            read=True,
        )
        content: dict[str, Any] = json.loads(Path(answer.name).read_text(encoding="utf-8"))
    if "FunctionError" in json.loads(told or "{}"):
        sys.stderr.write(f"{function} failed: {content.get('errorMessage', content)}\n")
        sys.exit(1)
    return content


def _stack_name(stage: str) -> str:
    return f"invenadro-backend-{stage}-ipp"


def _stack(stage: str, given: dict[str, str]) -> None:
    name = _stack_name(stage)
    overrides = [f'{name}="{value}"' for name, value in {"Stage": stage, **given}.items()]
    _run(
        *(
            "sam",
            "deploy",
            "--template-file",
            str(TEMPLATE),
            "--stack-name",
            name,
            "--resolve-s3",
            "--s3-prefix",
            name,
        ),
        *(
            "--capabilities",
            "CAPABILITY_NAMED_IAM",
        ),  # the role that Databricks assumes names itself
        *("--tags", "project=invenadro", "module=ipp", f"stage={stage}"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        # A stack whose creation failed is rolled back, and then its empty shell is deleted, because
        # no deployment may update it. One that existed before is only rolled back.
        *("--on-failure", "DELETE"),
        *("--parameter-overrides", *overrides),
    )


def _run(*command: str, read: bool = False) -> str:
    """Run a program and return its output if ``read``; exit with its status if it fails."""
    ended = subprocess.run(  # noqa: S603  # what is above, no more
        command,
        cwd=HERE,
        env=_environment(),
        stdout=subprocess.PIPE if read else None,
        text=True,
        check=False,
    )
    if ended.returncode:
        sys.exit(ended.returncode)
    return ended.stdout or ""


def _set_failure_addresses(stage: str) -> None:
    """Pass the addresses in BUNDLE_VAR_on_failure, separated by commas, on to the bundle.

    They are a list there, and the Databricks CLI reads a list from this file, not from a variable
    of the environment. What else an operator has in the file is kept.
    """
    file = HERE / ".databricks" / "bundle" / stage / "variable-overrides.json"
    given = os.environ.get(ON_FAILURE, "").split(",")
    addresses = [address.strip() for address in given if address.strip()]
    if not addresses and not file.exists():
        return
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept["on_failure"] = addresses
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=2), encoding="utf-8")


def _environment() -> dict[str, str]:
    """Return the environment of the programs.

    A variable of the bundle that is empty, as of a pipeline that lacks it, keeps its default.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if (value or not name.startswith("BUNDLE_VAR_")) and name != ON_FAILURE
    }
    return {**kept, "PATH": _PATH, "AWS_PAGER": "", "SAM_CLI_TELEMETRY": "0"}


def main(what: str, stage: str = "", function: str = "", *, check: bool = False) -> None:
    """Run a command, or exit with 2 after naming everything that is missing."""
    function = function[:1].upper() + function[1:]
    if found := problems(what, stage, function):
        sys.stderr.write("".join(f"{line}\n" for line in found))
        sys.exit(2)
    if check:
        return
    match what:
        case "deploy":
            deploy(stage)
        case "canary":
            canary(stage)
        case "deploy-function":
            deploy_function(stage, function)
        case _:
            logs(stage, function)


if __name__ == "__main__":
    main(
        *(argument for argument in sys.argv[1:] if argument != "--check"),
        check="--check" in sys.argv,
    )
