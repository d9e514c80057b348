"""An application over a small lakehouse, with a completed job of ana's and one just started."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from typing_extensions import override

from ipp.core.tables import CONFIGURATIONS, COUNTERS, RESULTS
from ipp.jobs.job import JobOwner, JobStatus
from ipp.jobs.job_service import Caller, JobService
from ipp.jobs.reconciler import Reconciler
from ipp.server.api import configuration_routes, download_routes
from ipp.server.api.claims import Authenticator
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.fakes import FakeEngine, MemoryJobStore
from tests.unit.jobs.job_builder import NOW, build_job

DONE, BEGUN = "ipp-done", "ipp-begun"
MOSTRADORES = (7_051_602, 7_051_603)
TODAY = dt.date(2026, 7, 1)

DESCRIPTIONS = (
    "ÁCIDO fólico 5 mg", "acido acetilsalicílico", "Zinc; jarabe, 120 ml", 'Venda 3" x 5 m',
    "Suero\ncon salto", None, "=HYPERLINK(1)", "  =1+1", "\n=1+1", "-2+A1", "@SUM(A1)", "a.*b",
    "-12.5",
)  # fmt: skip
"""What a catalogue may hold: accents, separators, quotes, line breaks, formulas, patterns."""


class ByHeader(Authenticator):
    """Takes the request's word for who is calling."""

    @override
    async def identify_caller(self, request: Request) -> Caller:
        sub = request.headers.get("x-user", "ana")
        user = JobOwner(sub, email=f"{sub}@example.com", name=sub.title())
        return Caller(user, admin=sub == "raiz", editor=sub != "lector")


def build_result_rows(job_id: str, mostrador: int) -> pl.DataFrame:
    """Return a row a description, with ties and empty cells in every column that can have them."""
    made: list[dict[str, Any]] = [
        {
            "job_id": job_id,
            "mostrador": mostrador,
            "material": 1_000 + n,
            "description": text,
            "ean": None if n % 5 == 4 else 7_501_234_567_890 + n // 2,
            "category": "GG" if n % 2 else None,
            "price": 12.5 * (n % 4),
            "optimum": n % 3,
            "optimum_value": 12.5 * (n % 4) * (n % 3),
            "reason": "Por demanda.",
            "expected_demand": None if n % 6 == 5 else n / 7,
            "postal_code": 6_700,
            "inventory_model": "SPP",
            "cutoff": dt.date(2026, 6, 30),
        }
        for n, text in enumerate(DESCRIPTIONS)
    ]
    return pl.DataFrame(made, schema=RESULTS.schema)


def build_services(folder: Path, lakehouse: Lakehouse, metrics: Metrics) -> Services:
    parts = [
        build_result_rows(job_id, mostrador)
        for job_id in (DONE, "ipp-other")
        for mostrador in reversed(MOSTRADORES)
    ]
    lakehouse.replace_table(RESULTS, pl.concat(parts).lazy())
    lakehouse.replace_table(
        COUNTERS,
        pl.LazyFrame(
            {
                "mostrador": [1, 2, 3, 12],
                "counter_name": ["Ánimas", "Centro", None, "Sur"],
                "postal_code": [6_700] * 4,
            }
        ),
    )
    warehouse, files = LakehouseWarehouse(lakehouse), LocalFiles(folder / "files")
    store = MemoryJobStore()
    store.create_job(build_job(BEGUN), NOW)
    store.create_job(replace(build_job(DONE), status=JobStatus.COMPLETED), NOW)
    reconciler = Reconciler(store, FakeEngine(looks=1_000_000), lambda _job: None)
    jobs = JobService(store, reconciler, warehouse, clock=lambda: NOW, new_id=lambda: "ipp-new")
    return Services(jobs, warehouse, files, ByHeader(), metrics)


def build_application(folder: Path) -> FastAPI:
    lakehouse, scratch = DeltaLakehouse(folder / "lakehouse"), Scratch(folder / "scratch")
    metrics = Metrics()
    app = create_full_app(
        build_services(folder, lakehouse, metrics),
        metrics,
        download_routes.download_router(scratch),
    )
    app.state.lakehouse, app.state.scratch = lakehouse, scratch
    app.dependency_overrides[configuration_routes.today_in_mexico] = lambda: TODAY
    return app


def store_configurations(app: FastAPI) -> None:
    """Give mostradores 1 and 2 a configuration."""
    configured = pl.LazyFrame(
        {
            "mostrador": [1, 2],
            "inventory_model": ["SPP", "IPP"],
            "target_investment": [None, 950_000.0],
        }
    ).with_columns(
        pl.lit(column.default).alias(column.name)
        for column in CONFIGURATIONS.columns
        if column.default is True
    )
    app.state.lakehouse.replace_table(CONFIGURATIONS, configured)


@pytest.fixture(scope="session")
def published_app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """For tests that only read."""
    return build_application(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def reader(published_app: FastAPI) -> Iterator[TestClient]:
    with TestClient(published_app) as client:
        yield client


@pytest.fixture(scope="session")
def table(published_app: FastAPI) -> pl.DataFrame:
    """What the completed job published, by mostrador and material."""
    lakehouse = published_app.state.lakehouse
    found: pl.LazyFrame = lakehouse.scan_table(RESULTS).filter(pl.col("job_id") == DONE)
    return found.sort("mostrador", "material").collect()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[TestClient]:
    """For tests that change configurations: mostradores 1 and 2 have one, 3 and 12 have none."""
    app = build_application(tmp_path)
    store_configurations(app)
    with TestClient(app) as client:
        yield client


@pytest.fixture(autouse=True)
def no_token_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test of the API does."""
    caplog.set_level(logging.DEBUG)
    yield
    assert "eyJ" not in caplog.text, "the first letters of every token's header"
