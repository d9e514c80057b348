"""The curve of a counter of the predictive model, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from ipp.core.tables import CURVES
from ipp.server.api.job_answer import Curve
from tests.unit.server.api.conftest import BEGUN, DONE, MOSTRADORES, application

POINTS = [(100.0, 0.5, False, None), (200.0, 0.75, True, 1e-6), (300.0, 0.9, False, None)]


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    app = application(tmp_path)
    schema = {
        "investment": pl.Float64,
        "fill_rate": pl.Float64,
        "chosen": pl.Boolean,
        "gap": pl.Float64,
    }
    points = pl.DataFrame(POINTS[::-1], schema=schema, orient="row")
    mine = points.with_columns(job_id=pl.lit(DONE), mostrador=pl.lit(MOSTRADORES[0]))
    other = points.with_columns(
        job_id=pl.lit("ipp-other"), mostrador=pl.lit(MOSTRADORES[0]), investment=pl.lit(7.0)
    )
    both = pl.concat([mine, other.head(1)], how="diagonal")
    app.state.lakehouse.replace_table(CURVES, both.lazy())
    return TestClient(app)


def test_the_points_are_of_this_job_and_mostrador_by_investment(client: TestClient) -> None:
    answer = client.get(f"/ipp/results/{DONE}/curve", params={"mostrador": f"000{MOSTRADORES[0]}"})
    found = TypeAdapter(Curve).validate_python(answer.json())
    assert found["mostrador"] == str(MOSTRADORES[0])
    names = ("investment", "fill_rate", "chosen", "gap")
    points: list[Any] = list(found["points"])
    assert [tuple(point[name] for name in names) for point in points] == POINTS


@pytest.mark.parametrize(
    ("path", "mostrador", "status"),
    [
        (f"/ipp/results/{DONE}/curve", str(MOSTRADORES[1]), 404),
        (f"/ipp/results/{DONE}/curve", "9", 404),
        (f"/ipp/results/{BEGUN}/curve", str(MOSTRADORES[0]), 409),
        ("/ipp/results/ipp-nada/curve", str(MOSTRADORES[0]), 404),
        (f"/ipp/results/{DONE}/curve", "x", 400),
        (f"/ipp/results/{DONE}/curve", None, 400),
    ],
)
def test_what_has_no_curve_is_a_problem(
    client: TestClient, path: str, mostrador: str | None, status: int
) -> None:
    answer = client.get(path, params={} if mostrador is None else {"mostrador": mostrador})
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


def test_a_curve_of_somebody_elses_job_is_not_there(client: TestClient) -> None:
    answer = client.get(
        f"/ipp/results/{DONE}/curve",
        params={"mostrador": MOSTRADORES[0]},
        headers={"x-user": "beto"},
    )
    assert (answer.status_code, answer.json()["error"]) == (404, "Job no encontrado")
