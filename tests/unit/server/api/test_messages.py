"""The messages of the operations: described as they are answered."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import validate  # type: ignore[import-untyped]  # its types are no dependency of ours
from pydantic import TypeAdapter

from ipp.server.api.job_answer import JobPage, JobState, Results, StartAnswer, ValidationAnswer
from tests.unit.server.api.conftest import BEGUN, DONE


@pytest.mark.parametrize("model", [ValidationAnswer, StartAnswer, JobState, Results])
def test_each_example_is_as_it_is_described(model: Any) -> None:
    schema = TypeAdapter(model).json_schema()
    validate(schema["example"], schema)


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
