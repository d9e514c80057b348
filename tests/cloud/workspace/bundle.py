"""The jobs as the project's bundle defines them, deployed to a workspace of the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours

from tests.cloud.workspace.definition import JobDefinition

BUNDLE = Path(__file__).parents[3] / "infra" / "databricks.yml"

DEPLOYER = "deployer@example.com"
"""The name of whoever deploys."""

_KEYS = ("normalise", "factor", "publish")
"""The jobs of the stages, in their order."""

_NUMBERS = (789, 790, 791)
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def resolve_bundle(target: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the deployed bundle: every ``${...}`` resolved, an empty text where nothing is given.

    Raises KeyError for a reference to nothing.
    """
    content: dict[str, Any] = yaml.safe_load(BUNDLE.read_text())
    values = {
        name: variable.get("default", "") for name, variable in content["variables"].items()
    } | dict(variables or {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: resolved(value) for name, value in node.items()}
        if isinstance(node, list):
            return [resolved(value) for value in node]
        if not isinstance(node, str):
            return node
        whole = _REFERENCE.fullmatch(node)
        return (
            meant(whole[1]) if whole else _REFERENCE.sub(lambda found: str(meant(found[1])), node)
        )

    def meant(reference: str) -> Any:
        first, *rest = reference.split(".")
        if reference == "bundle.target":
            return target
        if reference == "workspace.current_user.userName":
            return DEPLOYER
        if first == "var":
            return resolved(values[".".join(rest)])
        found: Any = content
        for name in (first, *rest):
            found = found[name]
        return resolved(found)

    assert target in content["targets"], target
    return {name: resolved(part) for name, part in content.items() if name != "variables"}


def bundle_jobs(
    arguments: Mapping[str, str] | None = None, *, target: str = "jul-dev", retry_wait: float = 0.1
) -> tuple[JobDefinition, ...]:
    """Return the jobs of the three stages; ``arguments`` extend or replace named parameters."""
    jobs = resolve_bundle(target)["resources"]["jobs"]
    return tuple(
        _job(number, jobs[key], arguments or {}, retry_wait)
        for number, key in zip(_NUMBERS, _KEYS, strict=True)
    )


def _job(
    number: int, job: Mapping[str, Any], arguments: Mapping[str, str], retry_wait: float
) -> JobDefinition:
    (task,) = job["tasks"]
    wheel = task["python_wheel_task"]
    return JobDefinition(
        id=number,
        name=job["name"],
        entry_point=wheel["entry_point"],
        named_parameters={**wheel["named_parameters"], **arguments},
        parameters={parameter["name"]: parameter["default"] for parameter in job["parameters"]},
        max_concurrent_runs=job["max_concurrent_runs"],
        performance=job["performance_target"],
        max_retries=task["max_retries"],
        retry_wait=retry_wait,
    )
