"""Compressed answers, over a real socket: what is, what never is, and what stays true of both."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from ipp.server.api.compression import MIN_COMPRESSED_BYTES
from ipp.server.web.csrf import CSRF_COOKIE, CSRF_FIELD
from tests.unit.server.api.conftest import BEGUN, DONE, store_configurations
from tests.unit.server.web.published_job import FIRST, HTMX, RESULTADOS, TABLE, app
from tests.waiting import PATIENCE_SECONDS

__all__ = ["app"]  # a fixture that the tests of these pages share

STYLE, SCRIPT = "/pagina/estilo.css", "/pagina/htmx-4.0.1/htmx.min.js"
PLAIN = {"Accept-Encoding": "identity"}
COMPRESSED = [
    (TABLE, {}),
    (TABLE, HTMX),
    (RESULTADOS, {}),
    (f"{TABLE}/productos/1001", {}),
    (f"/procesos/{DONE}", {}),
    (f"/ipp/results/{DONE}/rows?limit=100", {}),
    ("/openapi.json", {}),
    (STYLE, {}),
    (SCRIPT, {}),
    ("/docs/static/swagger-ui-5.35.0/swagger-ui.css", {}),
]
DOWNLOAD = f"/ipp/results/{DONE}/download?mostrador={FIRST}&format="


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[httpx2.Client]:
    """A client that asks for gzip, as every browser does, of a server in a thread."""
    store_configurations(app)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not server.started and time.monotonic() < give_up:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as made:
        assert "gzip" in made.headers["accept-encoding"]
        yield made
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize(("path", "headers"), COMPRESSED)
def test_what_people_read_is_compressed_and_the_same(
    path: str, headers: dict[str, str], client: httpx2.Client
) -> None:
    answer = client.get(path, headers=headers).raise_for_status()
    whole = client.get(path, headers=headers | PLAIN).raise_for_status()
    assert answer.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in whole.headers
    assert answer.content == whole.content
    assert int(answer.headers["content-length"]) == answer.num_bytes_downloaded
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert answer.num_bytes_downloaded < len(whole.content) / 2
    for each in (answer, whole):
        assert "accept-encoding" in each.headers["vary"].lower()
    assert answer.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br, gzip; q=0.0, identity", "identity", "br"])
def test_who_refuses_gzip_gets_none(accepted: str, client: httpx2.Client) -> None:
    for path in (TABLE, SCRIPT):
        answer = client.get(path, headers={"Accept-Encoding": accepted}).raise_for_status()
        assert "content-encoding" not in answer.headers
        assert len(answer.content) == answer.num_bytes_downloaded


def test_a_short_answer_is_left_alone(client: httpx2.Client) -> None:
    answer = client.get("/healthz").raise_for_status()
    assert len(answer.content) < MIN_COMPRESSED_BYTES
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", [f"/procesos/{BEGUN}/eventos", f"/ipp/jobs/{BEGUN}/events"])
def test_an_event_leaves_at_once_uncompressed(path: str, client: httpx2.Client) -> None:
    with client.stream("GET", path) as answer:
        assert "content-encoding" not in answer.headers
        raw = answer.iter_raw()
        told = next(raw)
        while b"\n\n" not in told.partition(b"id: ")[2]:
            told += next(raw)
        # The job goes on, so the stream is still open: nothing waited for its end.
        assert b"data: " in told


@pytest.mark.parametrize("format", ["csv", "xlsx", "parquet"])
def test_a_download_is_sent_as_it_is_with_its_length(format: str, client: httpx2.Client) -> None:
    answer = client.get(DOWNLOAD + format).raise_for_status()
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.num_bytes_downloaded == len(answer.content) > MIN_COMPRESSED_BYTES


def test_a_file_that_did_not_change_is_not_sent_again(client: httpx2.Client) -> None:
    compressed, whole = client.get(STYLE), client.get(STYLE, headers=PLAIN)
    assert compressed.headers["etag"] == f"W/{whole.headers['etag']}", "other bytes, the same file"
    for etag in (compressed.headers["etag"], whole.headers["etag"]):
        again = client.get(STYLE, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert "accept-encoding" in again.headers["vary"].lower()


def test_a_part_of_a_file_is_of_the_uncompressed_one(client: httpx2.Client) -> None:
    whole = client.get(STYLE, headers=PLAIN)
    part = client.get(STYLE, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert "content-encoding" not in part.headers
    strong = {"Range": "bytes=100-", "If-Range": whole.headers["etag"]}
    assert client.get(STYLE, headers=strong).content == whole.content[100:]
    # Whoever has the beginning of the compressed one must not continue it with these bytes.
    weak = {"Range": "bytes=100-", "If-Range": client.get(STYLE).headers["etag"]}
    assert client.get(STYLE, headers=weak).status_code == 200


def test_the_version_of_a_configuration_still_matches(client: httpx2.Client) -> None:
    shown = client.get("/configuraciones/1").raise_for_status()
    own = {"mostrador", "version", "fecha_actualizacion"}
    body = {name: value for name, value in shown.json().items() if name not in own}
    body["monto_deseado"] = 1_000.0
    version = {"If-Match": shown.headers["etag"]}
    stored = client.put("/configuraciones/1", json=body, headers=version)
    assert stored.status_code == 200, stored.text
    assert client.put("/configuraciones/1", json=body, headers=version).status_code == 412


def test_the_token_of_a_form_is_never_sent_twice_alike_and_each_is_good(
    client: httpx2.Client,
) -> None:
    path = f"/procesos/{BEGUN}"
    tokens = [
        re.findall(rf'name="{CSRF_FIELD}" value="([^"]+)"', client.get(path).text)[0]
        for _ in range(3)
    ]
    own = client.cookies[CSRF_COOKIE]
    assert len({*tokens, own}) == 4
    assert not any(own in token for token in tokens)
    spoiled = [*(f"A{token[1:]}" for token in tokens if token[0] != "A"), tokens[0][:-4], "é", ""]
    for token in spoiled:
        answer = client.post(f"{path}/cancelar", data={CSRF_FIELD: token})
        assert answer.status_code == 403, token
    for token in (*tokens, own):
        answer = client.post(f"{path}/cancelar", data={CSRF_FIELD: token})
        assert answer.status_code == 303, token
