"""What two jobs published and what their stages left, for the tests of the pages that show it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.core.parameters import Parameters
from ipp.core.tables import CURVES, FAILURES, RESULTS, SELLOUT
from ipp.core.traditional.factor import apply_factor_step
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE
from ipp.jobs.job import JobOwner, JobStatus
from ipp.server.web.page import HTMX_REQUEST_HEADER
from tests.unit.jobs.job_builder import NOW, build_job
from tests.unit.server.api.conftest import DONE, MOSTRADORES, build_result_rows
from tests.unit.server.web.conftest import build_site

EARLY, ANOTHERS = "ipp-early", "ipp-beto"
FAILED = 7_051_604
FIRST, SECOND = MOSTRADORES
HTMX = {HTMX_REQUEST_HEADER: "true"}
RESULTADOS = f"/procesos/{DONE}/resultados"
TABLE = f"{RESULTADOS}/{FIRST}"


def build_early_results() -> pl.DataFrame:
    """Return an earlier job's 250 products of a counter, all dearer than any of the later job's."""
    one = build_result_rows(EARLY, FIRST).with_columns(
        optimum=pl.lit(4, pl.Int64), reason=pl.lit("Por costumbre.")
    )
    one = one.with_columns(optimum_value=pl.col("price") * 4)
    many = pl.concat([one.with_columns(material=pl.col("material") + 100 * n) for n in range(20)])
    return many.filter(pl.col("material") != 1_000).head(250)


def build_processed() -> pl.DataFrame:
    """Return what the stages left of the first counter's first product, and of another."""
    made = pl.DataFrame(
        {
            "inventory_model": "SPP", "mostrador": FIRST, "material": [1_001, 1_002],
            "category": ["GG", None], "price": [12.5, 25.0], "area_demand": [30.0, 0.0],
            "factor_9": [4.4, 0.0], "factor_d": [1.25, 0.0], "factor_f": [0.625, 0.0],
            "weighted_traditional": [2.2, 0.0], "sales_365d": [20.0, 0.0], "sales_90d": [9.0, 2.0],
        }
    )  # fmt: skip
    raw = RAW_TABLE.conform_rows(made.lazy()).collect().with_columns(included=pl.lit(value=True))
    return PROCESSED_TABLE.conform_rows(
        apply_factor_step(raw, Parameters(), 60.0).frame.lazy()
    ).collect()


def fill_home(app: FastAPI) -> None:
    """Store an earlier job with a failed counter, one of beto's, and what stages leave."""
    lakehouse, services = app.state.lakehouse, app.state.services
    lakehouse.replace_partitions(RESULTS, build_early_results().lazy(), [EARLY])
    lost = {"job_id": EARLY, "mostrador": FAILED, "stage": "factor", "cause": "sin precio <alguno>"}
    lakehouse.replace_table(FAILURES, pl.LazyFrame([lost], schema=FAILURES.schema))
    points = [
        {
            "job_id": DONE, "mostrador": SECOND, "investment": n * 100.0, "fill_rate": n / 4,
            "chosen": n == 2,
        }
        for n in range(4)
    ]  # fmt: skip
    lakehouse.replace_table(CURVES, pl.LazyFrame(points, schema=CURVES.schema))
    days = [(FIRST, 1_001, dt.date(2026, 6, 30), 2.0), (FIRST, 1_001, dt.date(2026, 6, 24), 1.0),
            (FIRST, 1_001, dt.date(2026, 6, 9), 5.0), (FIRST, 1_001, dt.date(2026, 7, 1), 100.0),
            (SECOND, 1_001, dt.date(2026, 6, 30), 50.0)]  # fmt: skip
    lakehouse.replace_table(SELLOUT, pl.LazyFrame(days, schema=SELLOUT.schema, orient="row"))
    with services.files.write_object(f"ipp-processed/{DONE}/{FIRST}.parquet") as path:
        build_processed().write_parquet(path)
    before = replace(
        build_job(EARLY), status=JobStatus.COMPLETED, created_at=NOW - dt.timedelta(days=1)
    )
    before = replace(before, mostradores=(FIRST, FAILED), parameters=Parameters(cover_days=14))
    store = services.jobs._store
    store.create_job(before, NOW)
    store.create_job(replace(before, job_id=ANOTHERS, user=JobOwner("beto")), NOW)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    made = build_site(tmp_path_factory.mktemp("resultados"))
    fill_home(made)
    return made


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, follow_redirects=False) as made:
        yield made


def listed_materials(page: str) -> list[int]:
    return [
        int(found) for found in re.findall(r'<th scope="row"><a href="[^"]+/productos/(\d+)"', page)
    ]
