"""The stages import what requirements/databricks.txt and a Databricks environment have, no more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from tests.cloud.spark import needed, run_spark_server, spark_environment
from tests.cloud.stage_processes import ENTRY_POINTS, build_staged_job
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "databricks.txt"

PROVIDED = (
    "pyspark", "py4j", "pyarrow", "pandas", "pytz", "tzdata", "grpcio", "grpcio-status",
    "googleapis-common-protos", "protobuf", "zstandard", "setuptools", "pip", "certifi",
)  # fmt: skip
"""What the environment of a serverless job has itself: PySpark and what it needs."""

CLIENT = ("databricks-connect==18.0.9", "pyarrow==21.0.0")
"""The Spark client and pyarrow of environment version 5, which the bundle names."""

PYTHON = "3.12"
"""The Python of environment version 5."""

_GUARDED = """
import importlib.metadata, re, sys
allowed, entry, *arguments = sys.argv[1:]
allowed = {"ipp", *allowed.split(",")}
owners = importlib.metadata.packages_distributions()

class Finder:
    def __init__(self, finders):
        self.finders = finders

    def find_spec(self, name, path=None, target=None):
        of = {re.sub("[-_.]+", "-", owner).lower() for owner in owners.get(name.split(".")[0], ())}
        if of and not of & allowed:
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

    def find_distributions(self, *context):
        for finder in self.finders:
            if hasattr(finder, "find_distributions"):
                yield from finder.find_distributions(*context)

sys.meta_path[:] = [Finder(sys.meta_path[:])]
sys.argv = [entry, *arguments]
(found,) = importlib.metadata.entry_points(group="console_scripts", name=entry)
found.load()()
"""
"""Runs an entry point in a Python to which the distributions that are not allowed are absent."""


def locked_versions() -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", LOCK.read_text(), re.MULTILINE))


def test_the_lock_has_what_the_project_says_that_stages_import() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert set(groups["stages"]) <= set(locked_versions())


def test_every_version_of_the_lock_is_one_of_those_that_the_tests_run() -> None:
    tested = set(
        re.findall(
            r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE
        )
    )
    assert set(locked_versions().items()) <= tested


def test_the_stages_run_with_what_is_locked_alone(spark_server: str, tmp_path: Path) -> None:
    """As a whole, because much is imported where it is used."""
    job = build_staged_job(tmp_path)
    allowed = ",".join((*locked_versions(), *PROVIDED))
    commands = [(sys.executable, "-c", _GUARDED, allowed, name) for name in ENTRY_POINTS]
    published = job.run_processes(commands, spark_environment(spark_server))
    assert_frame_equal(published, job.run_here(), check_exact=True)


def test_a_package_that_is_not_locked_would_be_missed() -> None:
    command = [sys.executable, "-c", _GUARDED, "", ENTRY_POINTS[0], "--job_id=x", "--files=/x"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: No module named" in ended.stderr


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The Python of a new environment as Databricks would install it, from the package index."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which makes the environment, is not here")
    folder = tmp_path / "environment"
    made = folder / "bin" / "python"
    wheel = subprocess.run(
        [sys.executable, "infra/stage_wheel.py", str(tmp_path / "wheel")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    ).stdout.strip()
    subprocess.run([uv, "venv", "-q", "--python", find_python(), str(folder)], check=True)
    install = [uv, "pip", "install", "--python", str(made), "-r", str(LOCK), wheel, *CLIENT]
    ended = subprocess.run(install, capture_output=True, text=True, timeout=600, check=False)
    if re.search("Failed to fetch|error sending request|not found in the package", ended.stderr):
        pytest.skip(f"no package index has the client of Databricks: {ended.stderr}")
    assert ended.returncode == 0, ended.stderr
    return made


def find_python() -> str:
    """Return the path of a Python like the environment's; skip the test if there is none."""
    try:
        return subprocess.run(
            [f"python{PYTHON}", "-c", "import sys; print(sys.executable)"],
            # Where pyenv has that Python, its shim runs it only if it is told so.
            env={**os.environ, "PYENV_VERSION": PYTHON},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"Python {PYTHON} is not here")


@pytest.mark.long
def test_the_stages_run_in_the_environment_that_the_bundle_names(
    environment: Path, tmp_path: Path
) -> None:
    """Databricks' own client against Spark Connect here; the kernels run in its Python as well."""
    needed()
    job = build_staged_job(tmp_path)
    with run_spark_server(tmp_path, python=environment) as address:
        commands = [(str(environment.with_name(name)),) for name in ENTRY_POINTS]
        published = job.run_processes(commands, spark_environment(address))
    assert_frame_equal(published, job.run_here(), check_exact=True)
