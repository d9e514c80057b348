"""Puts IPP into an AWS account and a Databricks workspace, as `make deploy` and its like ask it to.

    python infra/deploy.py deploy STAGE
    python infra/deploy.py deploy-function STAGE FUNCTION
    python infra/deploy.py logs STAGE FUNCTION

With ``--check`` it only says what is missing. Otherwise it checks first, and stops if anything is.

A parameter of the template is set by the variable of its name, AlarmEmail by ALARM_EMAIL; where
that is not set, it stays as the stack has it. The numbers of the jobs are read from the bundle.
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
"""The commands that each of ours calls."""

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
"""The parameter that takes the number of each of the bundle's jobs."""

_PATH = os.pathsep.join((os.environ.get("PATH", ""), str(HERE.parent / ".venv-infra" / "bin")))


def problems(what: str, stage: str, function: str) -> list[str]:
    """What is missing for it to be done."""
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
    """Deploy the stack, the bundle, and the stack again if the bundle's jobs have new numbers.

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
    """Deploy the code of one function; the stack replaces it with the next code it gets."""
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
    """What a function wrote in the last quarter of an hour, and goes on to write."""
    group = f"/aws/lambda/{name_of(stage, function)}"
    _run("aws", "logs", "tail", group, "--since", "15m", "--follow", "--format", "short")


def name_of(stage: str, function: str) -> str:
    """The name in AWS of a function: the seed's."""
    return f"invenadro-backend-{stage}-{function[0].lower()}{function[1:]}"


def parameters() -> list[str]:
    """The names of the template's parameters, but the stage."""
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
        ),  # the role that Databricks assumes has to know its own name
        *("--tags", "project=invenadro", "module=ipp", f"stage={stage}"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        # A stack whose creation failed is rolled back, and then its empty shell is deleted, because
        # no deployment may update it. One that existed before is only rolled back.
        *("--on-failure", "DELETE"),
        *("--parameter-overrides", *overrides),
    )


def _run(*command: str, read: bool = False) -> str:
    """Call a command, and end as it does where it fails."""
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
    """Do it, or end with 2 and say everything that is missing."""
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
