"""The locks agree with each other and with pyproject.toml, and name no package index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


def read_pins(name: str) -> set[tuple[str, str]]:
    """Return the packages of a lock with their versions: of some, one for each Python."""
    return set(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", read_lock(name), re.MULTILINE))


def list_requirements(lock: str) -> list[str]:
    """Return what pyproject.toml asks of a lock."""
    group = {"databricks": "stages"}.get(lock, lock)
    asked: list[Any] = PROJECT["dependency-groups"].get(group, [])
    if lock in {"runtime", "image", "dev"}:
        asked = [*PROJECT["project"]["dependencies"], *asked]
    if lock == "image":
        extras = PROJECT["project"]["optional-dependencies"].values()
        asked += [line for extra in extras for line in extra]
    groups = [item["include-group"] for item in asked if isinstance(item, dict)]
    included = [line for group in groups for line in list_requirements(group)]
    return [line for line in asked if isinstance(line, str)] + included


@pytest.mark.parametrize("lock", ["runtime", "build", "image", "lambda"])
def test_the_development_lock_pins_the_same_versions(lock: str) -> None:
    pins = read_pins(lock)
    assert pins
    assert pins - read_pins("dev") == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_every_requirement(lock: str) -> None:
    requirements = [Requirement(line) for line in list_requirements(lock)]
    assert requirements
    pins = read_pins(lock)
    for requirement in requirements:
        versions = [version for name, version in pins if name == requirement.name]
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_package_index(lock: str) -> None:
    assert re.findall(r"://|^-.*", read_lock(lock), re.MULTILINE) == []
