"""The rows of a job: every one exactly once, in the order asked, for those who may see them."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from ipp.core.tables import RESULTS
from tests.unit.server.api.conftest import BEGUN, DONE, MOSTRADORES

ROWS = f"/ipp/results/{DONE}/rows"


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_pages_of_a_question_have_its_rows_once_in_the_order_asked(
    reader: TestClient, order: str
) -> None:
    asked = {"q": "acido", "sort": "precio", "order": order, "mostrador": f"000{MOSTRADORES[0]}"}
    whole = reader.get(ROWS, params=asked).json()
    assert (whole["total"], whole["next_cursor"]) == (2, None)
    assert [row["precio"] for row in whole["rows"]] == sorted([0.0, 12.5], reverse=order == "desc")
    first = reader.get(ROWS, params={**asked, "limit": 1}).json()
    last = reader.get(ROWS, params={**asked, "limit": 1, "cursor": first["next_cursor"]}).json()
    assert (last["total"], last["next_cursor"]) == (2, None)
    assert first["rows"] + last["rows"] == whole["rows"]


def test_only_the_jobs_own_files_are_read(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []

    def explained(frames: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        plans.extend(frame.explain() for frame in frames)
        return [frame.collect() for frame in frames]

    monkeypatch.setattr(pl, "collect_all", explained)
    assert reader.get(ROWS).status_code == 200
    assert f"job_id={DONE}" in plans[0]
    assert "job_id=ipp-other" not in plans[0]


def test_a_row_is_told_by_the_labels_people_read(reader: TestClient) -> None:
    page = reader.get(ROWS, params={"limit": 2}).json()
    row = page["rows"][1]
    assert list(row) == list(RESULTS.names)
    assert (page["job_id"], page["total"]) == (DONE, 26)
    told = {
        label: row[label]
        for label in ("mostrador", "material", "ean", "codigo_postal", "precio", "fecha_corte")
    }
    assert told == {
        "mostrador": "7051602", "material": "1001", "ean": "7501234567890",
        "codigo_postal": "06700", "precio": 12.5, "fecha_corte": "2026-06-30",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["rows", "download"])
@pytest.mark.parametrize(
    ("who", "job_id", "status", "error"),
    [
        ("ana", "ipp-none", 404, "Job no encontrado"),
        ("beto", DONE, 404, "Job no encontrado"),
        ("beto", BEGUN, 404, "Job no encontrado"),
        ("ana", BEGUN, 409, "Proceso no completado"),
    ],
)
def test_only_ones_own_completed_jobs_have_rows(
    reader: TestClient, path: str, who: str, job_id: str, status: int, error: str
) -> None:
    answer = reader.get(f"/ipp/results/{job_id}/{path}", headers={"x-user": who})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_an_admin_sees_anothers_rows(reader: TestClient) -> None:
    assert reader.get(ROWS, headers={"x-user": "raiz"}).json()["total"] == 26


@pytest.mark.parametrize("path", ["rows", "download"])
@pytest.mark.parametrize(
    ("mostrador", "status", "part"),
    [
        ("9", 404, "Están: 7051602, 7051603"),
        ("abc", 400, "mostrador: no es"),
        ("1' OR '1'='1", 400, "mostrador: no es"),
    ],
)
def test_a_mostrador_that_is_not_there_is_said(
    reader: TestClient, path: str, mostrador: str, status: int, part: str
) -> None:
    answer = reader.get(f"/ipp/results/{DONE}/{path}", params={"mostrador": mostrador})
    assert answer.status_code == status
    assert part in answer.json()["detail"]


def test_a_column_that_does_not_exist_is_named_beside_those_that_do(reader: TestClient) -> None:
    answer = reader.get(ROWS, params={"sort": "price; DROP TABLE"})
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == "sort"
    assert "«price; DROP TABLE»" in error["reason"]
    assert all(label in error["reason"] for label in RESULTS.names)


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"order": "up"}, {"q": "x" * 201}]
)
def test_what_is_out_of_its_bounds_is_named(reader: TestClient, wrong: dict[str, Any]) -> None:
    answer = reader.get(ROWS, params=wrong)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)


@pytest.mark.parametrize(
    "other",
    [{"sort": "precio"}, {"order": "desc"}, {"q": "acido"}, {"mostrador": "7051602"},
     {"x-user": "raiz"}, {"cursor": "eyJ9"}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_a_cursor_of_another_question_is_refused(reader: TestClient, other: dict[str, str]) -> None:
    cursor = reader.get(ROWS, params={"limit": 1}).json()["next_cursor"]
    assert reader.get(ROWS, params={"limit": 7, "cursor": cursor}).status_code == 200
    asked = {"cursor": cursor} | ({} if "x-user" in other else other)
    answer = reader.get(ROWS, params=asked, headers=other)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "cursor"
