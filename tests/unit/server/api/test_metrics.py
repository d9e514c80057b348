"""What Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.server.api.conftest import BEGUN, build_application


def samples(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = client.get("/metrics").text
    found = text_string_to_metric_families(text)
    return {
        (s.name, frozenset(s.labels.items())): s.value for family in found for s in family.samples
    }


def test_each_status_says_how_many_jobs_stand_in_it_whoever_moved_them(tmp_path: Path) -> None:
    with TestClient(build_application(tmp_path)) as client:
        standing = {
            labels: value
            for (name, labels), value in samples(client).items()
            if name == "ipp_jobs_standing"
        }
        assert {dict(labels)["status"]: value for labels, value in standing.items()} == {
            "JOB1_RUNNING": 1, "JOB1_DONE": 0, "PROCESSING": 0, "JOB2_RUNNING": 0,
        }  # fmt: skip


def test_requests_are_counted_by_route_and_not_by_id(tmp_path: Path) -> None:
    with TestClient(build_application(tmp_path)) as client:
        client.get(f"/ipp/status/{BEGUN}")
        client.get("/ipp/status/ipp-nada")
        counted = samples(client)
    route = ("route", "/ipp/status/{job_id}")
    for status in ("200", "404"):
        labels = frozenset({route, ("method", "GET"), ("status", status)})
        assert counted["ipp_requests_total", labels] == 1
    assert not any(BEGUN in value for _, labels in counted for _, value in labels)


def test_an_invented_method_is_no_series_of_its_own(tmp_path: Path) -> None:
    with TestClient(build_application(tmp_path)) as client:
        for number in range(50):
            assert client.request(f"INVENTED{number}", "/healthz").status_code == 405
        counted = samples(client)
    methods = {
        dict(labels).get("method"): value
        for (name, labels), value in counted.items()
        if name == "ipp_requests_total" and dict(labels)["status"] == "405"
    }
    assert methods == {"other": 50}
