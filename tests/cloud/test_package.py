"""What is deployed to Lambda: small, whole, and the same whoever builds it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from infra import package

from ipp.entrypoints import aws_wiring
from tests.cloud.aws import REGION
from tests.cloud.http_answer import CODE, HANDLERS, answer_event, is_success
from tests.cloud.lambda_package import isolated_command, lay_out, locked_versions
from tests.cloud.stack import Stack
from tests.cloud.template import Template
from tests.waiting import PATIENCE_SECONDS

MOST_MEGABYTES = 40

AS_UV_HAS_IT = "-".join(reversed(package.PLATFORM.split("_", 1)))
"""Lambda's platform: uv writes the processor first."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("package") / "lambda"
    lay_out(made)
    return made


def test_the_lock_pins_what_the_tests_run_with() -> None:
    pinned = locked_versions()
    assert {name: version(name) for name in pinned} == pinned


def test_it_is_resolved_and_compiled_for_what_the_functions_run_on() -> None:
    version = ".".join(map(str, package.PYTHON))
    functions = Template({"Stage": "jul-dev"}).functions.values()
    assert {(it["Runtime"], *it["Architectures"]) for it in functions} == {
        (f"python{version}", "arm64")
    }
    makefile = (package.ROOT / "Makefile").read_text()
    assert f"--python-version {version} --python-platform {AS_UV_HAS_IT}" in makefile
    deployment = (package.ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    assert re.findall(r'python-version: "([^"]+)"', deployment) == [version]


def test_it_is_small_enough_to_start_quickly(folder: Path) -> None:
    assert package.megabytes(folder) <= MOST_MEGABYTES


@pytest.mark.parametrize("handler", HANDLERS)
def test_it_has_all_that_a_handler_needs(folder: Path, deployed: Stack, handler: str) -> None:
    found = answer_event(deployed, handler, isolated_command(folder, CODE))
    assert is_success(handler, found.answer), found.answer


def test_it_describes_each_service_of_aws_that_our_code_asks(folder: Path) -> None:
    sources = "\n".join(path.read_text() for path in (package.ROOT / "src").rglob("*.py"))
    assert (
        set(re.findall(r'boto3\.client\("(\w+)"', sources)) | set(aws_wiring.SECRET_READERS)
        == package.AWS_SERVICES
    )
    code = f"import boto3; [boto3.client(name) for name in {sorted(package.AWS_SERVICES)}]"
    subprocess.run(
        isolated_command(folder, code),
        check=True,
        timeout=PATIENCE_SECONDS,
        env={"AWS_DEFAULT_REGION": REGION},
    )


def test_every_module_is_compiled(folder: Path) -> None:
    modules = {path for path in package.files(folder) if path.suffix == ".py"}
    compiled = {
        path.parents[1] / f"{path.name.partition('.')[0]}.py"
        for path in folder.rglob("__pycache__/*.pyc")
    }
    assert compiled == modules


def test_nothing_in_it_names_the_machine_that_built_it(folder: Path) -> None:
    here = [str(folder).encode(), str(package.ROOT).encode(), sys.prefix.encode()]
    naming = [
        path for path in package.files(folder) if any(place in path.read_bytes() for place in here)
    ]
    assert naming == []


def test_built_again_it_is_the_same_byte_by_byte(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "lambda"
    lay_out(again)
    package.archived(folder, tmp_path / "one.zip")
    package.archived(again, tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()
