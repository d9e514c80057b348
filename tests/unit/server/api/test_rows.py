"""The rows of a job: every one exactly once, in the order asked, for those who may see them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipp.core.contract import Kind
from ipp.core.tables import RESULTS
from tests.unit.server.api.conftest import BEGUN, DONE, MOSTRADORES

ROWS = f"/ipp/results/{DONE}/rows"

Shown = list[dict[str, Any]]


def pages(client: TestClient, **asked: Any) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        answer = client.get(ROWS, params=asked | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        yield answer.json()
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return


def keys(shown: Shown) -> list[tuple[int, int]]:
    return [(int(row["mostrador"]), int(row["material"])) for row in shown]


def plain(text: str) -> str:
    return "".join(
        c for c in unicodedata.normalize("NFKD", text).lower() if not unicodedata.combining(c)
    )


def expected(table: pl.DataFrame, sort: str, order: str) -> list[tuple[int, int]]:
    """The promised order in plain Python: empty cells last, no case or accents, then ties."""
    column = RESULTS.by_name[RESULTS.names[sort]]
    rows = sorted(table.to_dicts(), key=lambda row: (row["mostrador"], row["material"]))
    full = [row for row in rows if row[column.name] is not None]
    empty = [row for row in rows if row[column.name] is None]

    def key(row: dict[str, Any]) -> Any:
        return plain(row[column.name]) if column.kind is Kind.TEXT else row[column.name]

    return [
        (row["mostrador"], row["material"])
        for row in [*sorted(full, key=key, reverse=order == "desc"), *empty]
    ]


@given(st.sampled_from(list(RESULTS.names)), st.sampled_from(["asc", "desc"]), st.integers(5, 40))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_walking_the_pages_gives_every_row_once_in_the_order_asked(
    reader: TestClient, table: pl.DataFrame, sort: str, order: str, limit: int
) -> None:
    shown = [page["rows"] for page in pages(reader, sort=sort, order=order, limit=limit)]
    # Python's reverse keeps the order of what is alike, as the promise does.
    assert keys([row for page in shown for row in page]) == expected(table, sort, order)
    assert {len(page) for page in shown[:-1]} <= {limit}
    assert len(shown[-1]) > 0


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


def test_the_total_is_of_what_was_asked(reader: TestClient) -> None:
    for page in pages(reader, q="acido", limit=1):
        assert page["total"] == 4


def test_only_the_jobs_own_files_are_read(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []

    def explained(frames: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        plans.extend(frame.explain() for frame in frames)
        return [frame.collect() for frame in frames]

    monkeypatch.setattr(pl, "collect_all", explained)
    assert reader.get(ROWS, params={"mostrador": MOSTRADORES[0]}).status_code == 200
    (plan, _) = plans
    assert f"job_id={DONE}" in plan
    assert "job_id=ipp-other" not in plan
    assert f'SELECTION: col("mostrador") == {MOSTRADORES[0]}' in plan


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


def test_leading_zeros_of_a_mostrador_do_not_matter(reader: TestClient) -> None:
    assert reader.get(ROWS, params={"mostrador": "0007051602"}).json()["total"] == 13


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
    [{"sort": "precio"}, {"order": "desc"}, {"q": "acido"}, {"mostrador": "7051602"}],
    ids=lambda other: next(iter(other)),
)
def test_a_cursor_of_another_question_is_refused(reader: TestClient, other: dict[str, str]) -> None:
    cursor = reader.get(ROWS, params={"limit": 1}).json()["next_cursor"]
    assert reader.get(ROWS, params={"limit": 7, "cursor": cursor}).status_code == 200
    answer = reader.get(ROWS, params={"cursor": cursor} | other)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_cursor_of_another_caller_is_refused(reader: TestClient) -> None:
    cursor = reader.get(ROWS, params={"limit": 1}).json()["next_cursor"]
    assert (
        reader.get(ROWS, params={"cursor": cursor}, headers={"x-user": "raiz"}).status_code == 400
    )


@pytest.fixture(scope="module")
def cursor(reader: TestClient) -> str:
    given: str = reader.get(ROWS, params={"limit": 12}).json()["next_cursor"]
    return given


@pytest.mark.parametrize("edit", ["{}!", " {}", "{}=="], ids=repr)
def test_a_cursor_holds_to_the_letter(reader: TestClient, cursor: str, edit: str) -> None:
    assert reader.get(ROWS, params={"cursor": cursor}).status_code == 200
    assert reader.get(ROWS, params={"cursor": edit.format(cursor)}).status_code == 400
