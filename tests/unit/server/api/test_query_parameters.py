"""A query parameter that an operation does not have is refused by name, on every operation."""

from __future__ import annotations

import string
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from ipp.errors import MAX_NAMED
from tests.unit.server.api.conftest import DONE
from tests.unit.server.api.test_databricks_problems import ASKS

OPERATIONS = {
    **ASKS,
    "jobs": ("GET", "/ipp/jobs", None),
    "status": ("GET", f"/ipp/status/{DONE}", None),
    "events": ("GET", f"/ipp/jobs/{DONE}/events", None),
    "download": ("GET", f"/ipp/results/{DONE}/download?format=csv", None),
    "cancel": ("POST", f"/ipp/jobs/{DONE}/cancel", None),
    "metrics": ("GET", "/metrics", None),
    "changes": ("GET", "/cambios", None),
}


def test_each_operation_of_the_description_is_looked_at(published_app: FastAPI) -> None:
    described = {
        (method.upper(), path)
        for path, operations in published_app.openapi()["paths"].items()
        for method in operations
    }
    looked_at = {
        (method, path)
        for method, path in described
        for asked, address, _ in OPERATIONS.values()
        if asked == method and _matches(path, address.partition("?")[0])
    }
    assert described - looked_at <= {("GET", "/healthz")}, "a probe may add what it likes"


def _matches(template: str, path: str) -> bool:
    parts, wanted = path.split("/"), template.split("/")
    return len(parts) == len(wanted) and all(
        w.startswith("{") or w == p for p, w in zip(parts, wanted, strict=True)
    )


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_it_is_named_and_nothing_is_done(
    operation: tuple[str, str, Any], reader: TestClient
) -> None:
    method, path, body = operation
    join = "&" if "?" in path else "?"
    answer = reader.request(method, f"{path}{join}limite=3&limite=4&LIMIT=1", json=body)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["limite", "LIMIT"]


@given(st.lists(st.text(string.ascii_letters, min_size=9, max_size=400), min_size=1, max_size=60))
def test_however_many_there_are_few_are_named(reader: TestClient, names: list[str]) -> None:
    answer = reader.get("/ipp/jobs", params=dict.fromkeys(names, "1"))
    assert (answer.status_code, len(answer.json()["errors"])) == (
        400,
        min(len(set(names)), MAX_NAMED),
    )
    assert len(answer.content) < 20_000


def test_the_page_takes_what_a_browser_adds(reader: TestClient) -> None:
    assert reader.get("/healthz?utm_source=x").status_code == 200


def test_every_declared_parameter_is_known(reader: TestClient, published_app: FastAPI) -> None:
    for path, operations in published_app.openapi()["paths"].items():
        for method, operation in operations.items():
            names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
            place = path.format(job_id=DONE, mostrador="1")
            answer = reader.request(method, place, params=dict.fromkeys(names, "x"), json={})
            assert "no se conoce este parámetro" not in answer.text, (method, path)


def test_the_parameters_that_there_are_are_named(reader: TestClient) -> None:
    (error,) = reader.get("/ipp/jobs?limite=3").json()["errors"]
    assert error["reason"].endswith("esta dirección tiene cursor, limit, status")
    (none,) = reader.get(f"/ipp/status/{DONE}?verbose=1").json()["errors"]
    assert none["reason"].endswith("aquí no hay ninguno")


def test_a_method_that_there_is_not_is_told_first(reader: TestClient) -> None:
    answer = reader.delete("/ipp/jobs?limite=3")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
