"""What came out of a job some of whose mostradores failed, over HTTP."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from ipp.core.tables import FAILURES, NOTICES, RESULTS
from ipp.server.api import job_answer
from ipp.server.api.job_answer import Results
from tests.unit.jobs.job_builder import NOW, job
from tests.unit.server.api.conftest import DONE, MOSTRADORES, application

FAILED, LEFT = MOSTRADORES


def test_a_job_with_failed_mostradores_says_so_and_names_them(tmp_path: Path) -> None:
    app = application(tmp_path)
    lakehouse = app.state.lakehouse
    left = lakehouse.scan_table(RESULTS).filter(pl.col("mostrador") == LEFT).collect()
    lakehouse.replace_table(RESULTS, left.lazy())
    rows = [(job_id, FAILED, "factor", f"of {job_id}") for job_id in (DONE, "ipp-other")]
    lakehouse.replace_table(FAILURES, pl.LazyFrame(rows, schema=FAILURES.schema, orient="row"))
    answer = TestClient(app).get(f"/ipp/results/{DONE}")
    results = TypeAdapter(Results).validate_python(answer.json())
    summary = results["summary"]
    assert (results["status"], summary["success"], summary["mostradores_processed"]) == (
        "COMPLETED",
        False,
        1,
    )
    assert [counter["mostrador"] for counter in summary["mostradores"]] == [str(LEFT)]
    assert summary["mostradores_failed"] == [
        {"mostrador": str(FAILED), "stage": "factor", "error": f"of {DONE}"}
    ]


def test_a_job_without_failures_succeeded(reader: TestClient) -> None:
    summary = reader.get(f"/ipp/results/{DONE}").json()["summary"]
    assert (
        summary["success"],
        summary["mostradores_processed"],
        summary["mostradores_failed"],
    ) == (True, 2, [])


def test_what_is_odd_about_the_data_of_a_job_is_told(tmp_path: Path) -> None:
    app = application(tmp_path)
    assert TestClient(app).get(f"/ipp/results/{DONE}").json()["summary"]["notices"] == []
    rows = [(job_id, LEFT, f"of {job_id}") for job_id in (DONE, "ipp-other")]
    notices = pl.LazyFrame(rows, schema=NOTICES.schema, orient="row")
    app.state.lakehouse.replace_table(NOTICES, notices)
    answer = TestClient(app).get(f"/ipp/results/{DONE}")
    results = TypeAdapter(Results).validate_python(answer.json())
    assert results["summary"]["notices"] == [{"mostrador": str(LEFT), "notice": f"of {DONE}"}]


@pytest.mark.parametrize(("seconds", "told"), [(90, 90), (0, 0), (-7_200, 0)])
def test_a_job_never_took_less_than_no_time(seconds: int, told: int) -> None:
    """Its end may lie before its start, where the clock was set back."""
    made = replace(job(), updated_at=NOW + dt.timedelta(seconds=seconds))
    assert (
        job_answer.job_results(made, [], [], [], raw="", processed="")["summary"][
            "total_time_seconds"
        ]
        == told
    )
