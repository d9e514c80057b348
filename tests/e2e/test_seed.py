"""The seed document's whole flow over a real server: every field, state and message as written."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from ipp.core.contract import Kind
from ipp.core.tables import RESULTS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.e2e.server import Server
from tests.waiting import PATIENCE_SECONDS

ASKED = ["7051602", "7051603"]
JOB_ID = re.compile(r"ipp-[0-9a-f]{6}-[0-9a-f]{6}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

SHOWN = {
    "JOB1_RUNNING": ("Databricks Job 1 en ejecución...", 25),
    "JOB1_DONE": ("Normalización terminada", 40),
    "PROCESSING": ("Aplicando el factor de redondeo...", 60),
    "JOB2_RUNNING": ("Databricks Job 2 en ejecución...", 80),
    "COMPLETED": ("Proceso completado", 100),
}
"""What each status is shown with; the first message and every percentage are the seed's."""


@pytest.mark.parametrize(
    ("asked", "status", "message", "valid", "invalid"),
    [
        (["7051602", "7051603", "7051699"], "partial_valid",
         "2 de 3 mostradores tienen configuración", ["7051602", "7051603"], ["7051699"]),
        (["7051603", 7051602], "all_valid", "Todos los 2 mostradores tienen configuración",
         ["7051603", "7051602"], []),
        (["9", "7051699", "8"], "all_invalid", "Ninguno de los 3 mostradores tiene configuración",
         [], ["9", "7051699", "8"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["mostradores", "clients"])
def test_validation_of_a_list(
    client: httpx2.Client, field: str, asked: list[object], status: str, message: str,
    valid: list[str],
    invalid: list[str],
) -> None:  # fmt: skip
    answer = client.post("/ipp/validate-clients", json={field: asked})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": status,
            "message": message,
            "mode": "manual",
            "validClients": valid,
            "invalidClients": invalid,
            "total": len(asked),
            "validated": len(valid),
        },
    )


@pytest.mark.parametrize("content", [b"", b"{}", b'{"mode": "automatic"}'])
def test_validation_without_a_list_is_of_every_active_mostrador(
    client: httpx2.Client, content: bytes
) -> None:
    answer = client.post("/ipp/validate-clients", content=content)
    every = ["7051602", "7051603", "7051604", "7051605"]
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "all_valid",
            "message": "Todos los 4 mostradores tienen configuración",
            "mode": "automatic",
            "validClients": every,
            "invalidClients": [],
            "total": 4,
            "validated": 4,
        },
    )


@dataclass(frozen=True)
class Flow:
    """What a job's caller was answered, from its start to its end."""

    start: httpx2.Response
    early: httpx2.Response
    statuses: list[dict[str, Any]]

    @property
    def job_id(self) -> str:
        return str(self.start.json()["job_id"])


@pytest.fixture(scope="module")
def flow(client: httpx2.Client) -> Flow:
    start = client.post("/ipp/start", json={"mostradores": ASKED})
    job_id = start.json()["job_id"]
    early = client.get(f"/ipp/results/{job_id}")
    statuses: list[dict[str, Any]] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not statuses or statuses[-1]["progress"] not in {0, 100}:
        assert time.monotonic() < give_up, statuses[-1:]
        answer = client.get(f"/ipp/status/{job_id}")
        assert answer.status_code == 200
        statuses.append(answer.json())
        time.sleep(0.01)
    return Flow(start, early, statuses)


@pytest.fixture(scope="module")
def gold(server: Server, flow: Flow) -> pl.DataFrame:
    """What the job published, as it lies in the table."""
    table = (
        DeltaLakehouse(server.home / "lakehouse")
        .scan_table(RESULTS)
        .filter(pl.col("job_id") == flow.job_id)
    )
    rows = table.sort("mostrador", "material").rename(dict(RESULTS.labels)).collect()
    assert rows["mostrador"].unique().sort().to_list() == [7051602, 7051603]
    assert len(rows) == 400
    return rows


def test_the_start_is_answered_as_the_seed_says(flow: Flow) -> None:
    started = flow.start.json()
    assert flow.start.status_code == 202
    assert flow.start.headers["Location"] == f"/ipp/status/{flow.job_id}"
    assert flow.start.headers["Retry-After"] == "5"
    assert list(started) == [
        "job_id",
        "status",
        "message",
        "mostradores_count",
        "databricks_run_id",
    ]
    assert JOB_ID.fullmatch(flow.job_id)
    assert started["status"] == "JOB1_RUNNING"
    assert started["message"] == "Proceso IPP iniciado exitosamente"
    assert started["mostradores_count"] == 2
    assert isinstance(started["databricks_run_id"], str)
    assert started["databricks_run_id"]


def test_each_status_has_its_message_and_its_progress(flow: Flow) -> None:
    names = list(dict.fromkeys(status["status"] for status in flow.statuses))
    assert names == [name for name in SHOWN if name in names], "forward alone"
    assert (names[0], names[-1]) == ("JOB1_RUNNING", "COMPLETED")
    for status in flow.statuses:
        assert list(status) == [
            "job_id", "status", "message", "databricks_state", "databricks_run_url",
            "mostradores_count", "progress",
            "created_at", "updated_at", "stages",
        ]  # fmt: skip
        assert (status["message"], status["progress"]) == SHOWN[status["status"]]
        assert (status["job_id"], status["mostradores_count"]) == (flow.job_id, 2)
        assert status["databricks_state"] in {"PENDING", "RUNNING", "TERMINATED"}
        assert MOMENT.fullmatch(status["created_at"])
        assert MOMENT.fullmatch(status["updated_at"])
        assert [stage["stage"] for stage in status["stages"]] == [
            "normalizador",
            "factor",
            "publicacion",
        ]
    assert [
        (stage["state"], stage["done"], stage["total"]) for stage in flow.statuses[-1]["stages"]
    ] == [("TERMINATED", 2, 2)] * 3


def test_results_that_are_not_there_yet_are_refused_in_the_seeds_words(flow: Flow) -> None:
    problem = flow.early.json()
    assert (flow.early.status_code, problem["status"]) == (409, 409)
    assert (problem["error"], problem["message"]) == (
        "Proceso no completado",
        "Proceso no completado. Su estado es JOB1_RUNNING.",
    )
    assert problem["job_status"] == "JOB1_RUNNING"


@pytest.mark.parametrize("path", ["/ipp/status/{}", "/ipp/results/{}"])
def test_a_job_that_is_not_there_is_refused_in_the_seeds_words(
    client: httpx2.Client, path: str
) -> None:
    answer = client.get(path.format("ipp-abc123-def456"))
    assert (answer.status_code, answer.json()["error"]) == (404, "Job no encontrado")
    assert answer.json()["message"] == "Job no encontrado. Revise el job_id ipp-abc123-def456."


def test_the_results_have_every_key_of_the_seed(
    server: Server, client: httpx2.Client, flow: Flow, gold: pl.DataFrame
) -> None:
    results = client.get(f"/ipp/results/{flow.job_id}").json()
    assert list(results) == [
        "job_id", "status", "mostradores", "mostradores_count", "process_info", "databricks_info",
        "s3_locations",
        "summary",
    ]  # fmt: skip
    assert (results["job_id"], results["status"]) == (flow.job_id, "COMPLETED")
    assert (results["mostradores"], results["mostradores_count"]) == (ASKED, 2)
    last = flow.statuses[-1]
    user = results["process_info"]["user_info"]
    published_at = results["process_info"]["updated_at"]
    assert results["process_info"] == {
        "created_at": last["created_at"], "updated_at": published_at, "user_info": user
    }  # fmt: skip
    assert MOMENT.fullmatch(published_at)
    assert last["stages"][-1]["started_at"] <= published_at <= last["updated_at"]
    assert list(user) == ["email", "username", "sub", "name"]
    assert (user["sub"], user["email"]) == ("local", "")
    databricks = results["databricks_info"]
    assert databricks == {
        "job1_run_id": flow.start.json()["databricks_run_id"],
        "job2_run_id": databricks["job2_run_id"],
        "results_table": "invenadro.gold.ipp_resultados_finales",
        "query_example": (
            f"SELECT * FROM invenadro.gold.ipp_resultados_finales WHERE job_id = '{flow.job_id}'"
        ),
    }
    assert databricks["job2_run_id"] not in {"", databricks["job1_run_id"]}
    locations = results["s3_locations"]
    assert list(locations) == ["raw", "processed"]
    assert (Path(locations["raw"]) / "raw_data.xlsx").is_file()
    assert (Path(locations["processed"]) / "processed_data.csv").is_file()
    summary = results["summary"]
    assert list(summary) == [
        "mostradores_processed", "total_time_seconds", "success", "mostradores",
        "mostradores_failed", "notices",
    ]  # fmt: skip
    assert (
        summary["mostradores_processed"],
        summary["success"],
        summary["mostradores_failed"],
    ) == (2, True, [])
    took = dt.datetime.fromisoformat(published_at) - dt.datetime.fromisoformat(last["created_at"])
    assert summary["total_time_seconds"] == round(took.total_seconds())
    for row, ((mostrador,), rows) in zip(
        summary["mostradores"], gold.group_by("mostrador", maintain_order=True), strict=True
    ):
        assert list(row) == [
            "mostrador", "products", "products_with_stock", "units", "investment",
            "target_investment",
            "rounding_factor", "expected_fill_rate", "products_with_unknown_stock",
            "value_with_unknown_stock",
        ]  # fmt: skip
        assert (row["mostrador"], row["products"]) == (str(mostrador), len(rows))
        assert (row["products_with_stock"], row["units"]) == (
            (rows["optimo"] > 0).sum(),
            rows["optimo"].sum(),
        )
        assert row["investment"] == pytest.approx(rows["importe_optimo"].sum(), abs=0.005)
        assert 0 < row["expected_fill_rate"] <= 1


def test_the_rows_are_those_of_the_table(
    client: httpx2.Client, flow: Flow, gold: pl.DataFrame
) -> None:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(10):
        page = client.get(f"/ipp/results/{flow.job_id}/rows", params={"limit": 90, **cursor}).json()
        assert (page["job_id"], page["total"]) == (flow.job_id, len(gold))
        found += page["rows"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    texts = {
        column.label: pl.col(column.label)
        .cast(pl.String)
        .str.zfill(column.digits if column.kind is Kind.ID else 0)
        for column in RESULTS.columns
        if column.kind in {Kind.ID, Kind.DATE}
    }
    assert found == gold.with_columns(**texts).to_dicts()


SEEDS_HOST = "https://xxx.execute-api.mx-central-1.amazonaws.com/jul-dev"
SEEDS_JOB = "ipp-abc123-def456"
SEEDS_COMMANDS = r"""
curl -X POST https://xxx.execute-api.mx-central-1.amazonaws.com/jul-dev/ipp/validate-clients \
  -H "Authorization: Bearer $TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"mostradores": ["7051602", "7051603"]}'

curl -X POST https://xxx.execute-api.mx-central-1.amazonaws.com/jul-dev/ipp/start \
  -H "Authorization: Bearer $TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"mostradores": ["7051602", "7051603"]}'

curl -X GET https://xxx.execute-api.mx-central-1.amazonaws.com/jul-dev/ipp/status/ipp-abc123-def456 \
  -H "Authorization: Bearer $TOKEN"

curl -X GET https://xxx.execute-api.mx-central-1.amazonaws.com/jul-dev/ipp/results/ipp-abc123-def456 \
  -H "Authorization: Bearer $TOKEN"
"""  # noqa: E501 -- the seed document's own lines
"""The seed's four tests, letter by letter."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="the curl program is not on this machine")
def test_the_seeds_own_commands_run_with_nothing_but_the_host_and_the_job_changed(
    server: Server, flow: Flow
) -> None:
    def shell(command: str) -> dict[str, Any]:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=os.environ | {"TOKEN": "un-token", "no_proxy": "127.0.0.1"},
            capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    commands = SEEDS_COMMANDS.replace(SEEDS_HOST, server.address).strip().split("\n\n")
    validate, start, status, results = commands
    assert shell(validate)["message"] == "Todos los 2 mostradores tienen configuración"
    started = shell(start)
    assert started["message"] == "Proceso IPP iniciado exitosamente"
    assert [shell(command)["error"] for command in (status, results)] == ["Job no encontrado"] * 2
    assert shell(results.replace(SEEDS_JOB, started["job_id"]))["error"] == "Proceso no completado"
    assert shell(status.replace(SEEDS_JOB, flow.job_id))["message"] == "Proceso completado"
    assert shell(results.replace(SEEDS_JOB, flow.job_id))["summary"]["success"] is True
