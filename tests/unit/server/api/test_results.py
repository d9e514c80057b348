"""What came out of a job over HTTP: curves, notices, and why a mostrador failed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from ipp.core.tables import CURVES, FAILURES, NOTICES, RESULTS
from ipp.jobs.job import JobStatus
from ipp.server.api import job_answer
from ipp.server.api.job_answer import Curve, Results
from tests.unit.jobs.job_builder import NOW, build_job
from tests.unit.server.api.conftest import DONE, MOSTRADORES, build_application, build_result_rows

FAILED, LEFT = MOSTRADORES


def test_a_job_with_failed_mostradores_says_so_and_names_them(tmp_path: Path) -> None:
    app = build_application(tmp_path)
    lakehouse = app.state.lakehouse
    left = lakehouse.scan_table(RESULTS).filter(pl.col("mostrador") == LEFT).collect()
    lakehouse.replace_table(RESULTS, left.lazy())
    rows = [(job_id, FAILED, "factor", f"of {job_id}") for job_id in (DONE, "ipp-other")]
    lakehouse.replace_table(FAILURES, pl.LazyFrame(rows, schema=FAILURES.schema, orient="row"))
    answer = TestClient(app).get(f"/ipp/results/{DONE}")
    told = TypeAdapter(Results).validate_python(answer.json())
    summary = told["summary"]
    assert told["status"] == "COMPLETED"
    assert summary["success"] is False
    assert summary["mostradores_processed"] == 1
    assert [counter["mostrador"] for counter in summary["mostradores"]] == [str(LEFT)]
    assert summary["mostradores_failed"] == [
        {"mostrador": str(FAILED), "stage": "factor", "error": f"of {DONE}"}
    ]


def test_what_is_odd_about_the_data_of_a_job_is_told(tmp_path: Path) -> None:
    app = build_application(tmp_path)
    assert TestClient(app).get(f"/ipp/results/{DONE}").json()["summary"]["notices"] == []
    rows = [(job_id, LEFT, f"of {job_id}") for job_id in (DONE, "ipp-other")]
    notices = pl.LazyFrame(rows, schema=NOTICES.schema, orient="row")
    app.state.lakehouse.replace_table(NOTICES, notices)
    answer = TestClient(app).get(f"/ipp/results/{DONE}")
    told = TypeAdapter(Results).validate_python(answer.json())
    assert told["summary"]["notices"] == [{"mostrador": str(LEFT), "notice": f"of {DONE}"}]


@pytest.mark.parametrize(("seconds", "told"), [(90, 90), (0, 0), (-7_200, 0)])
def test_a_job_never_took_less_than_no_time(seconds: int, told: int) -> None:
    """Its end may lie before its start, where the clock was set back."""
    made = replace(build_job(), updated_at=NOW + dt.timedelta(seconds=seconds))
    summary = job_answer.job_results(made, [], [], [], raw="", processed="", results_table="")[
        "summary"
    ]
    assert summary["total_time_seconds"] == told


def test_the_points_of_a_curve_are_of_its_job_and_mostrador_by_investment(tmp_path: Path) -> None:
    app = build_application(tmp_path)
    points = [(100.0, 0.5, False, None), (200.0, 0.75, True, 1e-6), (300.0, 0.9, False, None)]
    names = ("investment", "fill_rate", "chosen", "gap")
    rows: list[dict[str, Any]] = [
        {"job_id": job_id, "mostrador": LEFT, **dict(zip(names, point, strict=True))}
        for job_id, some in ((DONE, points[::-1]), ("ipp-other", points[:1]))
        for point in some
    ]
    app.state.lakehouse.replace_table(CURVES, pl.LazyFrame(rows, schema=CURVES.schema))
    answer = TestClient(app).get(f"/ipp/results/{DONE}/curve", params={"mostrador": f"000{LEFT}"})
    found = TypeAdapter(Curve).validate_python(answer.json())
    assert found["mostrador"] == str(LEFT)
    told: list[Any] = list(found["points"])
    assert [tuple(point[name] for name in names) for point in told] == points


JOB = "ipp-half"
GOOD, LOST, NOTHING = MOSTRADORES[0], 7_051_604, 7_051_605
"""One that was published, one that failed, and one of which neither is known."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = build_application(Path(tmp_path_factory.mktemp("half")))
    lakehouse, services = app.state.lakehouse, app.state.services
    lakehouse.replace_partitions(RESULTS, build_result_rows(JOB, GOOD).lazy(), [JOB])
    lost = {"job_id": JOB, "mostrador": LOST, "stage": "factor", "cause": "sin precio <alguno>"}
    lakehouse.replace_table(FAILURES, pl.LazyFrame([lost], schema=FAILURES.schema))
    completed = replace(
        build_job(JOB), status=JobStatus.COMPLETED, mostradores=(GOOD, LOST, NOTHING)
    )
    services.jobs._store.create_job(completed, NOW)
    with TestClient(app) as made:
        yield made


@pytest.mark.parametrize(
    ("part", "asked"),
    [("rows", {}), ("rows", {"q": "acido", "sort": "precio"}), ("curve", {}), ("download", {}),
     ("download", {"format": "xlsx"})],
)  # fmt: skip
def test_whatever_is_asked_of_a_mostrador_that_failed_says_that_it_did_and_why(
    part: str, asked: dict[str, str], client: TestClient
) -> None:
    answer = client.get(f"/ipp/results/{JOB}/{part}", params={"mostrador": LOST, **asked})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert problem["type"] == "urn:ipp:problema:mostrador_fallido"
    for said in (str(LOST), "factor", "sin precio <alguno>"):
        assert said in problem["error"]


def test_who_did_not_fail_and_has_nothing_is_an_empty_page_and_no_curve(client: TestClient) -> None:
    for mostrador, asked in ((NOTHING, {}), (GOOD, {"q": "nada es así"})):
        page = client.get(f"/ipp/results/{JOB}/rows", params={"mostrador": mostrador, **asked})
        assert (page.status_code, page.json()["total"]) == (200, 0)
    answer = client.get(f"/ipp/results/{JOB}/curve", params={"mostrador": GOOD})
    assert answer.status_code == 404
    assert answer.json()["error"] == f"El mostrador {GOOD} no tiene curva en {JOB}."
