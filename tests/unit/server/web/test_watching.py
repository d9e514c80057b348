"""Procesos and progress without a browser: owners, contents, and the CSRF token of changes."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ipp.server.web.csrf import CSRF_COOKIE
from ipp.server.web.job_progress import PAGE_JOBS
from ipp.server.web.page import CONTENT_POLICY, HTMX_REQUEST_HEADER
from tests.unit.jobs.job_builder import NOW, build_job
from tests.unit.server.api.conftest import BEGUN, DONE
from tests.unit.server.web.conftest import build_site

MINE = {"x-user": "ana"}
ANOTHERS = {"x-user": "beto"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(build_site(tmp_path), follow_redirects=False) as made:
        yield made


def test_a_list_is_of_ones_own_jobs_and_of_every_status_unless_one_is_chosen(
    client: TestClient,
) -> None:
    for address in ("/procesos", "/procesos?estado="):
        page = client.get(address, headers=MINE).text
        assert BEGUN in page
        assert DONE in page
    assert BEGUN not in client.get("/procesos?estado=COMPLETED", headers=MINE).text
    assert DONE not in client.get("/procesos", headers=ANOTHERS).text


def test_a_list_is_parted_into_pages_and_the_last_one_leads_to_no_other(tmp_path: Path) -> None:
    app = build_site(tmp_path)
    store = app.state.services.jobs._store
    for number in range(2 * PAGE_JOBS):
        store.create_job(
            build_job(f"ipp-{number:03}", sub="eva", created_at=NOW - dt.timedelta(minutes=number)),
            NOW,
        )
    address, seen = "/procesos", list[list[str]]()
    with TestClient(app) as client:
        while address:
            page = client.get(address, headers={"x-user": "eva"}).text
            seen.append(re.findall(r'<td><a href="/procesos/(ipp-\d+)"', page))
            address = html.unescape("".join(re.findall(r'<a href="([^"]+cursor=[^"]+)"', page)))
    assert [len(part) for part in seen] == [PAGE_JOBS, PAGE_JOBS]
    assert [each for part in seen for each in part] == [
        f"ipp-{number:03}" for number in range(2 * PAGE_JOBS)
    ]


@pytest.mark.parametrize("part", ["", "/avance", "/eventos"])
def test_another_persons_job_is_not_there(part: str, client: TestClient) -> None:
    answer = client.get(f"/procesos/{DONE}{part}", headers=ANOTHERS)
    assert answer.status_code == 404
    assert "Job no encontrado" in answer.text


def test_a_job_is_cancelled_by_its_form(client: TestClient) -> None:
    client.get(f"/procesos/{BEGUN}")
    path = f"/procesos/{BEGUN}/cancelar"
    assert f'action="{path}"' in client.get(f"/procesos/{BEGUN}").text
    answer = client.post(path, data={"sello": client.cookies[CSRF_COOKIE]})
    assert answer.headers["location"] == f"/procesos/{BEGUN}"
    page = client.get(f"/procesos/{BEGUN}").text
    assert "Cancelando…" in page or ">Cancelado<" in page
    assert f'action="{path}"' not in page, "once is enough"


def test_who_cancels_what_has_ended_is_told_so(client: TestClient) -> None:
    client.get(f"/procesos/{DONE}")
    answer = client.post(f"/procesos/{DONE}/cancelar", data={"sello": client.cookies[CSRF_COOKIE]})
    assert answer.status_code == 409
    assert "ya terminó" in answer.text


def test_events_of_a_job_that_has_ended_tell_it_once_and_end(client: TestClient) -> None:
    told = client.get(f"/procesos/{DONE}/eventos").text
    assert "Completado" in told
    assert told.endswith("event: fin\ndata: fin\n\n")
    (mark,) = [line.removeprefix("id: ") for line in told.splitlines() if line.startswith("id: ")]
    again = client.get(f"/procesos/{DONE}/eventos", headers={"Last-Event-ID": mark}).text
    assert "Completado" not in again
    assert "event: fin" in again


def test_only_what_goes_on_asks_again(client: TestClient) -> None:
    going, ended = client.get(f"/procesos/{BEGUN}").text, client.get(f"/procesos/{DONE}").text
    for sign in ("hx-sse:connect", "every 5s", 'http-equiv="refresh"'):
        assert sign in going
        assert sign not in ended


def test_every_answer_says_what_a_browser_may_do_on_it(client: TestClient) -> None:
    for path in ("/nuevo", "/procesos", f"/procesos/{DONE}", "/procesos/ipp-nada"):
        answer = client.get(path)
        assert answer.headers["content-security-policy"] == CONTENT_POLICY
        assert answer.headers["cache-control"] == "no-store"
        assert "<script>" not in answer.text
        assert "style=" not in answer.text


def test_what_goes_wrong_in_a_part_is_a_part(client: TestClient) -> None:
    answer = client.get("/procesos/ipp-nada/avance", headers={HTMX_REQUEST_HEADER: "true"})
    assert answer.status_code == 404
    assert "<html" not in answer.text


def test_the_files_of_the_page_are_small_and_kept(client: TestClient) -> None:
    answer = client.get("/pagina/htmx-4.0.1/htmx.min.js")
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert int(answer.headers["content-length"]) < 20_000
