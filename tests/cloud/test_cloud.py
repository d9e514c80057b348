"""The whole cloud flow: a signed-in analyst, real functions, and stages as Databricks runs them.

Real processes and sockets all the way: moto answers as DynamoDB, S3 and Cognito, the functions run
in awslambdaric, the workspace runs the wheel's entry points, as the bundle defines them, on Spark.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ipp.core.parameters import Parameters
from ipp.core.tables import RESULTS
from ipp.jobs.job import JobStatus, Stage
from ipp.jobs.job_plan import plan_job
from ipp.pipeline.runners.local_runner import LocalRunner as Machine
from ipp.pipeline.stages import run_stage
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.cloud import spark
from tests.cloud.aws import client_of, run_moto
from tests.cloud.cloud import Answer, Cloud, deploy_cloud
from tests.cloud.stack import build_stack
from tests.cloud.workspace import Fault, Volumes, Weather, Workspace, bundle_jobs, run_workspace
from tests.cloud.workspace.tables import folder_of, lay_out
from tests.sample_chain import write_sample
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.long

FIRST, SECOND = "7051602", "7051603"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ORDER = ["JOB1_RUNNING", "JOB1_DONE", "PROCESSING", "JOB2_RUNNING", "COMPLETED"]
READERS: Mapping[str, Callable[[io.BytesIO], pl.DataFrame]] = {
    "csv": pl.read_csv,
    "xlsx": pl.read_excel,
    "parquet": pl.read_parquet,
}
PROGRESS = {
    "JOB1_RUNNING": 25,
    "JOB1_DONE": 40,
    "PROCESSING": 60,
    "JOB2_RUNNING": 80,
    "COMPLETED": 100,
}


@dataclass(frozen=True)
class Place:
    """A cloud with a sample of a chain, and an analyst's and another's token."""

    cloud: Cloud
    workspace: Workspace
    machine: Machine
    tables: Path
    ana: str
    beto: str

    def ended(self, job_id: str, token: str, seconds: float = 600) -> list[Mapping[str, Any]]:
        """Poll as an analyst's program does until a job has ended: all that it was answered."""
        give_up = time.monotonic() + seconds
        seen: list[Mapping[str, Any]] = []
        while not seen or not JobStatus(seen[-1]["status"]).ended:
            assert time.monotonic() < give_up, seen[-1:]
            time.sleep(0.5)
            seen.append(self.cloud.call("GET", f"/ipp/status/{job_id}", token).json())
        return seen

    def ask(self, method: str, path: str, token: str, **given: Any) -> Answer:
        """Send a request as a program that retries: a warehouse may be starting, a machine busy."""
        give_up = time.monotonic() + 180
        while (
            answer := self.cloud.call(method, path, token, **given)
        ).status == 503 and time.monotonic() < give_up:
            time.sleep(min(float(answer.headers["retry-after"]), 2.0))
        return answer

    def start(self, token: str, *mostradores: str, **headers: str) -> Answer:
        body = {"mostradores": list(mostradores)}
        return self.ask("POST", "/ipp/start", token, body=body, headers=headers)

    def item(self, job_id: str) -> Mapping[str, Any]:
        found = client_of(self.cloud.stack.address, "dynamodb").get_item(
            TableName=f"{self.cloud.stack.name}-ipp-jobs", Key={"job_id": {"S": job_id}}
        )
        return dict(found["Item"])

    def objects(self, bucket: str) -> list[str]:
        client = client_of(self.cloud.stack.address, "s3")
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=f"{self.cloud.stack.name}-{bucket}"
        )
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def published(self, job_id: str) -> pl.DataFrame:
        found = folder_of(RESULTS, self.tables) / f"job_id={job_id}" / "*.parquet"
        rows = (
            pl.scan_parquet(found)
            .rename(dict(RESULTS.names), strict=False)
            .with_columns(job_id=pl.lit(job_id))
        )
        return RESULTS.conform_rows(rows).sort(RESULTS.key).collect()

    def calculated_here(self, job_id: str, *mostradores: str) -> pl.DataFrame:
        """What the same job gives on one machine."""
        asked = tuple(int(each) for each in mostradores)
        warehouse = LakehouseWarehouse(self.machine.lakehouse)
        spec = plan_job(
            asked, Parameters(), warehouse, job_id=job_id, created_at=dt.datetime.now(dt.UTC)
        )
        for stage in Stage:
            run_stage(stage, spec, self.machine, lambda _mostrador: None)
        rows = self.machine.lakehouse.scan_table(RESULTS).filter(pl.col("job_id") == job_id)
        return rows.sort(RESULTS.key).collect()


@pytest.fixture(scope="module")
def place(spark_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("cloud")
    machine = Machine(
        DeltaLakehouse(folder / "lakehouse"),
        LocalFiles(folder / "archivos"),
        Scratch(folder / "scratch"),
    )
    write_sample(machine)
    tables, files = folder / "tables", folder / "files"
    lay_out(machine.lakehouse, tables)
    jobs = bundle_jobs({"files": str(files), "tables": str(tables)})
    with run_moto(folder) as aws:
        here = build_stack(aws, folder)
        buckets = {name: f"{here.name}-{name}" for name in ("ipp-raw", "ipp-processed")}
        volumes = Volumes(str(files), aws, buckets)
        with (
            run_workspace(
                folder / "work",
                jobs,
                volumes=volumes,
                tables=tables,
                environ=spark.spark_environment(spark_server),
            ) as work,
            deploy_cloud(here, work.environment) as cloud,
        ):
            ana = cloud.pool.sign_up("ana")
            yield Place(cloud, work, machine, tables, ana, cloud.pool.sign_up("beto"))


@pytest.fixture(scope="module")
def flow(place: Place) -> tuple[Answer, list[Mapping[str, Any]]]:
    """A job of two mostradores from its start to its end, as its caller saw it."""
    started = place.start(place.ana, FIRST, SECOND, **{"idempotency-key": "once"})
    return started, place.ended(started.json()["job_id"], place.ana)


def test_nobody_gets_in_who_has_not_signed_in(place: Place) -> None:
    assert place.cloud.call("GET", "/ipp/jobs").status == 401
    head, claims, signature = place.ana.split(".")
    for forged in (f"{head}.{claims}.{signature[::-1]}", f"{head}.{claims}.", "nothing"):
        assert place.cloud.call("GET", "/ipp/jobs", forged).status == 401


def test_validation_asks_the_warehouse(place: Place) -> None:
    body = {"mostradores": [FIRST, 7051603, "0007051699"]}
    answer = place.ask("POST", "/ipp/validate-clients", place.ana, body=body)
    assert (answer.status, answer.json()) == (
        200,
        {
            "status": "partial_valid",
            "message": "2 de 3 mostradores tienen configuración",
            "mode": "manual",
            "validClients": [FIRST, SECOND],
            "invalidClients": ["7051699"],
            "total": 3,
            "validated": 2,
        },
    )
    every = place.ask("POST", "/ipp/validate-clients", place.ana, body={}).json()
    assert (every["mode"], every["validated"]) == ("automatic", 4)


def test_a_job_is_started_and_moves_forward_to_its_end(
    flow: tuple[Answer, list[Mapping[str, Any]]],
) -> None:
    started, seen = flow
    answer = started.json()
    assert started.status == 202
    assert started.headers["location"] == f"/ipp/status/{answer['job_id']}"
    assert started.headers["retry-after"] == "5"
    assert (answer["status"], answer["message"]) == (
        "JOB1_RUNNING",
        "Proceso IPP iniciado exitosamente",
    )
    assert (answer["mostradores_count"], answer["databricks_run_id"].isdecimal()) == (2, True)
    places = [ORDER.index(status["status"]) for status in seen]
    assert places == sorted(places)
    assert seen[-1]["status"] == "COMPLETED", seen[-1]
    assert all(status["progress"] == PROGRESS[status["status"]] for status in seen)
    assert [(stage["stage"], stage["done"]) for stage in seen[-1]["stages"]] == [
        (name, 2) for name in Stage
    ]


def test_the_same_key_gives_the_same_job(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    again = place.start(place.ana, FIRST, SECOND, **{"idempotency-key": "once"})
    assert again.json()["job_id"] == flow[0].json()["job_id"]
    other = place.start(place.ana, FIRST, **{"idempotency-key": "once"})
    assert other.status == 422


def test_its_item_has_every_attribute_of_the_seed(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    item = place.item(job_id)
    assert item["job_id"] == {"S": job_id}
    assert item["status"] == {"S": "COMPLETED"}
    assert item["mostradores"] == {"L": [{"S": FIRST}, {"S": SECOND}]}
    assert item["mostradores_count"] == {"N": "2"}
    assert item["databricks_run_id"] == {"S": flow[0].json()["databricks_run_id"]}
    assert item["databricks_job_id"] == {"S": place.workspace.settings.normaliser_job}
    user = item["user_info"]["M"]
    assert (user["email"], user["username"], user["name"]) == (
        {"S": "ana@example.com"},
        {"S": "ana"},
        {"S": "Ana"},
    )
    assert user["sub"]["S"]
    assert MOMENT.fullmatch(item["created_at"]["S"])
    assert MOMENT.fullmatch(item["updated_at"]["S"])
    changed = dt.datetime.fromisoformat(item["updated_at"]["S"])
    assert 0 <= int(item["ttl"]["N"]) - changed.timestamp() - 7 * 86_400 <= 1


def test_its_objects_are_in_the_buckets(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    raw, processed = place.objects("ipp-raw"), place.objects("ipp-processed")
    assert {f"{job_id}/solicitud.json", f"{job_id}/raw_data.xlsx"} <= set(raw)
    assert any(key.startswith(f"{job_id}/partes/") and key.endswith(".parquet") for key in raw)
    assert f"{job_id}/processed_data.csv" in processed
    ready = {
        f"{job_id}/descargas/{name}"
        for name in ("todos.csv", "todos.xlsx", f"{FIRST}.csv", f"{SECOND}.parquet")
    }
    assert ready <= set(processed)


def test_its_rows_in_gold_are_those_of_one_machine(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    assert_frame_equal(
        place.published(job_id), place.calculated_here(job_id, FIRST, SECOND), check_exact=True
    )


def test_its_results_say_what_came_out_and_where(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    answer = place.ask("GET", f"/ipp/results/{job_id}", place.ana).json()
    assert (answer["job_id"], answer["status"], answer["mostradores"]) == (
        job_id,
        "COMPLETED",
        [FIRST, SECOND],
    )
    assert answer["databricks_info"]["results_table"] == RESULTS.full_name(DEFAULT_CATALOG)
    assert answer["s3_locations"]["raw"].startswith(
        f"s3://{place.cloud.stack.name}-ipp-raw/{job_id}"
    )
    rows = place.published(job_id)
    assert answer["summary"]["success"] is True
    by_counter = {each["mostrador"]: each for each in answer["summary"]["mostradores"]}
    for mostrador in (FIRST, SECOND):
        mine = rows.filter(mostrador=int(mostrador))
        assert by_counter[mostrador]["units"] == mine["optimum"].sum()
        assert by_counter[mostrador]["investment"] == pytest.approx(
            mine["optimum_value"].sum(), abs=0.005
        )


def test_its_rows_are_paged_and_sorted_by_the_warehouse(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    found: list[Mapping[str, Any]] = []
    query = {"sort": "importe_optimo", "order": "desc", "limit": "50", "mostrador": SECOND}
    for _ in range(3):
        page = place.ask("GET", f"/ipp/results/{job_id}/rows", place.ana, query=query).json()
        found += page["rows"]
        query["cursor"] = page["next_cursor"] or ""
    assert page["next_cursor"] is None
    expected = (
        place.published(job_id)
        .filter(mostrador=int(SECOND))
        .sort("optimum_value", "material", descending=[True, False], nulls_last=True)
    )
    assert [int(row["material"]) for row in found] == expected["material"].to_list()
    assert [row["optimo"] for row in found] == expected["optimum"].to_list()
    curve = place.ask(
        "GET", f"/ipp/results/{job_id}/curve", place.ana, query={"mostrador": SECOND}
    ).json()
    assert sum(point["chosen"] for point in curve["points"]) == 1


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
@pytest.mark.parametrize("mostrador", [None, SECOND])
def test_its_files_are_fetched_from_a_presigned_address(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]], kind: str, mostrador: str | None
) -> None:
    job_id = flow[0].json()["job_id"]
    query = {"format": kind} | ({} if mostrador is None else {"mostrador": mostrador})
    answer = place.cloud.call("GET", f"/ipp/results/{job_id}/download", place.ana, query=query)
    assert answer.status == 302
    with urllib.request.urlopen(answer.headers["location"], timeout=PATIENCE_SECONDS) as fetched:
        content = fetched.read()
        name = job_id if mostrador is None else f"{job_id}-{mostrador}"
        assert fetched.headers["Content-Disposition"] == f'attachment; filename="{name}.{kind}"'
    rows = READERS[kind](io.BytesIO(content))
    expected = place.published(job_id)
    if mostrador is not None:
        expected = expected.filter(mostrador=int(mostrador))
    assert rows["optimo"].cast(pl.Int64).to_list() == expected["optimum"].to_list()
    assert rows["motivo"].to_list() == expected["reason"].to_list()


def test_anothers_job_is_as_one_that_is_not_there(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    for method, path in [
        ("GET", f"/ipp/status/{job_id}"),
        ("GET", f"/ipp/results/{job_id}"),
        ("GET", f"/ipp/results/{job_id}/rows"),
        ("GET", f"/ipp/results/{job_id}/download"),
        ("POST", f"/ipp/jobs/{job_id}/cancel"),
    ]:
        theirs = place.cloud.call(method, path, place.beto)
        nobodys = place.cloud.call(method, path.replace(job_id, "ipp-none"), place.beto)
        assert theirs.status == nobodys.status == 404
        assert theirs.content.replace(job_id, "ipp-none") == nobodys.content
    assert place.cloud.call("GET", "/ipp/jobs", place.beto).json()["jobs"] == []


def test_what_it_published_outlives_its_item(
    place: Place, flow: tuple[Answer, list[Mapping[str, Any]]]
) -> None:
    job_id = flow[0].json()["job_id"]
    results = f"/ipp/results/{job_id}"
    asked = [
        (results, {}),
        (f"{results}/rows", {"limit": "5"}),
        (f"{results}/curve", {"mostrador": SECOND}),
    ]
    before = [place.ask("GET", path, place.ana, query=query).json() for path, query in asked]
    assert before[0]["databricks_info"]["job2_run_id"] == place.item(job_id)["job2_run_id"]["S"]
    item, table = place.item(job_id), f"{place.cloud.stack.name}-ipp-jobs"
    client = client_of(place.cloud.stack.address, "dynamodb")
    client.delete_item(TableName=table, Key={"job_id": {"S": job_id}})
    try:
        assert place.cloud.call("GET", f"/ipp/status/{job_id}", place.ana).status == 404
        assert [
            place.ask("GET", path, place.ana, query=query).json() for path, query in asked
        ] == before
        assert place.ask("GET", f"{results}/download", place.ana).status == 302
        for path, query in asked:
            assert place.ask("GET", path, place.beto, query=query).status == 404
    finally:
        client.put_item(TableName=table, Item=item)


def test_a_job_is_cancelled_where_it_runs(place: Place) -> None:
    started = place.start(place.beto, FIRST).json()
    job_id = started["job_id"]
    answer = place.cloud.call("POST", f"/ipp/jobs/{job_id}/cancel", place.beto)
    assert answer.status == 200
    assert place.ended(job_id, place.beto)[-1]["status"] == "CANCELLED"
    again = place.cloud.call("POST", f"/ipp/jobs/{job_id}/cancel", place.beto)
    assert (again.status, again.json()["status"]) == (200, "CANCELLED")
    (run,) = [effect for effect in place.workspace.effects() if effect.job_id == job_id]
    assert (run.state, run.result) == ("TERMINATED", "CANCELED")
    assert place.cloud.call("GET", f"/ipp/results/{job_id}", place.beto).status == 409


def test_the_schedule_starts_one_job_a_day_and_no_reader_is_needed(place: Place) -> None:
    """Each minute the reconciler moves it; so does an object of it that was made."""
    today = {"time": "2026-11-25T08:00:00Z", "mode": "automatic"}
    first, second = (place.cloud.functions["automatic"].invoke(today) for _ in range(2))
    assert first == second
    assert first["mostradores_count"] == 4
    job_id = first["job_id"]
    give_up = time.monotonic() + 600
    while (status := place.item(job_id)["status"]["S"]) not in {"COMPLETED", "FAILED"}:
        assert time.monotonic() < give_up, status
        time.sleep(1)
        place.cloud.created(f"{place.cloud.stack.name}-ipp-raw", f"{job_id}/raw_data.xlsx")
        place.cloud.minute()
    assert status == "COMPLETED"
    assert len(place.published(job_id)) == 4 * 120
    runs = [effect for effect in place.workspace.effects() if effect.job_id == job_id]
    assert [(run.job, run.starts) for run in runs] == [(789, 1), (790, 1), (791, 1)]


def test_real_jobs_come_to_their_ends_together_through_a_bad_day(place: Place) -> None:
    """Drop requests to the workspace before and after they are done; refuse, cut and delay some.

    The jobs run, and publish, at once: as the bundle admits them.
    """
    faults = [
        Fault("drop"), Fault("drop", after=True), Fault("status", status=500, after=True),
        Fault("status", status=503),
        Fault("status", status=429, retry_after=0.1), Fault("cut", after=True),
        Fault("slow", seconds=0.5),
    ]  # fmt: skip
    asked = [(place.ana, (FIRST, SECOND)), (place.ana, (SECOND,)), (place.ana, (FIRST,)),
             (place.beto, (FIRST, SECOND)), (place.beto, (SECOND,))]  # fmt: skip
    jobs = [
        (place.start(token, *mostradores).json()["job_id"], token, mostradores)
        for token, mostradores in asked
    ]
    place.workspace.weather(Weather(seed=4, rate=0.4, faults=faults, path="/jobs/"))
    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            ends = list(pool.map(lambda job: place.ended(job[0], job[1], 1_800)[-1], jobs))
    finally:
        place.workspace.calm()
    assert [end["status"] for end in ends] == ["COMPLETED"] * len(jobs), ends
    effects = place.workspace.effects()
    for job_id, _, mostradores in jobs:
        runs = [effect for effect in effects if effect.job_id == job_id]
        assert [(run.job, run.starts) for run in runs] == [(789, 1), (790, 1), (791, 1)]
        expected = place.calculated_here(job_id, *mostradores)
        assert_frame_equal(place.published(job_id), expected, check_exact=True)
