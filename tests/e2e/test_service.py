"""The service over a real server and a plain HTTP client, from the sample to the results."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.e2e.server import FIRST, SECOND, Server, wait_for_end


def test_the_same_key_gives_the_same_job_over_a_restart(
    client: httpx2.Client, server: Server
) -> None:
    headers = {"Idempotency-Key": "una-clave"}
    first = client.post("/ipp/start", json={"mostradores": [FIRST]}, headers=headers).json()
    server.kill()
    server.start()
    again = client.post("/ipp/start", json={"mostradores": [f"000{FIRST}"]}, headers=headers).json()
    assert again["job_id"] == first["job_id"]
    other = client.post("/ipp/start", json={"mostradores": [SECOND]}, headers=headers)
    assert (other.status_code, other.headers["content-type"]) == (422, "application/problem+json")
    assert wait_for_end(client, first["job_id"])["status"] == "COMPLETED"


def test_an_empty_key_is_none(client: httpx2.Client) -> None:
    ids = set()
    for mostrador in (FIRST, SECOND):
        answer = client.post(
            "/ipp/start", json={"mostradores": [mostrador]}, headers={"Idempotency-Key": ""}
        )
        assert answer.status_code == 202
        ids.add(answer.json()["job_id"])
    assert len(ids) == 2
    for job_id in ids:
        assert wait_for_end(client, job_id)["status"] == "COMPLETED"


def test_events_tell_every_step_and_go_on_where_they_were_left(client: httpx2.Client) -> None:
    job_id = client.post("/ipp/start", json={"mostradores": [FIRST]}).json()["job_id"]
    ids, seen = [], []
    with client.stream("GET", f"/ipp/jobs/{job_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("id: "):
                ids.append(line[4:])
            if line.startswith("data: "):
                seen.append(json.loads(line[6:])["status"])
    assert seen[-1] == "COMPLETED"
    assert len(ids) == len(set(ids)) == len(seen)
    with client.stream(
        "GET", f"/ipp/jobs/{job_id}/events", headers={"Last-Event-ID": ids[-1]}
    ) as stream:
        assert [line for line in stream.iter_lines() if line.startswith("data: ")] == []


def test_a_cancelled_job_stops(client: httpx2.Client) -> None:
    job_id = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]}).json()["job_id"]
    answer = client.post(f"/ipp/jobs/{job_id}/cancel")
    assert answer.status_code in {200, 409}
    status = wait_for_end(client, job_id)["status"]
    assert status == ("CANCELLED" if answer.status_code == 200 else "COMPLETED")
    assert client.post(f"/ipp/jobs/{job_id}/cancel").status_code == (
        200 if status == "CANCELLED" else 409
    )


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "field"),
    [
        ("POST", "/ipp/start", b'{"mostradores": []}', 400, ""),
        ("POST", "/ipp/validate-clients", b'{"mostradores": []}', 400, ""),
        ("POST", "/ipp/start", b"{}", 400, "mostradores"),
        ("POST", "/ipp/start", json.dumps({"mostradores": list(range(1, 10_002))}).encode(),
         400, "mostradores"),
        ("POST", "/ipp/start", b'{"mostradores": ["abc", 1]}', 400, "mostradores.0"),
        ("POST", "/ipp/start", b'{"mostradores": [1e9]}', 400, "mostradores.0"),
        ("POST", "/ipp/start", b'{"mostradores": [-5]}', 400, "mostradores.0"),
        ("POST", "/ipp/start", b'{"mostradores": [[1]]}', 400, "mostradores.0"),
        ("POST", "/ipp/start", b'{"mostradores": [true]}', 400, "mostradores.0"),
        ("POST", "/ipp/start", b'{"mostradores": "7051602"}', 400, "mostradores"),
        ("POST", "/ipp/start", b'{"mostradores": ["1; DROP TABLE x"]}', 400, "mostradores.0"),
        ("POST", "/ipp/start", b'{"mostradores": [1], "otro": 2}', 400, "otro"),
        ("POST", "/ipp/start", b'{"mostradores": [1], "mostradores": [2]}', 400, "mostradores"),
        ("POST", "/ipp/start", b'{"mostradores": [1], "parametros": {"joroba": 7}}',
         400, "parametros.joroba"),
        ("POST", "/ipp/start", b'{"mostradores": [1], "parametros": {"jorobas": 0.1}}',
         400, "parametros.jorobas"),
        ("POST", "/ipp/start", b'{"mostradores": [1], "parametros": {"joroba": NaN}}', 400, ""),
        ("POST", "/ipp/start", b'{"mostradores": [1]', 400, ""),
        ("POST", "/ipp/start", b'{"mostradores": ["\xff"]}', 400, ""),
        ("POST", "/ipp/start", b"[1]", 400, ""),
        ("POST", "/ipp/start", b'{"mostradores": ["' + b"1" * (2 << 20) + b'"]}', 413, None),
        ("POST", "/ipp/start", b'{"mostradores": [9]}', 422, None),
        ("GET", "/ipp/status/ipp-nada", b"", 404, None),
        ("GET", "/ipp/status/..%2f..%2fetc", b"", 404, None),
        ("GET", "/ipp/results/ipp-nada", b"", 404, None),
        ("GET", "/ipp/jobs?cursor=abc", b"", 400, "cursor"),
        ("GET", "/ipp/jobs?limit=0", b"", 400, "limit"),
        ("GET", "/ipp/jobs?status=NADA", b"", 400, "status"),
        ("GET", "/nada", b"", 404, None),
        ("DELETE", "/ipp/start", b"", 405, None),
    ],
)  # fmt: skip
def test_bad_input_gets_a_problem_that_names_it_and_leaves_no_job(
    method: str, path: str, content: bytes, status: int, field: str | None, client: httpx2.Client
) -> None:
    before = client.get("/ipp/jobs?limit=200").json()["jobs"]
    answer = client.request(method, path, content=content)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), problem
    assert problem.keys() >= {"type", "title", "status", "detail", "instance", "error", "message"}
    assert problem["status"] == status
    if field is not None:
        assert field in [error["field"] for error in problem.get("errors", [{"field": ""}])]
    assert [j["job_id"] for j in client.get("/ipp/jobs?limit=200").json()["jobs"]] == [
        j["job_id"] for j in before
    ]


def test_a_page_elsewhere_does_not_reach_a_local_server(client: httpx2.Client) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert client.get("/ipp/jobs", headers=headers).status_code == 403


def test_a_request_has_an_id_in_and_out_and_a_line_without_secrets(
    client: httpx2.Client, server: Server
) -> None:
    client.get(
        "/ipp/jobs?limit=3", headers={"X-Request-Id": "pedido-7", "Authorization": "Bearer secreto"}
    )
    log = server.log.read_text()
    line = next(json.loads(row) for row in log.splitlines() if "pedido-7" in row)
    assert (line["path"], line["method"]) == ("/ipp/jobs", "GET")
    assert "secreto" not in log
    assert "limit=3" not in log
