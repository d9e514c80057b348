"""A query parameter that an address does not have is refused, as a field of a body is."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.server.api.conftest import DONE

OPEN = {"/healthz", "/openapi.json", "/docs", "/metrics"}
"""What monitors and browsers ask, with parameters of their own."""


def test_every_operation_refuses_what_it_does_not_have(reader: TestClient) -> None:
    app = reader.app
    assert isinstance(app, FastAPI)
    asked = 0
    for path, operations in app.openapi()["paths"].items():
        if path in OPEN:
            continue
        for method in operations:
            place = path.format(job_id=DONE, mostrador="1")
            answer = reader.request(method, f"{place}?inventado=1&otro=2", json={})
            assert answer.status_code == 400, (method, path)
            named = {error["field"] for error in answer.json()["errors"]}
            assert named >= {"inventado", "otro"}, (method, path)
            asked += 1
    assert asked > 10


def test_every_declared_parameter_is_known(reader: TestClient) -> None:
    app = reader.app
    assert isinstance(app, FastAPI)
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
            place = path.format(job_id=DONE, mostrador="1")
            answer = reader.request(method, place, params=dict.fromkeys(names, "x"), json={})
            assert "no es un parámetro" not in answer.text, (method, path)
