"""The bundle that deploys the jobs to Databricks: valid by its schema, in step with the code."""

from __future__ import annotations

import importlib
import json
import shlex
import subprocess
import sys
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import fields
from email.parser import BytesParser
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its types are no dependency of ours
import pytest
import yaml  # type: ignore[import-untyped]  # nor are its

from ipp.jobs.job import Stage
from ipp.jobs.reconciler import STAGE_DEADLINES
from ipp.settings import DEFAULT_CATALOG, CloudSettings, DatabricksSettings, StageSettings
from tests.cloud.workspace.bundle import BUNDLE, DEPLOYER, resolve_bundle
from tests.waiting import PATIENCE_SECONDS

INFRA = BUNDLE.parent
ROOT = INFRA.parent
LOCK = ROOT / "requirements" / "databricks.txt"
SCHEMA = ROOT.parent / "shared" / "spec" / "databricks-bundle.schema.json"
STAGES = ("jul-dev", "jul-qa", "nadro-qa", "nadro-prod")
ASKED_FOR = {"run_as": "runner", "caller": "caller"}
DEADLINE = {
    "normalise": STAGE_DEADLINES[Stage.NORMALISER],
    "factor": STAGE_DEADLINES[Stage.FACTOR],
    "publish": STAGE_DEADLINES[Stage.PUBLICATION],
}


def bundle() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(BUNDLE.read_text())
    return content


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The bundle as it is deployed to a stage."""
    return resolve_bundle(request.param, ASKED_FOR)


@pytest.fixture(params=DEADLINE)
def job(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, resolve_bundle("jul-dev", ASKED_FOR)["resources"]["jobs"][request.param]


def validator() -> jsonschema.Draft202012Validator:
    if not SCHEMA.is_file():
        pytest.skip(
            f"the schema of bundles is not at {SCHEMA.relative_to(ROOT.parent)} beside the project"
        )
    text = SCHEMA.read_text()
    for theirs, ours in (
        (r"[\\p{L}\\p{N}]", r"[^\\W_]"),
        (r"\\p{L}", r"[^\\W\\d_]"),
    ):  # Python has no classes by name
        text = text.replace(theirs, ours)
    assert r"\\p" not in text
    return jsonschema.Draft202012Validator(json.loads(text))


def test_the_bundle_is_valid() -> None:
    assert [
        f"{error.json_path}: {error.message}" for error in validator().iter_errors(bundle())
    ] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("resources", "jobs", "factor", "timeout_second"), 1),
        (("resources", "jobs", "factor", "queue"), {}),
        (("resources", "jobs", "factor", "tasks", 0, "python_wheel_task", "entry_point"), None),
        (("resources", "jobs", "factor", "schedule"), {"pause_status": "OFF"}),
    ],
)
def test_the_schema_would_say_what_is_wrong(path: tuple[str | int, ...], value: object) -> None:
    content = json.loads(json.dumps(bundle()))
    node = content
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    assert list(validator().iter_errors(content))


def test_the_targets_are_the_four_stages_and_one_is_the_default() -> None:
    targets = bundle()["targets"]
    assert tuple(targets) == STAGES
    assert [name for name, target in targets.items() if target.get("default")] == ["jul-dev"]
    assert targets["nadro-prod"]["mode"] == "production"


def test_every_variable_says_what_it_is_for_and_is_used() -> None:
    text = BUNDLE.read_text()
    for name, variable in bundle()["variables"].items():
        assert variable["description"]
        assert f"${{var.{name}}}" in text


def test_nothing_is_left_to_be_filled_in(stage: dict[str, Any]) -> None:
    assert "${" not in json.dumps(stage)


def test_what_has_no_default_is_who_runs_and_who_calls() -> None:
    asked = {name for name, variable in bundle()["variables"].items() if "default" not in variable}
    assert asked == set(ASKED_FOR)


def test_two_stages_share_no_name_of_a_job() -> None:
    stages = [resolve_bundle(name, ASKED_FOR)["resources"]["jobs"] for name in STAGES]
    names = [job["name"] for each in stages for job in each.values()]
    assert len(set(names)) == len(names) == 3 * len(STAGES)


def test_a_task_finds_its_volumes_and_where_they_are_not_the_buckets_those_too() -> None:
    key = {
        "secret_scope": "ipp",
        "raw_bucket": "the-raw",
        "processed_bucket": "the-processed",
        "region": "us-east-1",
    }
    for catalog, variables, given in (
        (DEFAULT_CATALOG, {}, dict.fromkeys(key, "")),
        ("nadro_qa", {"catalog": "nadro_qa", **key}, key),
    ):
        for each in resolve_bundle("jul-dev", ASKED_FOR | variables)["resources"]["jobs"].values():
            arguments = dict(each["tasks"][0]["python_wheel_task"]["named_parameters"])
            assert arguments.pop("job_id") == "{{job.parameters.job_id}}"
            assert arguments.pop("run_id") == "{{job.run_id}}"
            assert arguments == {
                "files": f"/Volumes/{catalog}/ipp",
                "catalog": catalog,
                **given,
            }
            assert set(arguments) <= {setting.name for setting in fields(StageSettings)}


def test_what_a_task_runs_is_an_entry_point_of_the_wheel(job: tuple[str, dict[str, Any]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    _, definition = job
    (task,) = definition["tasks"]
    wheel = task["python_wheel_task"]
    assert wheel["package_name"] == project["name"]
    module, _, function = project["scripts"][wheel["entry_point"]].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_each_stage_has_an_entry_point_of_its_own() -> None:
    jobs = bundle()["resources"]["jobs"]
    assert list(jobs) == list(DEADLINE)
    points = [job["tasks"][0]["python_wheel_task"]["entry_point"] for job in jobs.values()]
    assert points == ["ipp-normalise", "ipp-factor", "ipp-publish"]


def test_a_task_is_told_which_job_it_is_of(job: tuple[str, dict[str, Any]]) -> None:
    _, definition = job
    assert [parameter["name"] for parameter in definition["parameters"]] == ["job_id"]


def test_a_job_ends_its_run_when_the_reconciler_gives_it_up(
    job: tuple[str, dict[str, Any]],
) -> None:
    key, definition = job
    assert definition["timeout_seconds"] == DEADLINE[key].total_seconds()


def test_a_run_too_many_waits(job: tuple[str, dict[str, Any]]) -> None:
    _, definition = job
    assert definition["queue"] == {"enabled": True}
    assert (
        definition["max_concurrent_runs"] > CloudSettings("", "", "", DatabricksSettings()).max_jobs
    )


def test_every_stage_runs_for_as_many_jobs_at_once() -> None:
    jobs = bundle()["resources"]["jobs"].values()
    assert len({job["max_concurrent_runs"] for job in jobs}) == 1


def test_a_task_is_tried_again_once_and_not_by_serverless_besides(
    job: tuple[str, dict[str, Any]],
) -> None:
    (task,) = job[1]["tasks"]
    assert (task["max_retries"], task["retry_on_timeout"], task["disable_auto_optimization"]) == (
        1,
        False,
        True,
    )


def test_a_task_runs_serverless_with_the_projects_own_wheel(
    job: tuple[str, dict[str, Any]],
) -> None:
    _, definition = job
    (environment,) = definition["environments"]
    assert definition["tasks"][0]["environment_key"] == environment["environment_key"]
    requirements, wheel = environment["spec"]["dependencies"]
    assert (INFRA / requirements.removeprefix("-r ")).resolve() == LOCK
    assert bundle()["sync"]["paths"] == [requirements.removeprefix("-r ").rpartition("/")[0]]
    assert [{"source": wheel}] == bundle()["artifacts"]["ipp"]["files"]
    assert "job_clusters" not in definition


def test_only_who_deploys_can_change_what_the_stages_run(stage: dict[str, Any]) -> None:
    root = stage["workspace"]["root_path"]
    assert root.startswith(f"/Workspace/Users/{DEPLOYER}/")
    assert {each["level"] for each in stage["permissions"]} == {"CAN_RUN", "CAN_VIEW"}
    assert {"service_principal_name": "runner", "level": "CAN_VIEW"} in stage["permissions"]


def test_two_stages_share_no_root() -> None:
    roots = {resolve_bundle(name, ASKED_FOR)["workspace"]["root_path"] for name in STAGES}
    assert len(roots) == len(STAGES)


def test_the_cost_of_a_job_is_told_by_its_stage(stage: dict[str, Any]) -> None:
    tags = [job["tags"] for job in stage["resources"]["jobs"].values()]
    assert tags == [tags[0]] * 3
    assert tags[0]["stage"] in stage["workspace"]["root_path"].split("/")


def test_no_schedule_is_on(stage: dict[str, Any]) -> None:
    schedules = [
        job["schedule"] for job in stage["resources"]["jobs"].values() if "schedule" in job
    ]
    assert [schedule["pause_status"] for schedule in schedules] == ["PAUSED"]


def test_the_stages_run_as_themselves_and_whoever_calls_may_start_and_cancel(
    stage: dict[str, Any],
) -> None:
    assert stage["run_as"] == {"service_principal_name": "runner"}
    assert {"service_principal_name": "caller", "level": "CAN_RUN"} in stage["permissions"]


def test_the_wheel_is_built_as_the_bundle_says(tmp_path: Path) -> None:
    (artifact,) = bundle()["artifacts"].values()
    python, *rest = shlex.split(artifact["build"])
    assert (artifact["path"], python) == ("..", ".venv/bin/python")
    assert [f"../{rest.pop()}/*.whl"] == [each["source"] for each in artifact["files"]]
    built = subprocess.run(
        [sys.executable, *rest, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (points,) = [
            name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")
        ]
        written = archive.read(points).decode()
        assert archive.testzip() is None
        (about,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = BytesParser().parsebytes(archive.read(about))
        record = archive.read(about.replace("METADATA", "RECORD")).decode()
        digest = urlsafe_b64encode(sha256(archive.read(about)).digest()).decode().rstrip("=")
    assert metadata.get_all("Requires-Dist") is None
    assert metadata["Name"] == "ipp"
    assert metadata.get_payload(decode=True) == (ROOT / "README.md").read_bytes()
    assert f"\n{about},sha256={digest}," in record
    for job in bundle()["resources"]["jobs"].values():
        assert f"\n{job['tasks'][0]['python_wheel_task']['entry_point']} = " in written
