"""A caller with as many running jobs as may be is told to wait, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from fastapi.testclient import TestClient

from ipp.core.tables import MATERIALS, SELLOUT
from ipp.jobs.job_service import MAX_RUNNING_JOBS, JobService
from ipp.jobs.reconciler import Reconciler
from tests.fakes import FakeEngine, MemoryJobStore
from tests.unit.jobs.job_builder import NOW
from tests.unit.server.api.conftest import TODAY, build_application, store_configurations

CODE = "urn:ipp:problema:demasiados_procesos"


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[TestClient]:
    """An application without jobs, whose jobs go on for ever."""
    app = build_application(tmp_path)
    store_configurations(app)
    sold = pl.LazyFrame({"mostrador": [1], "material": [11], "date": [TODAY], "units": [1.0]})
    app.state.lakehouse.replace_table(SELLOUT, sold)
    priced = pl.LazyFrame({"material": [11], "price": [20.0]})
    app.state.lakehouse.replace_table(MATERIALS, priced)
    store, numbers = MemoryJobStore(), count(1)
    jobs = JobService(
        store,
        Reconciler(store, FakeEngine(looks=1_000_000), lambda _job: None),
        app.state.services.warehouse,
        clock=lambda: NOW,
        new_id=lambda: f"ipp-{next(numbers)}",
    )
    app.state.services = replace(app.state.services, jobs=jobs)
    with TestClient(app) as client:
        yield client


def test_one_job_too_many_is_refused_until_another_ends(starter: TestClient) -> None:
    asked = {"mostradores": ["1"]}
    for _ in range(MAX_RUNNING_JOBS):
        answer = starter.post("/ipp/start", json=asked)
        assert answer.status_code == 202, answer.text
    for _ in range(2):
        refused = starter.post("/ipp/start", json=asked)
        assert (refused.status_code, refused.json()["type"]) == (429, CODE)
        assert refused.headers["Retry-After"] == "5"
    starter.post("/ipp/start", json=asked, headers={"x-user": "beto"}).raise_for_status()
    starter.post("/ipp/jobs/ipp-1/cancel").raise_for_status()
    while starter.get("/ipp/status/ipp-1").json()["status"] != "CANCELLED":
        pass
    starter.post("/ipp/start", json=asked).raise_for_status()
