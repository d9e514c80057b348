"""What the guides tell operators to type can be typed: shells and AWS's models accept it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.cloud.template import Template, load_template

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "how-to" / "runbooks"
ENGLISH = sorted(
    path for path in RUNBOOKS.glob("*.md") if not path.name.endswith((".es.md", "README.md"))
)
GUIDES = [ROOT / "docs" / "how-to" / "deploy.md", *sorted(RUNBOOKS.glob("*.md"))]

OF_EVERY_COMMAND = {"region", "query", "output", "cli-binary-format"}
OF_DEPLOY = {"stack-name", "template-file", "capabilities", "parameter-overrides"}
"""Options of ``aws cloudformation deploy``, which is of the command line alone."""


def spanish(english: Path) -> Path:
    return english.with_name(f"{english.stem}.es.md")


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def shell_blocks(path: Path) -> list[str]:
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", written(path), re.MULTILINE | re.DOTALL)
    return [re.sub(r" +#.*$", "", block, flags=re.MULTILINE) for block in blocks]


def aws_commands(path: Path) -> Iterator[tuple[str, str, str, set[str]]]:
    """Yield service, operation, the word after it and the options of each command of AWS."""
    for text in [*shell_blocks(path), *re.findall(r"`(aws [^`]+)`", written(path))]:
        joined = re.sub(r"\\\n| \\ ?\n", " ", text)
        for found in re.finditer(r"\baws ([a-z][\w-]*) ([a-z][\w-]*) ?(\S*)(.*)", joined):
            options = re.findall(r"(?<!\S)--([a-z-]+)", f"{found[3]}{found[4]}")
            yield found[1], found[2], found[3], set(options)


@pytest.mark.parametrize("english", ENGLISH, ids=lambda path: path.stem)
def test_both_languages_tell_to_type_the_same(english: Path) -> None:
    assert spanish(english).is_file()
    assert shell_blocks(english) == shell_blocks(spanish(english))
    commands = [
        re.findall(r"`((?:make|aws|git) [^`]+)`", written(path))
        for path in (english, spanish(english))
    ]
    assert sorted(commands[0]) == sorted(commands[1])
    links = [
        re.findall(r"\]\(([^)]+)\)", written(path).replace(".es.md", ".md"))
        for path in (english, spanish(english))
    ]
    assert links[0] == links[1]


def test_the_index_has_each_once() -> None:
    listed = re.findall(r"\]\(([\w.-]+\.md)\)", written(RUNBOOKS / "README.md"))
    assert sorted(listed) == sorted(
        name for path in ENGLISH for name in (path.name, spanish(path).name)
    )


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_a_shell_can_read_what_is_to_be_typed(guide: Path) -> None:
    for block in shell_blocks(guide):
        read = subprocess.run(
            ["bash", "-n"],
            input=block.replace("…", "x"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_aws_has_each_command_with_its_options(guide: Path) -> None:
    session = botocore.session.get_session()
    for service, operation, first, options in aws_commands(guide):
        if service == "s3":
            assert operation in {"sync", "rm", "rb", "cp"}
        elif (service, operation) == ("cloudformation", "deploy"):
            assert options - OF_EVERY_COMMAND <= OF_DEPLOY
        elif operation == "wait":
            names = session.get_waiter_model(service).waiter_names
            assert first in {xform_name(name, "-") for name in names}
        else:
            model = session.get_service_model(service)
            operations = {xform_name(name, "-"): name for name in model.operation_names}
            assert operation in operations, service
            members = model.operation_model(operations[operation]).input_shape.members
            known = {xform_name(name, "-") for name in members} | OF_EVERY_COMMAND
            assert options <= known, (service, operation)


def test_what_they_name_of_ours_is_there() -> None:
    text = "".join(map(written, GUIDES))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|&& )make ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE)) <= targets
    alarms = {
        name
        for name, it in load_template()["Resources"].items()
        if it["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert set(re.findall(r"\b[A-Z]\w+Alarm\b", text)) <= alarms
    functions = Template({"Stage": "jul-dev"}).functions
    assert {name[0].upper() + name[1:] for name in re.findall(r"FUNCTION=(\w+)", text)} <= set(
        functions
    )
