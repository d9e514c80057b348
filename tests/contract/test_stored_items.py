"""What another release stored, and what nobody can read, in every store that keeps jobs as items.

After a rollback the table holds items of the next release; the seed's own functions left theirs as
the seed's document shows. One that cannot be read holds up no other: those are listed, moved and
started.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.tables import COUNTERS
from ipp.jobs.dynamodb_job_store import DynamoJobStore
from ipp.jobs.dynamodb_table import TABLE_INDEXES, create_table
from ipp.jobs.engines.engine import RunState
from ipp.jobs.job import UNFINISHED_RETENTION, Job, JobStatus, Stage
from ipp.jobs.job_record import job_to_item
from ipp.jobs.job_service import JobService
from ipp.jobs.job_store import JobStore
from ipp.jobs.reconciler import Reconciler
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.jobs.unreadable_job import UnreadableJobError, UnreadableJobs
from ipp.server.api.app import create_app
from ipp.server.api.dependencies import Services
from ipp.server.api.job_routes import router
from ipp.server.api.metrics import Metrics
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.contract.jobs import NOW
from tests.fakes import FakeEngine
from tests.parameters import later_labels
from tests.unit.jobs.job_builder import build_job
from tests.unit.server.api.conftest import ByHeader

Item = dict[str, Any]

SECOND = dt.timedelta(seconds=1)

SEED: Item = {
    "job_id": "ipp-abc123-def456",
    "status": "JOB1_RUNNING",
    "mostradores": ["7051602", "7051603"],
    "mostradores_count": 2,
    "databricks_run_id": "123456",
    "databricks_job_id": "789",
    "user_info": {
        "email": "user@example.com",
        "username": "user@example.com",
        "sub": "abc-123",
        "name": "Usuario",
    },
    "created_at": "2026-07-01T11:59:00.000Z",
    "updated_at": "2026-07-01T12:00:00.000Z",
    "ttl": 1_783_512_000,
}
"""The seed's own item, to the letter but for its moments."""


@dataclass(frozen=True)
class Place:
    """A store, how to put an item into it past every check, and how to read one back."""

    store: JobStore
    put: Callable[[Item], None]
    item: Callable[[str], Item]
    unreadable: UnreadableJobs


def sqlite_place(path: Path) -> Place:
    unreadable = UnreadableJobs()
    store = SqliteJobStore(path, unreadable)
    store.claim_key("none", "ipp-none", NOW)  # makes the file

    def put(item: Item) -> None:
        sub = item.get("owner") or item.get("user_info", {}).get("sub", "")
        ended = item["status"] in {"COMPLETED", "FAILED", "CANCELLED"}
        row = [item[name] for name in ("created_at", "updated_at", "ttl")]
        row = [item["job_id"], sub, item["status"], ended, *row]
        row += [int(item.get("version", 0)), json.dumps(item)]
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def item(job_id: str) -> Item:
        with closing(sqlite3.connect(path)) as db:
            (text,) = db.execute("SELECT item FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        found: Item = json.loads(text)
        return found

    return Place(store, put, item, unreadable)


def dynamodb_place(client: Any) -> Place:
    unreadable = UnreadableJobs()
    create_table(client, table := f"ipp-jobs-{uuid.uuid4()}")
    writes, reads = TypeSerializer(), TypeDeserializer()

    def put(item: Item) -> None:
        item = dict(item)
        if "version" in item:  # of ours, or of a later release of ours: it is in the indexes
            created, updated = (
                f"{item[name]}#{item['job_id']}" for name in ("created_at", "updated_at")
            )
            item |= {"entity": "job", "created_id": created}
            item |= {"unfinished": "job", "unfinished_owner": item["owner"], "updated_id": updated}
        written = {name: writes.serialize(value) for name, value in item.items()}
        client.put_item(TableName=table, Item=written)

    def item(job_id: str) -> Item:
        found = client.get_item(TableName=table, Key={"job_id": {"S": job_id}})["Item"]
        return {name: reads.deserialize(value) for name, value in found.items()}

    return Place(DynamoJobStore(client, table, unreadable=unreadable), put, item, unreadable)


@pytest.fixture(params=["sqlite", "dynamodb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return sqlite_place(tmp_path / "jobs.sqlite")
    return dynamodb_place(request.getfixturevalue("dynamodb"))


pytest_plugins = ("tests.contract.sqlite_places",)


class Engine(FakeEngine):
    """An engine that knows the seed's run as well, and in which state it is."""

    seed = RunState("RUNNING", url="https://adb-1.azuredatabricks.net/run/123456")

    def run_state(self, run_id: str) -> RunState:
        return self.seed if run_id == "123456" else super().run_state(run_id)


def asked(place: Place, folder: Path, engine: FakeEngine) -> TestClient:
    """The contract over the store; its callers are who they say."""
    lakehouse = DeltaLakehouse(folder / "lakehouse")
    lakehouse.replace_table(
        COUNTERS, pl.LazyFrame({"mostrador": [7_051_602], "postal_code": [6_700]})
    )
    warehouse = LakehouseWarehouse(lakehouse)
    jobs = JobService(
        place.store,
        Reconciler(place.store, engine, lambda _job: None),
        warehouse,
        clock=lambda: NOW + SECOND,
        new_id=lambda: "ipp-new",
    )
    services = Services(jobs, warehouse, LocalFiles(folder / "files"), ByHeader(), Metrics())
    return TestClient(create_app(services, [router]), raise_server_exceptions=False)


def moved_on(place: Place, engine: FakeEngine, job_id: str) -> Job:
    """The job after a minute of steps, a second apart."""
    reconciler = Reconciler(place.store, engine, lambda _job: None)
    for second in range(60):
        made = reconciler.step_job(job_id, NOW + second * SECOND)
        assert made is not None
        if made.status.ended:
            return made
    raise AssertionError(f"{made} has not ended")


def next_release(made: Job) -> Item:
    """A job as a release stores it that knows more than this one."""
    item = job_to_item(made)
    item["parametros"] |= {"nuevo": "7.5"}
    item["user_info"] |= {"equipo": "centro"}
    item["stages"][0] |= {"intento": 2}
    return item | {"prioridad": {"nivel": 3}, "etiquetas": ["una"]}


def without(item: Item, name: str) -> Item:
    return {key: value for key, value in item.items() if key != name}


UNREADABLE: dict[str, Callable[[Item], Item]] = {
    "a status of the next release": lambda item: item | {"status": "ARCHIVING"},
    "a stage of the next release": lambda item: (
        item | {"stages": [item["stages"][0] | {"stage": "pedido"}]}
    ),
    "a parameter beyond its bounds": lambda item: item | {"parametros": {"joroba": "7"}},
    "a parameter that is no number": lambda item: item | {"parametros": {"joroba": "{"}},
    "no mostradores": lambda item: without(item, "mostradores"),
    "a map in the place of a list": lambda item: item | {"stages": {"una": "etapa"}},
    "a list in the place of a map": lambda item: item | {"parametros": ["una"]},
    "a moment that is none": lambda item: item | {"refreshed_at": "ayer"},
    "a count that is none": lambda item: item | {"stages": [item["stages"][0] | {"done": "x"}]},
}


class TestTheSeedsOwnItem:
    def test_its_status_is_told(self, place: Place, tmp_path: Path) -> None:
        place.put(SEED)
        answer = asked(place, tmp_path, Engine()).get(
            "/ipp/status/ipp-abc123-def456", headers={"x-user": "abc-123"}
        )
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["job_id"], told["status"]) == ("ipp-abc123-def456", "JOB1_RUNNING")
        assert (told["progress"], told["mostradores_count"]) == (25, 2)
        assert (told["databricks_state"], told["databricks_run_url"]) == (
            "RUNNING",
            Engine.seed.url,
        )

    @pytest.mark.parametrize("status", JobStatus)
    def test_it_is_read_in_every_status(
        self, place: Place, tmp_path: Path, status: JobStatus
    ) -> None:
        place.put(SEED | {"status": status.value})
        client = asked(place, tmp_path, Engine())
        paths = ("/ipp/status/ipp-abc123-def456", "/ipp/results/ipp-abc123-def456")
        answers = [client.get(path, headers={"x-user": "abc-123"}) for path in paths]
        expected = 200 if status is JobStatus.COMPLETED else 409
        assert [answer.status_code for answer in answers] == [200, expected], answers[1].text

    def test_what_it_has_of_results_is_told(self, place: Place, tmp_path: Path) -> None:
        place.put(SEED | {"status": "COMPLETED", "job2_run_id": "123457"})
        answer = asked(place, tmp_path, Engine()).get(
            "/ipp/results/ipp-abc123-def456", headers={"x-user": "abc-123"}
        )
        told = answer.json()
        assert told["mostradores"] == ["7051602", "7051603"]
        assert told["databricks_info"]["job1_run_id"] == "123456"
        assert told["databricks_info"]["job2_run_id"] == "123457"
        assert told["process_info"]["user_info"] == SEED["user_info"]

    def test_it_moves_on(self, place: Place) -> None:
        place.put(SEED)
        engine = Engine()
        engine.seed = RunState("TERMINATED", "SUCCESS")
        last = moved_on(place, engine, SEED["job_id"])
        assert last.status is JobStatus.COMPLETED
        assert [stage for _, stage in engine.effects] == [
            Stage.FACTOR.value,
            Stage.PUBLICATION.value,
        ]
        assert place.store.get_job(SEED["job_id"], NOW) == last

    @pytest.mark.parametrize(
        "changes",
        [
            {"updated_at": "2026-07-01T12:00:00.123456"},
            {"created_at": "2026-07-01T06:00:00.123456-06:00"},
            {"status": "FAILED", "error": "El proceso falló"},
            {"status": "FAILED", "error": {"que": "x"}},
        ],
        ids=str,
    )
    def test_it_may_differ_a_little(self, place: Place, changes: Item) -> None:
        place.put(SEED | changes)
        made = place.store.get_job(SEED["job_id"], NOW)
        assert made is not None
        assert place.store.replace_job(made.transition(NOW))
        assert place.store.get_job(SEED["job_id"], NOW) == made.transition(NOW)

    def test_of_two_that_write_over_it_one_does(self, place: Place) -> None:
        place.put(SEED)
        made = place.store.get_job(SEED["job_id"], NOW)
        assert made is not None
        assert [place.store.replace_job(made.transition(NOW)) for _ in range(2)] == [True, False]


class TestAnItemOfTheNextRelease:
    def test_it_moves_on_and_keeps_what_this_release_does_not_know(self, place: Place) -> None:
        put = next_release(build_job())
        place.put(put)
        assert [
            made.job_id for made in place.store.list_unfinished(owner="ana", limit=9, now=NOW)
        ] == ["ipp-1"]
        last = moved_on(place, FakeEngine(), "ipp-1")
        assert last.status is JobStatus.COMPLETED
        kept = place.item("ipp-1")
        assert kept["parametros"] == put["parametros"]
        assert kept["user_info"] == put["user_info"]
        assert (kept["prioridad"], kept["etiquetas"]) == ({"nivel": 3}, ["una"])
        assert place.store.get_job("ipp-1", NOW) == last
        assert place.store.list_unfinished(owner=None, limit=9, now=NOW) == []
        assert len(place.unreadable) == 0

    def test_it_is_listed_over_http_with_the_others(self, place: Place, tmp_path: Path) -> None:
        place.put(put := next_release(build_job()))
        assert place.store.create_job(build_job("ipp-2"), NOW)
        client = asked(place, tmp_path, FakeEngine())
        answer = client.get("/ipp/jobs", headers={"x-user": "ana"})
        assert answer.status_code == 200, answer.text
        assert {told["job_id"] for told in answer.json()["jobs"]} == {"ipp-1", "ipp-2"}
        assert place.item("ipp-1")["parametros"] == put["parametros"]

    @settings(max_examples=30)
    @given(
        top=st.dictionaries(st.from_regex(r"x_[a-z]{1,5}", fullmatch=True), st.text(min_size=1)),
        labels=later_labels,
    )
    def test_whatever_it_has_besides_is_written_back(
        self, stores: dict[str, Place], top: dict[str, str], labels: dict[str, Any]
    ) -> None:
        item = job_to_item(build_job()) | top
        item["parametros"] |= {label: json.dumps(value) for label, value in labels.items()}
        for place in stores.values():
            place.put(item)
            made = place.store.get_job("ipp-1", NOW)
            assert made is not None
            mine = replace(made.parameters, unknown={})
            assert replace(made, unknown={}, parameters=mine) == build_job()
            assert place.store.replace_job(made.transition(NOW))
            kept = place.item("ipp-1")
            assert {name: kept[name] for name in top} == top
            assert kept["parametros"] == item["parametros"]

    def test_where_an_index_holds_it_is_never_kept(self, place: Place) -> None:
        place.put(next_release(build_job()))
        made = place.store.get_job("ipp-1", NOW)
        assert made is not None
        place.store.replace_job(made.transition(NOW, JobStatus.FAILED))
        sparse = {name for name, _ in TABLE_INDEXES.values()} - {"entity", "owner"}
        assert sparse.isdisjoint(place.item("ipp-1"))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, dynamodb: Any) -> dict[str, Place]:
    folder = tmp_path_factory.mktemp("stores")
    return {"sqlite": sqlite_place(folder / "jobs.sqlite"), "dynamodb": dynamodb_place(dynamodb)}


@pytest.fixture(params=UNREADABLE)
def broken(request: pytest.FixtureRequest, place: Place) -> Place:
    """A store with one that cannot be read between others: the newest, and changed longest ago."""
    made = replace(build_job("ipp-2"), created_at=NOW - 2 * SECOND, updated_at=NOW - SECOND)
    place.put(UNREADABLE[request.param](job_to_item(made)))
    for number, ago in ((1, 3), (3, 1), (4, 0)):
        assert place.store.create_job(
            build_job(f"ipp-{number}", created_at=NOW - ago * SECOND), NOW
        )
    return place


class TestOneThatCannotBeRead:
    def test_lists_leave_it_out_and_are_as_long_as_was_asked(self, broken: Place) -> None:
        store = broken.store
        for owner in (None, "ana"):
            found = store.list_jobs(owner=owner, status=None, limit=3, after=None, now=NOW)
            assert [made.job_id for made in found] == ["ipp-4", "ipp-3", "ipp-1"]
            found = store.list_unfinished(owner=owner, limit=3, now=NOW)
            assert [made.job_id for made in found] == ["ipp-1", "ipp-3", "ipp-4"]

    def test_every_other_job_moves(self, broken: Place) -> None:
        reconciler = Reconciler(broken.store, FakeEngine(), lambda _job: None)
        for second in range(60):
            reconciler.sweep_jobs(partial(add, NOW, second * SECOND))
        found = broken.store.list_jobs(
            owner=None, status=JobStatus.COMPLETED, limit=9, after=None, now=NOW
        )
        assert [made.job_id for made in found] == ["ipp-4", "ipp-3", "ipp-1"]

    def test_it_is_counted_and_logged_once(
        self, broken: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR, logger="ipp.jobs"):
            for _ in range(3):
                broken.store.list_jobs(owner=None, status=None, limit=9, after=None, now=NOW)
        assert len(broken.unreadable) == 1
        (record,) = [each for each in caplog.records if each.name == "ipp.jobs"]
        assert record.getMessage().startswith("job ipp-2 cannot be read: ")

    def test_whoever_asks_for_it_is_told_what_it_is(self, broken: Place, tmp_path: Path) -> None:
        with pytest.raises(UnreadableJobError) as raised:
            broken.store.get_job("ipp-2", NOW)
        assert (raised.value.job_id, raised.value.owner) == ("ipp-2", "ana")
        client = asked(broken, tmp_path, FakeEngine())
        for method, path in (
            ("GET", "/ipp/status/ipp-2"),
            ("GET", "/ipp/results/ipp-2"),
            ("POST", "/ipp/jobs/ipp-2/cancel"),
        ):
            answer = client.request(method, path)
            assert answer.status_code == 409
            assert answer.json()["type"] == "urn:ipp:problema:proceso_ilegible"
            assert client.request(method, path, headers={"x-user": "eva"}).status_code == 404
        assert client.get("/ipp/jobs?limit=2").json()["next_cursor"] is not None
        assert len(client.get("/ipp/jobs").json()["jobs"]) == 3

    def test_its_time_ends_as_any_others(self, broken: Place) -> None:
        late = NOW + UNFINISHED_RETENTION
        assert broken.store.get_job("ipp-2", late) is None


def test_a_row_that_is_no_json_is_left_out(tmp_path: Path) -> None:
    place = sqlite_place(tmp_path / "jobs.sqlite")
    for number in (1, 2):
        place.store.create_job(build_job(f"ipp-{number}"), NOW)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as db, db:
        db.execute("UPDATE jobs SET item = '{' WHERE job_id = 'ipp-2'")
    assert [made.job_id for made in place.store.list_unfinished(owner=None, limit=9, now=NOW)] == [
        "ipp-1"
    ]
    with pytest.raises(UnreadableJobError):
        place.store.get_job("ipp-2", NOW)
