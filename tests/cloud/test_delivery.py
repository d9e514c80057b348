"""The way from a commit to a stage: each branch has one, and no stored secret opens an account."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours
from infra import deploy

from tests.cloud.template import load_template

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"

BRANCHES = {"dev": ["jul-dev"], "qa": ["jul-qa", "nadro-qa"], "main": ["nadro-prod"]}

STAGES = load_template()["Parameters"]["Stage"]["AllowedValues"]


def workflow(name: str) -> dict[str, Any]:
    """A workflow; its events are under "on", which YAML takes for true."""
    found = yaml.safe_load((WORKFLOWS / name).read_text())
    return {"on" if key is True else key: value for key, value in found.items()}


@pytest.fixture
def job() -> dict[str, Any]:
    found: dict[str, Any] = workflow("deploy.yml")["jobs"]["deploy"]
    return found


def test_a_branch_is_deployed_to_its_stages(job: dict[str, Any]) -> None:
    chosen = re.findall(
        r"github\.ref_name == '(\w+)'\s+&& '(\[[^']*\])'", job["strategy"]["matrix"]["stage"]
    )
    assert {branch: json.loads(stages) for branch, stages in chosen} == BRANCHES
    assert workflow("deploy.yml")["on"]["push"] == {"branches": list(BRANCHES)}


def test_every_stage_is_deployed_from_one_branch() -> None:
    assert sorted(stage for stages in BRANCHES.values() for stage in stages) == sorted(STAGES)


def test_every_push_is_tested_and_what_is_deployed_before_it_is(job: dict[str, Any]) -> None:
    events = workflow("ci.yml")["on"]
    assert sorted(events["push"]["branches-ignore"]) == sorted(BRANCHES)
    assert {"pull_request", "workflow_call"} <= events.keys()
    assert workflow("deploy.yml")["jobs"]["test"]["uses"] == "./.github/workflows/ci.yml"
    assert job["needs"] == "test"
    assert workflow("ci.yml")["jobs"]["test"]["steps"][-1] == {"run": "bash .ci/run"}


def test_a_stage_has_a_role_of_its_own_and_no_key_is_stored(job: dict[str, Any]) -> None:
    assert job["environment"] == "${{ matrix.stage }}"
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    (signing_in,) = [
        step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")
    ]
    assert signing_in["role-to-assume"] == "${{ vars.AWS_DEPLOY_ROLE }}"
    for file in WORKFLOWS.iterdir():
        assert "secrets." not in file.read_text()


def test_two_deployments_of_a_stage_are_one_after_the_other(job: dict[str, Any]) -> None:
    assert job["concurrency"] == {
        "group": "deploy-${{ matrix.stage }}",
        "cancel-in-progress": False,
    }


def test_an_action_is_a_commit_that_nobody_can_move() -> None:
    used = re.findall(r"uses: ([^\s#]+)", "".join(file.read_text() for file in WORKFLOWS.iterdir()))
    assert used
    assert [
        action
        for action in used
        if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}|\./\.github/.+", action)
    ] == []


def test_a_variable_of_a_stage_is_a_parameter_of_the_template_or_of_databricks(
    job: dict[str, Any],
) -> None:
    given = set(step_of(job, "make deploy")["env"])
    of_databricks = {"DATABRICKS_AUTH_TYPE", "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID"}
    of_the_bundle = {name for name in given if name.startswith("BUNDLE_VAR_")}
    parameters = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() for name in load_template()["Parameters"]
    }
    assert given - of_databricks - of_the_bundle - parameters == set()
    of_deploy = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
        for name in ["ProtectData", *deploy.JOBS.values()]
    }
    assert parameters - given == of_deploy, "what is left out is reset by nothing, but is not set"
    bundle = yaml.safe_load((ROOT / "infra" / "databricks.yml").read_text())
    assert {name.removeprefix("BUNDLE_VAR_") for name in of_the_bundle} == set(bundle["variables"])


def test_what_is_deployed_is_kept_and_tried_before_it_is_said_to_be_done(
    job: dict[str, Any],
) -> None:
    runs = [step.get("run", step.get("uses", "")) for step in job["steps"]]
    places = [
        next(place for place, run in enumerate(runs) if what in run)
        for what in ("make check-infra", "make deploy", "upload-artifact@", "make canary")
    ]
    assert places == sorted(places)
    assert places[-1] == len(runs) - 1
    kept = step_of(job, "upload-artifact@")["with"]
    assert "inputs.commit || github.sha" in kept["name"]
    assert kept["path"].split() == ["dist/*.whl", "dist/lambda.zip"]


def test_every_commit_that_is_deployed_has_an_image_of_its_own() -> None:
    image = workflow("deploy.yml")["jobs"]["image"]
    assert image["needs"] == "test"
    build = step_of(image, "docker push")["run"]
    argument = re.search(r"--build-arg (\w+)=", build)
    assert argument is not None
    assert re.search(rf"^ARG {argument[1]}\b", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert step_of(image, "actions/checkout@")["with"]["ref"] == "${{ inputs.commit }}"


def test_an_older_commit_can_be_deployed_again_but_none_of_another_branch(
    job: dict[str, Any],
) -> None:
    assert "commit" in workflow("deploy.yml")["on"]["workflow_dispatch"]["inputs"]
    assert step_of(job, "actions/checkout@")["with"]["ref"] == "${{ inputs.commit }}"
    step_of(job, 'merge-base --is-ancestor HEAD "origin/$GITHUB_REF_NAME"')


def step_of(job: dict[str, Any], what: str) -> dict[str, Any]:
    (found,) = [step for step in job["steps"] if what in step.get("run", "") + step.get("uses", "")]
    return dict(found)


def test_what_is_fetched_on_the_way_is_known_by_its_hash(job: dict[str, Any]) -> None:
    (fetched,) = [step for step in job["steps"] if "curl" in step.get("run", "")]
    assert re.fullmatch(r"[0-9a-f]{64}", fetched["env"]["SHA256"])
    assert "sha256sum --check" in fetched["run"]
