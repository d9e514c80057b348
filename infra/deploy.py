"""Deploy IPP to an AWS account and a Databricks workspace, for `make deploy` and similar targets.

    python infra/deploy.py deploy STAGE
    python infra/deploy.py deploy-function STAGE FUNCTION
    python infra/deploy.py logs STAGE FUNCTION

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
from pathlib import Path

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

NEEDED = {"deploy": ("sam", "databricks"), "deploy-function": ("aws",), "logs": ("aws",)}
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

_PATH = os.pathsep.join((os.environ.get("PATH", ""), str(HERE.parent / ".venv-infra" / "bin")))


def problems(what: str, stage: str, function: str) -> list[str]:
    """Return a sentence for each thing that is missing for a command."""
    found = []
    example = "" if what == "deploy" else " FUNCTION=IppStatus"
    if stage not in STAGES:
        given = f"{stage} is no stage" if stage else "STAGE is missing"
        found.append(f"{given}: make {what} STAGE=jul-dev{example} (one of {', '.join(STAGES)})")
    if what != "deploy" and function not in FUNCTIONS:
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
    _run("databricks", "bundle", "deploy", "--target", stage)
    summary = json.loads(
        _run("databricks", "bundle", "summary", "--target", stage, "--output", "json", read=True)
    )
    jobs = summary["resources"]["jobs"]
    numbers = {parameter: str(jobs[job]["id"]) for job, parameter in JOBS.items()}
    _stack(stage, {"ProtectData": "true"} | given | numbers)


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


def _stack(stage: str, given: dict[str, str]) -> None:
    name = f"invenadro-backend-{stage}-ipp"
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
        env={**os.environ, "PATH": _PATH, "AWS_PAGER": "", "SAM_CLI_TELEMETRY": "0"},
        stdout=subprocess.PIPE if read else None,
        text=True,
        check=False,
    )
    if ended.returncode:
        sys.exit(ended.returncode)
    return ended.stdout or ""


def main(what: str, stage: str = "", function: str = "", *, check: bool = False) -> None:
    """Run a command, or exit with 2 after naming everything that is missing."""
    if found := problems(what, stage, function):
        sys.stderr.write("".join(f"{line}\n" for line in found))
        sys.exit(2)
    if check:
        return
    match what:
        case "deploy":
            deploy(stage)
        case "deploy-function":
            deploy_function(stage, function)
        case _:
            logs(stage, function)


if __name__ == "__main__":
    main(
        *(argument for argument in sys.argv[1:] if argument != "--check"),
        check="--check" in sys.argv,
    )
