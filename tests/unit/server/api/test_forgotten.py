"""Expired jobs: their results stay visible to whoever might see them, and to nobody else."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import polars as pl
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from typing_extensions import override

from ipp.core.parameters import Parameters
from ipp.core.tables import CURVES, FAILURES, PROCESSES, RESULTS
from ipp.errors import NotFoundError
from ipp.jobs.job import CLOCK_MARGIN, RETENTION, Job, JobOwner, JobStatus, Stage, StageRun
from ipp.jobs.job_service import Caller, JobService, job_preparer, recalling
from ipp.jobs.job_spec import load_spec
from ipp.jobs.reconciler import Reconciler
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.pipeline.stages.publication_stage import describe_job
from ipp.server.api import download_routes
from ipp.server.api.claims import Authenticator
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.server.web import site
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.fakes import FakeEngine
from tests.unit.jobs.job_builder import NOW, build_job
from tests.unit.server.api.conftest import MOSTRADORES, build_result_rows

GOOD, LOST = MOSTRADORES
OWNED = {"ipp-ana": "ana", "ipp-beto": "beto", "ipp-local": "local"}
"""Jobs that told whose they are as they published."""
OLD, OLDEST = "ipp-old", "ipp-oldest"
"""Jobs of ana's that published before that was told; of the second not even the request is left."""
NEVER = {
    "ipp-failed": JobStatus.FAILED,
    "ipp-cancelled": JobStatus.CANCELLED,
}
"""Jobs of ana's that ended and published nothing."""
CALLERS = ("ana", "beto", "local", "raiz", "zoe")


class Known(Authenticator):
    """Takes the request's word: raiz keeps IPP, local is the person at the machine."""

    @override
    async def identify_caller(self, request: Request) -> Caller:
        sub = request.headers["x-user"]
        return Caller(JobOwner(sub), admin=sub == "raiz", local=sub == "local")


@dataclass
class Clock:
    """The moment that the application takes for now."""

    now: dt.datetime = NOW


@dataclass
class World:
    """An application, its clock and its store, which is in the file at ``path``."""

    app: FastAPI
    path: Path
    store: SqliteJobStore
    clock: Clock

    def forget(self) -> None:
        """Put the clock forward and start another job, which takes out those whose time is over."""
        self.clock.now = NOW + RETENTION + CLOCK_MARGIN + dt.timedelta(hours=1)
        self.start("ipp-new", "zoe")
        with closing(sqlite3.connect(self.path)) as db:
            assert db.execute("SELECT job_id FROM jobs").fetchall() == [("ipp-new",)]

    def start(self, job_id: str, sub: str) -> None:
        self.store.create_job(build_job(job_id, sub=sub, created_at=self.clock.now), self.clock.now)


def stored(job_id: str, sub: str, status: JobStatus = JobStatus.COMPLETED) -> Job:
    runs = (
        StageRun(Stage.NORMALISER, "t1", run_id="101"),
        StageRun(Stage.PUBLICATION, "t3", run_id="103"),
    )
    ended = NOW + dt.timedelta(minutes=15)
    parameters = Parameters(cover_days=33.0)
    made = replace(
        build_job(job_id, sub=sub), parameters=parameters, mostradores=MOSTRADORES, stages=runs
    )
    return replace(made, status=status, updated_at=ended)


def publish(lakehouse: DeltaLakehouse, files: LocalFiles, made: Job, *, owned: bool) -> None:
    """What the stages leave of a job one of whose mostradores failed."""
    job_id = made.job_id
    lost = {"job_id": job_id, "mostrador": LOST, "stage": "factor", "cause": "sin precio"}
    lakehouse.replace_partitions(FAILURES, pl.LazyFrame([lost], schema=FAILURES.schema), [job_id])
    point = {
        "job_id": job_id,
        "mostrador": GOOD,
        "investment": 9.5,
        "fill_rate": 0.5,
        "chosen": True,
    }
    lakehouse.replace_partitions(CURVES, pl.LazyFrame([point], schema=CURVES.schema), [job_id])
    lakehouse.replace_partitions(RESULTS, build_result_rows(job_id, GOOD).lazy(), [job_id])
    job_preparer(files)(made)
    if owned:
        spec = load_spec(job_id, files)
        row = describe_job(spec, NOW + dt.timedelta(minutes=14, microseconds=1_234))
        lakehouse.replace_partitions(PROCESSES, row.lazy(), [job_id])


@pytest.fixture
def world(tmp_path: Path) -> World:
    lakehouse, files = DeltaLakehouse(tmp_path / "lakehouse"), LocalFiles(tmp_path / "files")
    path = tmp_path / "jobs.sqlite"
    store, warehouse = SqliteJobStore(path), LakehouseWarehouse(lakehouse)
    for job_id, sub in {**OWNED, OLD: "ana", OLDEST: "ana"}.items():
        made = stored(job_id, sub)
        store.create_job(made, NOW)
        publish(lakehouse, files, made, owned=job_id in OWNED)
    (Path(files.address(f"ipp-raw/{OLDEST}/")) / "solicitud.json").unlink()
    for job_id, status in NEVER.items():
        store.create_job(stored(job_id, "ana", status), NOW)
    reconciler = Reconciler(store, FakeEngine(looks=1_000_000), lambda _job: None)
    clock = Clock()
    jobs = JobService(
        store,
        reconciler,
        warehouse,
        clock=lambda: clock.now,
        new_id=lambda: "ipp-x",
        recall=recalling(files),
    )
    metrics, scratch = Metrics(), Scratch(tmp_path / "scratch")
    services = Services(jobs, warehouse, files, Known(), metrics)
    app = create_full_app(services, metrics, download_routes.download_router(scratch))
    site.install_pages(app, scratch)
    return World(app, path, store, clock)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(world.app) as made:
        yield made


PARTS = (
    "", "/rows?limit=5", f"/rows?mostrador={GOOD}&sort=precio&order=desc&q=a",
    f"/rows?mostrador={LOST}",
    "/rows?mostrador=12", "/rows?sort=nada", f"/curve?mostrador={GOOD}", f"/curve?mostrador={LOST}",
    "/download", f"/download?format=xlsx&mostrador={GOOD}", "/download?format=parquet",
    f"/download?mostrador={LOST}&locale=es",
)  # fmt: skip
"""All that is asked of what a job published."""


def told(client: TestClient, sub: str, job_id: str) -> list[tuple[int, bytes]]:
    answers = [
        client.get(f"/ipp/results/{job_id}{part}", headers={"x-user": sub}) for part in PARTS
    ]
    return [(answer.status_code, answer.content) for answer in answers]


def test_who_might_see_what_a_job_published_is_answered_as_before_and_nobody_else_is(
    world: World, client: TestClient
) -> None:
    jobs = [*OWNED, *NEVER, "ipp-nada"]
    before = {(sub, job_id): told(client, sub, job_id) for sub in CALLERS for job_id in jobs}
    world.forget()
    after = {(sub, job_id): told(client, sub, job_id) for sub in CALLERS for job_id in jobs}
    for (sub, job_id), answers in before.items():
        sees = job_id in OWNED and sub in {OWNED[job_id], "raiz"}
        assert [status for status, _ in answers][:2] == (
            [200, 200] if sees else [answers[0][0]] * 2
        )
        if sees:
            assert after[sub, job_id] == answers
            assert {status for status, _ in answers} == {200, 400, 404, 409}
        else:
            assert {status for status, _ in after[sub, job_id]} <= {400, 404}
            assert not any(
                b"precio" in content for status, content in after[sub, job_id] if status == 404
            )


def test_results_without_a_known_owner_are_for_administrators_and_the_local_user(
    world: World, client: TestClient
) -> None:
    before = {job_id: told(client, "ana", job_id) for job_id in (OLD, OLDEST)}
    world.forget()
    for job_id, answers in before.items():
        for sub in CALLERS:
            now = told(client, sub, job_id)
            if sub not in {"raiz", "local"}:
                assert {status for status, _ in now} <= {400, 404}
                continue
            # Its end and its owner are not known, and a place in a list is its reader's.
            alike = [
                number for number, part in enumerate(PARTS) if part not in {"", "/rows?limit=5"}
            ]
            alike = [number for number in alike if "xlsx" not in PARTS[number] or job_id == OLD]
            assert [now[number] for number in alike] == [answers[number] for number in alike]
            assert now[0][0] == 200
    spec = client.get(f"/ipp/results/{OLD}", headers={"x-user": "local"}).json()
    assert spec["mostradores"] == [str(mostrador) for mostrador in MOSTRADORES]
    assert spec["process_info"]["created_at"] == "2026-07-01T12:00:00.000Z"


def test_a_forgotten_job_is_not_listed_and_has_no_status(world: World, client: TestClient) -> None:
    world.forget()
    for sub in ("ana", "beto", "local"):
        assert client.get("/ipp/jobs", headers={"x-user": sub}).json()["jobs"] == []
        assert client.get("/ipp/status/ipp-ana", headers={"x-user": sub}).status_code == 404


def page(client: TestClient, path: str, sub: str = "ana") -> httpx2.Response:
    return client.get(path, headers={"x-user": sub})


def test_the_pages_of_what_a_forgotten_job_published_open(world: World, client: TestClient) -> None:
    paths = [
        f"/procesos/ipp-ana/resultados{part}"
        for part in ("", f"/{GOOD}", f"/{GOOD}/productos/1001")
    ]
    assert [page(client, path).status_code for path in paths] == [200] * 3
    world.forget()
    assert [page(client, path).status_code for path in paths] == [200] * 3
    assert [page(client, path, "beto").status_code for path in paths] == [404] * 3


def test_a_job_that_its_key_starts_again_is_not_answered_with_what_the_one_before_published(
    world: World, client: TestClient
) -> None:
    world.forget()
    world.start("ipp-ana", "ana")
    answer = client.get("/ipp/results/ipp-ana", headers={"x-user": "ana"})
    assert (answer.status_code, answer.json()["job_status"]) == (409, "JOB1_RUNNING")


def test_what_is_no_jobs_id_is_asked_of_no_table(world: World) -> None:
    for text in ("", "ipp-", "../..", "ipp-1' OR '1'='1", "IPP-ANA", "ipp-ana/", "x" * 1_000):
        with pytest.raises(NotFoundError):
            world.app.state.services.jobs.completed_job(Caller(JobOwner("raiz"), admin=True), text)
