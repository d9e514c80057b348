"""Callers over a real server that trusts the tokens of an issuer whose JWKS it fetches itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.command import IPP
from tests.e2e.server import FIRST, SECOND, Server, run_server, wait_for_end
from tests.unit.server.api import callers
from tests.unit.server.api.callers import (
    AUDIENCE,
    ISSUER,
    ec_jwk,
    ec_key,
    encode_jwks,
    rsa_jwk,
    rsa_key,
)
from tests.waiting import PATIENCE_SECONDS


class Issuer:
    """An issuer's keys at a loopback address."""

    def __init__(self) -> None:
        content = encode_jwks(rsa_jwk(), ec_jwk())

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the base class's name
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


MADE: list[str] = []
"""Every token of these tests."""


def made(token: str) -> str:
    MADE.append(token)
    return token


def claims(**changes: Any) -> dict[str, Any]:
    """What a token of this moment says, but for the changes."""
    now = int(time.time())
    return {"iat": now, "exp": now + 600, **changes}


def rs256(kid: str = "r", key: str = "uno", **changes: Any) -> str:
    return made(callers.sign_token(claims(**changes), kid=kid, key=rsa_key(key)))


def es256(**changes: Any) -> str:
    return made(callers.sign_token(claims(**changes), kid="e", key=ec_key(), algorithm="ES256"))


@pytest.fixture(scope="module")
def server(
    chain: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("tokens") / "home"
    shutil.copytree(chain, home)
    with run_server(
        home, IPP_ISSUER=ISSUER, IPP_AUDIENCE=AUDIENCE, IPP_JWKS_URL=issuer.url
    ) as running:
        yield running
    log = running.log.read_text()
    assert '"path": "/ipp/jobs"' in log
    assert "eyJ" not in log, "the first letters of every token's header"
    for token in MADE:
        assert not [piece for piece in token.split(".") if piece and piece in log]


def calling(server: Server, token: str = "") -> httpx2.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS, headers=headers)


@pytest.fixture(scope="module")
def ana(server: Server) -> Iterator[httpx2.Client]:
    with calling(server, rs256(sub="ana", name="Ana Peña", email="ana@example.com")) as client:
        yield client


@pytest.fixture(scope="module")
def beto(server: Server) -> Iterator[httpx2.Client]:
    with calling(server, es256(sub="beto")) as client:
        yield client


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[httpx2.Client]:
    with calling(server, es256(sub="raiz", **{"cognito:groups": ["otros", "ipp-admin"]})) as client:
        yield client


@pytest.fixture(scope="module")
def anas(ana: httpx2.Client) -> str:
    """A completed job of ana's."""
    job_id = ana.post(
        "/ipp/start", json={"mostradores": [FIRST, SECOND]}, headers={"Idempotency-Key": "lunes"}
    ).json()["job_id"]
    assert wait_for_end(ana, job_id)["status"] == "COMPLETED"
    return str(job_id)


REFUSED: dict[str, Callable[[], str]] = {
    "no token": str,
    "another's key": lambda: rs256(key="otro"),
    "expired": lambda: rs256(iat=1, exp=int(time.time()) - 60),
}
"""Which other tokens do not hold, and what is said of each, is told of the authenticator alone."""


@pytest.mark.parametrize("name", REFUSED)
def test_who_is_not_known_is_refused_everywhere_and_starts_nothing(
    server: Server, ana: httpx2.Client, admin: httpx2.Client, name: str
) -> None:
    assert ana.get("/ipp/jobs").status_code == 200
    before = admin.get("/ipp/jobs").json()
    with calling(server, REFUSED[name]()) as nobody:
        assert nobody.get("/healthz").status_code == 200
        for method, path in (
            ("POST", "/ipp/start"), ("POST", "/ipp/validate-clients"), ("GET", "/ipp/jobs"),
            ("GET", "/ipp/status/ipp-1"), ("GET", "/ipp/results/ipp-1"),
            ("GET", "/ipp/results/ipp-1/rows"),
            ("GET", "/ipp/results/ipp-1/download"), ("GET", "/ipp/jobs/ipp-1/events"),
            ("POST", "/ipp/jobs/ipp-1/cancel"), ("GET", "/configuraciones"),
            ("GET", f"/configuraciones/{FIRST}"),
            ("DELETE", f"/configuraciones/{FIRST}"), ("GET", "/metrics"),
            ("GET", "/openapi.json"), ("GET", "/docs"),
        ):  # fmt: skip
            answer = nobody.request(
                method, path, json={"mostradores": [FIRST]} if method == "POST" else None
            )
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), path
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["instance"] == path
    assert admin.get("/ipp/jobs").json() == before


def test_the_claims_make_the_jobs_user(ana: httpx2.Client, anas: str) -> None:
    assert ana.get(f"/ipp/results/{anas}").json()["process_info"]["user_info"] == {
        "email": "ana@example.com", "username": "ana", "sub": "ana", "name": "Ana Peña",
    }  # fmt: skip


EVERY = (
    ("GET", "/ipp/status/{}"), ("GET", "/ipp/results/{}"), ("GET", "/ipp/results/{}/rows"),
    ("GET", "/ipp/results/{}/download"), ("GET", "/ipp/results/{}/download?format=xlsx"),
    ("GET", "/ipp/results/{}/download?format=parquet"), ("GET", "/ipp/jobs/{}/events"),
    ("GET", f"/ipp/results/{{}}/curve?mostrador={SECOND}"), ("POST", "/ipp/jobs/{}/cancel"),
)  # fmt: skip
"""Every operation on a job, which has a mostrador of each model."""


def test_every_operation_on_a_job_is_tried_here(ana: httpx2.Client) -> None:
    described = {
        (method.upper(), path.replace("{job_id}", "{}"))
        for path, operations in ana.get("/openapi.json").json()["paths"].items()
        for method in operations
        if "{job_id}" in path
    }
    assert described == {(method, path.partition("?")[0]) for method, path in EVERY}


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_anothers_job_is_not_there_to_the_letter(
    ana: httpx2.Client, beto: httpx2.Client, admin: httpx2.Client, anas: str, method: str, path: str
) -> None:
    answer = beto.request(method, path.format(anas))
    nothing = beto.request(method, path.format("ipp-nada"))
    assert (answer.status_code, answer.json()["error"]) == (404, "Job no encontrado")
    assert answer.json() == json.loads(nothing.text.replace("ipp-nada", anas))
    assert answer.headers.keys() == nothing.headers.keys()
    expected = 409 if method == "POST" else 200
    for entitled in (ana, admin):
        assert entitled.request(method, path.format(anas)).status_code == expected


def test_a_list_holds_ones_own_jobs_and_an_admins_holds_all(
    ana: httpx2.Client, beto: httpx2.Client, admin: httpx2.Client, anas: str
) -> None:
    key = {"Idempotency-Key": "lunes"}
    body = {"mostradores": [FIRST, SECOND]}
    betos = beto.post("/ipp/start", json=body, headers=key).json()["job_id"]
    assert betos != anas
    assert beto.post("/ipp/start", json=body, headers=key).json()["job_id"] == betos
    assert ana.post("/ipp/start", json=body, headers=key).json()["job_id"] == anas
    assert wait_for_end(beto, betos)["status"] == "COMPLETED"

    def listed(client: httpx2.Client) -> list[str]:
        return [job["job_id"] for job in client.get("/ipp/jobs").json()["jobs"]]

    assert (listed(ana), listed(beto), listed(admin)) == ([anas], [betos], [betos, anas])


@pytest.mark.parametrize("path", ["/ipp/jobs", "/ipp/results/{}/rows"])
def test_a_place_in_a_list_is_its_callers_alone(
    ana: httpx2.Client, beto: httpx2.Client, admin: httpx2.Client, anas: str, path: str
) -> None:
    asked = {
        "limit": 1,
        "cursor": ana.get(path.format(anas), params={"limit": 1}).json()["next_cursor"],
    }
    assert ana.get(path.format(anas), params=asked).status_code == 200
    answers = {"admin": admin.get(path.format(anas), params=asked)}
    if "{}" not in path:  # for who may not see the job there is nothing to have a place in
        answers["beto"] = beto.get(path, params=asked)
    for answer in answers.values():
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "cursor")


def test_no_server_for_others_starts_without_an_issuer(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IPP_")}
    done = subprocess.run(
        [*IPP, "serve", "--host", "0.0.0.0", "--port", "0"],
        env=environment | {"IPP_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "IPP_ISSUER" in done.stderr
    assert not (tmp_path / "home").exists()


def test_only_an_editor_changes_what_all_share_and_everybody_reads_who_did(
    server: Server, ana: httpx2.Client, beto: httpx2.Client, admin: httpx2.Client
) -> None:
    editor = es256(sub="eva", name="Eva Ruiz", **{"cognito:groups": ["ipp-editor"]})
    path = f"/configuraciones/{SECOND}"
    stored = ana.get(path).json()
    body = {
        name: value
        for name, value in stored.items()
        if name not in {"mostrador", "version", "fecha_actualizacion"}
    }
    for reader in (ana, beto):
        for answer in (
            reader.put(path, json={**body, "monto_deseado": 1}),
            reader.delete(path),
            reader.post("/configuraciones", json={"mostrador": SECOND}),
        ):
            assert answer.status_code == 403
            assert "ipp-editor" in answer.json()["message"]
    assert ana.get(path).json() == stored
    with calling(server, editor) as eva:
        eva.put(path, json={**body, "monto_deseado": 123_456}).raise_for_status()
    admin.put(path, json=body).raise_for_status()
    by_admin, by_eva = beto.get("/cambios", params={"mostrador": SECOND, "limit": 2}).json()[
        "cambios"
    ]
    assert (by_eva["sub"], by_eva["quien"], by_admin["sub"]) == ("eva", "Eva Ruiz", "raiz")
    assert by_eva["antes"]["monto_deseado"] == body["monto_deseado"]
    assert by_eva["despues"]["monto_deseado"] == by_admin["antes"]["monto_deseado"] == 123_456
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if path in line]
    callers_of = {(line["method"], line["caller"]) for line in lines if line.get("path") == path}
    assert {("PUT", "eva"), ("PUT", "raiz"), ("DELETE", "beto")} <= callers_of
    assert "ana@example.com" not in server.log.read_text()
