"""A mostrador that failed in a completed job: every answer about it says so, with the cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from fastapi.testclient import TestClient

from ipp.core.tables import FAILURES, RESULTS
from ipp.jobs.job import JobStatus
from tests.unit.jobs.job_builder import NOW, job
from tests.unit.server.api.conftest import MOSTRADORES, application, results

JOB = "ipp-half"
GOOD, FAILED, NOTHING = MOSTRADORES[0], 7_051_604, 7_051_605
"""One that was published, one that failed, and one of which neither is known."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = application(Path(tmp_path_factory.mktemp("half")))
    lakehouse, services = app.state.lakehouse, app.state.services
    lakehouse.replace_partitions(RESULTS, results(JOB, GOOD).lazy(), [JOB])
    lost = {"job_id": JOB, "mostrador": FAILED, "stage": "factor", "cause": "sin precio <alguno>"}
    lakehouse.replace_table(FAILURES, pl.LazyFrame([lost], schema=FAILURES.schema))
    completed = replace(job(JOB), status=JobStatus.COMPLETED, mostradores=(GOOD, FAILED, NOTHING))
    services.jobs._store.create_job(completed, NOW)
    with TestClient(app) as made:
        yield made


@pytest.mark.parametrize(
    ("part", "asked"),
    [("rows", {}), ("rows", {"q": "acido", "sort": "precio"}), ("curve", {}), ("download", {}),
     ("download", {"format": "xlsx"})],
)  # fmt: skip
def test_whatever_is_asked_of_a_mostrador_that_failed_says_that_it_did_and_why(
    part: str, asked: dict[str, str], client: TestClient
) -> None:
    answer = client.get(f"/ipp/results/{JOB}/{part}", params={"mostrador": FAILED, **asked})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json()
    assert problem["type"] == "urn:ipp:problema:mostrador_fallido"
    assert (
        problem["error"] == f"El mostrador {FAILED} falló en la etapa factor: sin precio <alguno>."
    )
    assert (
        problem["message"]
        == f"{problem['error']} Corrija la causa y empiece otro proceso con este mostrador."
    )


@pytest.mark.parametrize("part", ["rows", "download"])
def test_the_others_of_the_job_are_there(part: str, client: TestClient) -> None:
    for asked in ({"mostrador": GOOD}, {}):
        assert client.get(f"/ipp/results/{JOB}/{part}", params=asked).status_code == 200


def test_who_did_not_fail_and_has_nothing_is_an_empty_page_and_no_curve(client: TestClient) -> None:
    for mostrador, asked in ((NOTHING, {}), (GOOD, {"q": "nada es así"})):
        page = client.get(f"/ipp/results/{JOB}/rows", params={"mostrador": mostrador, **asked})
        assert (page.status_code, page.json()["total"]) == (200, 0)
    answer = client.get(f"/ipp/results/{JOB}/curve", params={"mostrador": GOOD})
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        f"El mostrador {GOOD} no tiene curva en {JOB}.",
    )


def test_a_failure_is_only_its_owners_to_read(client: TestClient) -> None:
    answer = client.get(
        f"/ipp/results/{JOB}/rows", params={"mostrador": FAILED}, headers={"x-user": "beto"}
    )
    assert (answer.status_code, "precio" in answer.text) == (404, False)
