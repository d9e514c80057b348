"""The messages of the four operations: the seed's own, described and answered alike."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import validate  # type: ignore[import-untyped]  # its types are no dependency of ours
from pydantic import TypeAdapter

from ipp.server.api.job_answer import JobPage, JobState, Results, StartAnswer, ValidationAnswer
from tests.unit.server.api.conftest import BEGUN, DONE

JOB = "ipp-abc123-def456"

SEED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("post", "/ipp/validate-clients", "200", {
        "status": "partial_valid",
        "message": "2 de 3 mostradores tienen configuración",
        "mode": "manual",
        "validClients": ["7051602", "7051603"],
        "invalidClients": ["7051604"],
        "total": 3,
        "validated": 2,
    }),
    ("post", "/ipp/start", "202", {
        "job_id": JOB,
        "status": "JOB1_RUNNING",
        "message": "Proceso IPP iniciado exitosamente",
        "mostradores_count": 2,
        "databricks_run_id": "123456",
    }),
    ("get", "/ipp/status/{job_id}", "200", {
        "job_id": JOB,
        "status": "JOB1_RUNNING",
        "message": "Databricks Job 1 en ejecución...",
        "databricks_state": "RUNNING",
        "databricks_run_url": "https://...",
        "mostradores_count": 2,
        "progress": 25,
    }),
    ("get", "/ipp/results/{job_id}", "200", {
        "job_id": JOB,
        "status": "COMPLETED",
        "mostradores": ["7051602", "7051603"],
        "mostradores_count": 2,
        "process_info": {
            "created_at": "2024-12-09T10:30:00.000Z",
            "updated_at": "2024-12-09T10:45:00.000Z",
            "user_info": {
                "email": "user@example.com", "username": "user@example.com", "sub": "abc-123",
                "name": "Usuario",
            },
        },
        "databricks_info": {
            "job1_run_id": "123456",
            "job2_run_id": "123457",
            "results_table": "invenadro.gold.ipp_resultados_finales",
            "query_example": (
                "SELECT * FROM invenadro.gold.ipp_resultados_finales "
                f"WHERE job_id = '{JOB}'"
            ),
        },
        "summary": {"mostradores_processed": 2, "total_time_seconds": 900, "success": True},
    }),
]  # fmt: skip
"""The founding document's answers, to the letter."""


@pytest.fixture(scope="module")
def description(reader: TestClient) -> dict[str, Any]:
    return dict(reader.get("/openapi.json").json())


def part_of(less: Any, more: Any) -> bool:
    """Whether ``more`` says all that ``less`` does."""
    if isinstance(less, dict):
        return isinstance(more, dict) and all(
            key in more and part_of(less[key], more[key]) for key in less
        )
    return bool(less == more)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"), SEED, ids=[path for _, path, _, _ in SEED]
)
def test_the_description_shows_the_seeds_own_message(
    method: str, path: str, status: str, message: dict[str, Any], description: dict[str, Any]
) -> None:
    answer = description["paths"][path][method]["responses"][status]["content"]["application/json"][
        "schema"
    ]
    schema = description["components"]["schemas"][answer["$ref"].rpartition("/")[2]]
    assert part_of(message, schema["example"])


@pytest.mark.parametrize("model", [ValidationAnswer, StartAnswer, JobState, Results])
def test_each_example_is_as_it_is_described(model: Any) -> None:
    schema = TypeAdapter(model).json_schema()
    validate(schema["example"], schema)


def test_bodies_are_shown_as_the_seed_sends_them(description: dict[str, Any]) -> None:
    for path in ("/ipp/validate-clients", "/ipp/start"):
        body = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert body["example"] == {"mostradores": ["7051602", "7051603"]}


def test_what_is_answered_is_what_is_described(reader: TestClient) -> None:
    answers: list[tuple[str, Any]] = [
        (f"/ipp/status/{DONE}", JobState),
        (f"/ipp/status/{BEGUN}", JobState),
        ("/ipp/jobs", JobPage),
        (f"/ipp/results/{DONE}", Results),
    ]
    for path, model in answers:
        answer = reader.get(path)
        assert answer.status_code == 200, answer.text
        validate(answer.json(), TypeAdapter(model).json_schema())


@pytest.mark.parametrize(
    ("path", "status", "error", "name"),
    [
        ("/ipp/status/ipp-abc123-def456", 404, "Job no encontrado", "no_encontrado"),
        (f"/ipp/results/{BEGUN}", 409, "Proceso no completado", "no_completado"),
    ],
)
def test_troubles_have_the_seeds_words_and_are_shown_as_they_are(
    path: str, status: int, error: str, name: str, reader: TestClient, description: dict[str, Any]
) -> None:
    answer = reader.get(path)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    responses = description["paths"]["/ipp/status/{job_id}"]["get"]["responses"]
    shown = responses["4XX"]["content"]["application/problem+json"]["examples"][name]["value"]
    told = answer.json()
    assert shown.keys() == told.keys()
    for key in ("type", "title", "status", "error"):
        assert shown[key] == told[key]
