"""The documented architecture is the one that is built."""

from __future__ import annotations

import datetime as dt
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are no dependency of ours

from ipp.cloud.databricks.client import CallBudget
from ipp.jobs.job import NEXT_STATUSES, RETENTION, UNFINISHED_RETENTION, Stage, stage_token
from ipp.jobs.reconciler import REFRESH_INTERVAL, STAGE_DEADLINES, STUCK_AFTER
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.files.s3_files import LINK_VALID_SECONDS
from ipp.storage.warehouse.sql_statement import STATEMENT_TIMEOUT_SECONDS
from tests.cloud.template import load_template

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "explanation"
TEXT = (DOCS / "architecture.md").read_text(encoding="utf-8")
DOT = (DOCS / "architecture.dot").read_text(encoding="utf-8")
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


@pytest.mark.parametrize("source", sorted(DOCS.glob("*.dot")), ids=lambda path: path.name)
def test_a_drawing_is_of_its_text(source: Path) -> None:
    mark = runpy.run_path(str(ROOT / "docs" / "reference" / "draw.py"))["mark"]
    assert mark(source) in source.with_suffix(".svg").read_text(encoding="utf-8"), "make docs"


def test_every_function_and_every_job_is_drawn() -> None:
    functions = [
        name
        for name, it in load_template()["Resources"].items()
        if it["Type"] == "AWS::Serverless::Function"
    ]
    bundle = yaml.safe_load((ROOT / "infra" / "databricks.yml").read_text(encoding="utf-8"))
    jobs = [f"ipp-{name}" for name in bundle["resources"]["jobs"]]
    assert (len(functions), len(jobs)) == (6, 3)
    drawn = re.findall(r"<b>([^<]+)</b>", DOT)
    assert [name for name in (*functions, *jobs) if name not in drawn] == []


def test_every_number_of_the_drawing_is_explained_and_every_explanation_is_drawn() -> None:
    drawn = {int(number) for number in re.findall(r"\b(\d+) \[pos=", DOT)}
    explained = {int(number) for number in re.findall(r"^\| (\d+) \| [^`]", TEXT, re.MULTILINE)}
    assert drawn == explained == set(range(1, 16))


def test_the_statuses_drawn_follow_each_other_as_the_model_says() -> None:
    drawn = (DOCS / "job.dot").read_text(encoding="utf-8")
    arrows = {
        pair
        for chain in re.findall(r"^  \w+(?: -> \w+)+$", drawn, re.MULTILINE)
        for pair in zip(chain.split(" -> ")[:-1], chain.split(" -> ")[1:], strict=True)
    }
    assert {(one.strip(), other) for one, other in arrows} == {
        (status.value, follower.value)
        for status, followers in NEXT_STATUSES.items()
        for follower in followers
    }


def test_every_alarm_that_is_named_is_set_up() -> None:
    alarms = {
        name
        for name, it in load_template()["Resources"].items()
        if it["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert set(re.findall(r"\b\w+Alarm\b", TEXT)) == alarms


def test_the_limits_are_the_codes_own() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d[^|]*) \|$", TEXT, re.MULTILINE))
    first, *others = (STAGE_DEADLINES[stage] // HOUR for stage in Stage)
    budget = CallBudget()
    assert others == [others[0]] * 2
    assert rows == {
        "a run of the normaliser, while it runs": f"{first} h",
        "a run of the factor step or of publication, while it runs": f"{others[0]} h",
        "a call to Databricks, with its retries": f"{budget.seconds:g} s, {budget.tries} tries",
        "a statement in the SQL warehouse": f"{STATEMENT_TIMEOUT_SECONDS:g} s",
        "a presigned URL": f"{LINK_VALID_SECONDS} s",
        "between two refreshes of a run, however many look": f"{REFRESH_INTERVAL.seconds} s",
        "a stage not submitted within this is stuck": f"{STUCK_AFTER // MINUTE} min",
        "a job that has ended is stored after its last change": f"{RETENTION.days} days",
        "one that has not": f"{UNFINISHED_RETENTION.days} days",
    }


def test_the_names_of_a_stage_in_databricks_are_the_codes_own() -> None:
    assert f"/Volumes/{DEFAULT_CATALOG}/ipp" in TEXT
    assert [
        stage_token("JOB", stage) for stage in Stage if stage_token("JOB", stage) not in TEXT
    ] == []


def test_a_job_passes_through_at_most_25_files_in_order() -> None:
    listed = re.findall(r"^\| (\d+) \| `([a-z_/0-9]+\.py)` \|", TEXT, re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, len(listed) + 1))
    assert 20 <= len(listed) <= 25
    assert len({name for _, name in listed}) == len(listed)
    assert [name for _, name in listed if not (ROOT / "src" / "ipp" / name).is_file()] == []


def test_the_layers_are_those_that_the_linter_holds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    rows = re.findall(r"^\| [\d, ]+ \| ((?:`[a-z]+`(?:, )?)+) \|", TEXT, re.MULTILINE)
    told = [re.findall(r"`([a-z]+)`", row) for row in rows]
    held = [re.findall(r"ipp\.([a-z]+)", layer) for layer in layers]
    assert [name for row in told for name in row] == [name for row in held for name in row]


def test_the_days_are_the_templates_own() -> None:
    for name in ("LogDays", "RawDays", "ProcessedDays"):
        assert f"{load_template()['Parameters'][name]['Default']} days ({name})" in TEXT
    properties = load_template()["Resources"]["DeadLetters"]["Properties"]
    assert f"{properties['MessageRetentionPeriod'] // 86_400} days |" in TEXT
