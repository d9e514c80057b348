"""Databricks silent, refusing or not set up: one problem for the caller on every route."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from typing_extensions import override

from ipp.cloud.databricks.client import CallBudget, DatabricksClient
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.jobs.engines.databricks_engine import DatabricksEngine
from ipp.jobs.job import JobOwner, JobStatus
from ipp.jobs.job_service import Caller, JobService
from ipp.jobs.reconciler import Reconciler
from ipp.server.api.claims import Authenticator
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.settings import DatabricksSettings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.warehouse.databricks_warehouse import DatabricksWarehouse
from ipp.storage.warehouse.sql_statement import StatementRunner
from tests.cloud.scripted_answers import Say, serve_script
from tests.fakes import MemoryJobStore
from tests.unit.jobs.job_builder import NOW, build_job

DONE = "ipp-done"
SECRET = "dapi-not-to-be-seen"
PLACE = "https://adb-1.azuredatabricks.net"
SETTINGS = DatabricksSettings(
    url=PLACE,
    token=SECRET,
    normaliser_job="789",
    factor_job="790",
    publication_job="791",
    warehouse="abc",
)

CONFIGURATION = {
    "tipo_inventario": "SPP",
    "monto_deseado": 950_000.0,
    **{group.switch_label: True for group in PRODUCT_GROUPS},
}

ASKS: dict[str, tuple[str, str, Any]] = {
    "validate": ("POST", "/ipp/validate-clients", {"mostradores": ["7051602"]}),
    "automatic": ("POST", "/ipp/validate-clients", {"mode": "automatic"}),
    "start": ("POST", "/ipp/start", {"mostradores": ["7051602"]}),
    "results": ("GET", f"/ipp/results/{DONE}", None),
    "rows": ("GET", f"/ipp/results/{DONE}/rows?q=a&sort=descripcion", None),
    "curve": ("GET", f"/ipp/results/{DONE}/curve?mostrador=7051602", None),
    "register": ("GET", "/configuraciones?q=a", None),
    "create": ("POST", "/configuraciones", {"mostrador": "7051602", **CONFIGURATION}),
    "look": ("GET", "/configuraciones/7051602", None),
    "change": ("PUT", "/configuraciones/7051602", CONFIGURATION),
    "remove": ("DELETE", "/configuraciones/7051602", None),
}
"""Every operation that asks the warehouse."""

every_route = pytest.mark.parametrize("asks", ASKS.values(), ids=ASKS)


class Ana(Authenticator):
    @override
    async def identify_caller(self, request: Request) -> Caller:
        return Caller(JobOwner("ana"), editor=True)


@contextmanager
def api(folder: Path, settings: DatabricksSettings) -> Iterator[TestClient]:
    """The whole contract over a workspace; no time passes."""
    slept: list[float] = []

    def clock() -> float:
        """Moves by sleeping alone."""
        return sum(slept)

    budget = CallBudget(connect=CallBudget().seconds, read=CallBudget().seconds)
    client = DatabricksClient(
        settings, budget=budget, clock=clock, sleep=slept.append, random=Random(1)
    )
    warehouse = DatabricksWarehouse(
        StatementRunner(
            client, settings.warehouse, catalog="nadro", clock=clock, sleep=slept.append
        )
    )
    store = MemoryJobStore()
    store.create_job(replace(build_job(DONE), status=JobStatus.COMPLETED), NOW)
    reconciler = Reconciler(store, DatabricksEngine(client, settings), lambda _job: None)
    jobs = JobService(store, reconciler, warehouse, clock=lambda: NOW, new_id=lambda: "ipp-new")
    metrics = Metrics()
    services = Services(jobs, warehouse, LocalFiles(folder), Ana(), metrics)
    with TestClient(create_full_app(services, metrics, APIRouter())) as caller:
        yield caller
    client.close()


def told(
    folder: Path, asks: tuple[str, str, Any], *script: Say, settings: DatabricksSettings = SETTINGS
) -> httpx2.Response:
    """What a caller is told where the workspace answers by the script."""
    with serve_script(*script) as server:
        found = replace(settings, url=server.url if settings.url else "")
        with api(folder, found) as caller:
            method, path, body = asks
            answer: httpx2.Response = caller.request(method, path, json=body)
    assert SECRET not in answer.text + str(answer.headers)
    assert server.url not in answer.text
    return answer


def failed(code: str, message: str) -> Say:
    status = {"state": "FAILED", "error": {"error_code": code, "message": message}}
    return Say(content={"statement_id": "s-1", "status": status})


def is_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert (content["status"], content["type"]) == (status, f"urn:ipp:problema:{code}")
    return content


@every_route
def test_what_is_not_set_is_named_and_nothing_that_is(
    tmp_path: Path, asks: tuple[str, str, Any]
) -> None:
    some = DatabricksSettings(url=PLACE, token=SECRET, factor_job="790", warehouse="el-warehouse")
    content = is_problem(
        told(tmp_path, asks, Say(), settings=some), 503, "configuracion_incompleta"
    )
    assert content["error"] == "Configuración de Databricks incompleta"
    assert content["message"] == (
        "Configuración de Databricks incompleta. Falta fijar DATABRICKS_JOB1_ID, "
        "DATABRICKS_JOB2_ID."
    )
    assert not any(value in str(content) for value in (SECRET, "790", "el-warehouse", "adb-1"))


SILENT = {
    "dropped": Say(drop=True),
    "500": Say(500),
    "503": Say(503),
    "401": Say(401),
    "403": Say(403, {"error_code": "PERMISSION_DENIED", "message": SECRET}),
    "failed": failed("TEMPORARILY_UNAVAILABLE", "The warehouse is starting."),
    "cancelled": Say(content={"statement_id": "s-1", "status": {"state": "CANCELED"}}),
    "running": Say(content={"statement_id": "s-1", "status": {"state": "RUNNING"}}),
}
"""How a workspace does not answer a question just now."""


@pytest.mark.parametrize(
    ("asks", "say"),
    [pytest.param(ASKS["rows"], say, id=f"rows, {name}") for name, say in SILENT.items()]
    + [
        pytest.param(asks, SILENT["dropped"], id=f"{name}, dropped")
        for name, asks in ASKS.items()
        if name != "rows"
    ],
)
def test_what_does_not_answer_just_now_may_be_asked_again_later(
    tmp_path: Path, asks: tuple[str, str, Any], say: Say
) -> None:
    answer = told(tmp_path, asks, say)
    content = is_problem(answer, 503, "no_disponible")
    assert int(answer.headers["retry-after"]) > 0
    assert "Databricks" in content["error"]
    assert content["message"]


def test_as_long_is_waited_as_databricks_asks_for(tmp_path: Path) -> None:
    answer = told(tmp_path, ASKS["rows"], Say(429, headers={"Retry-After": "60"}))
    is_problem(answer, 503, "no_disponible")
    assert answer.headers["retry-after"] == "60"


@every_route
@pytest.mark.parametrize(
    ("say", "code"),
    [
        (
            Say(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "abc is no warehouse."}),
            "INVALID_PARAMETER_VALUE",
        ),
        (
            failed(
                "BAD_REQUEST", "\n[TABLE_OR_VIEW_NOT_FOUND] No such table.\n== SQL ==\nSELECT 1"
            ),
            "BAD_REQUEST",
        ),
    ],
    ids=["not taken", "failed"],
)
def test_what_databricks_refuses_is_an_answer_of_another_service_without_its_inside(
    tmp_path: Path, asks: tuple[str, str, Any], say: Say, code: str
) -> None:
    answer = told(tmp_path, asks, say)
    content = is_problem(answer, 502, "rechazado")
    assert content["title"] == "Respuesta no válida de otro servicio"
    assert code in content["error"]
    assert not any(inside in str(content) for inside in ("SELECT", "== SQL"))
    assert "retry-after" not in answer.headers
