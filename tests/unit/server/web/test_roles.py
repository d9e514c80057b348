"""Every route that changes something is of the caller's own jobs, or only for editors."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import BaseRoute, Mount

from ipp.jobs.job_service import Caller
from ipp.server.api.claims import GatewayAuthenticator, Role, caller_of_claims
from ipp.server.api.dependencies import require_editor
from tests.unit.server.api.callers import build_claims, caller_of
from tests.unit.server.web.conftest import build_site
from tests.unit.server.web.form_submission import app_of
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.unit.server.web.sign_in_flow import open_browser

READING = {"GET", "HEAD", "OPTIONS"}

OF_THE_CALLER = {
    "/ipp/validate-clients": "only reads",
    "/ipp/start": "starts a job of the caller's own",
    "/ipp/jobs/{job_id}/cancel": "the service looks whose job it is",
    "/nuevo": "only reads",
    "/nuevo/cuenta": "only reads",
    "/nuevo/archivo": "only reads",
    "/nuevo/validar": "only reads",
    "/nuevo/empezar": "starts a job of the caller's own",
    "/procesos/{job_id}/cancelar": "the service looks whose job it is",
    "/salir": "ends the caller's own session",
}
"""Changing operations that need no role, and why; every other one must ask `require_editor`."""


def every_route(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """Yield the routes of an application, those of its included routers too."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from every_route(included.routes)
        elif not isinstance(route, Mount):  # static files, which answer GET and HEAD alone
            assert isinstance(route, APIRoute), f"{route!r} may change something: say who may"
            yield route


def asked(dependant: Dependant) -> set[Any]:
    """Return every dependency that a route has, at any depth."""
    return {dependant.call}.union(*map(asked, dependant.dependencies))


def changing_routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in every_route(app.routes) if set(route.methods or ()) - READING]


@pytest.fixture
def app(issuer: PretendIssuer, tmp_path: Path) -> FastAPI:
    """The contract and all pages, with those to sign in and out."""
    return app_of(open_browser(issuer, tmp_path))


def test_each_route_that_changes_something_has_a_decision(app: FastAPI) -> None:
    changing = changing_routes(app)
    shared = {route.path for route in changing if require_editor in asked(route.dependant)}
    assert {route.path for route in changing} - shared == OF_THE_CALLER.keys()
    assert "/configuraciones/{mostrador}" in shared
    assert "/ajustes/importar/guardar" in shared


def test_a_reader_is_refused_each_change_of_what_is_shared_and_told_the_group(
    tmp_path: Path,
) -> None:
    app = build_site(tmp_path)
    before = sorted((tmp_path / "lakehouse").rglob("*.json"))
    shared = [
        (method, re.sub(r"\{\w+\}", "1", route.path))
        for route in every_route(app.routes)
        if require_editor in asked(route.dependant)
        for method in route.methods or ()
    ]
    assert len({method for method, _ in shared}) == 4
    with TestClient(app, headers={"x-user": "lector"}) as client:
        for method, path in shared:
            answer = client.request(method, path)
            assert answer.status_code == 403, (method, path)
            assert Role.EDITOR in answer.text
        problem = client.delete("/configuraciones/1").json()
        assert problem["type"] == "urn:ipp:problema:sin_permiso"
        assert "administra" in problem["detail"]
    assert sorted((tmp_path / "lakehouse").rglob("*.json")) == before


def test_a_reader_reads_and_starts_jobs(tmp_path: Path) -> None:
    with TestClient(build_site(tmp_path), headers={"accept-language": "es"}) as client:
        client.post("/configuraciones", json={"mostrador": 1}).raise_for_status()
        client.headers["x-user"] = "lector"
        for path in ("/configuraciones", "/configuraciones/1", "/ajustes", "/ajustes/1"):
            client.get(path).raise_for_status()
        assert client.get("/ajustes/3").status_code == 404
        assert client.post("/ipp/validate-clients", json={}).json()["validClients"] == ["1"]


def test_the_page_offers_a_reader_no_change_and_says_why(tmp_path: Path) -> None:
    with TestClient(build_site(tmp_path), headers={"accept-language": "es"}) as client:
        client.post("/configuraciones", json={"mostrador": 1}).raise_for_status()
        for path in ("/ajustes", "/ajustes/1"):
            own = client.get(path).text
            theirs = client.get(path, headers={"x-user": "lector"}).text
            assert "/borrar" in own
            assert Role.EDITOR not in own
            assert "/borrar" not in theirs
            assert "/ajustes/nueva" not in theirs
            assert Role.EDITOR in theirs
        fields = re.findall(r"<(?:input id|input type=.checkbox|select)[^>]*>", theirs)
        assert len(fields) == 11
        assert all(re.search(r" disabled[ >]", field) for field in fields)
        assert "<button" not in theirs.partition("<main")[2]


def test_a_request_s_log_line_names_the_caller_and_not_their_mail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with TestClient(build_site(tmp_path)) as client:
        client.get("/configuraciones", headers={"x-user": "beto"})
        client.get("/ajustes", headers={"x-user": "lector"})
        client.delete("/configuraciones/1", headers={"x-user": "lector"})
        client.get("/healthz")
    lines = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert [line["caller"] for line in lines] == ["beto", "lector", "lector", ""]
    assert "@example.com" not in repr(lines)


GROUPS = [
    ([], False, False),
    (["ipp-editor"], True, False),
    (["otros", "ipp-admin"], True, True),
    (["ipp-editor", "ipp-admin"], True, True),
    (["ipp-editores", "IPP-EDITOR"], False, False),
    ([["ipp-editor"]], False, False),
]


@pytest.mark.parametrize(("groups", "edits", "sees_all"), GROUPS)
def test_the_groups_of_a_token_decide(groups: list[Any], edits: bool, sees_all: bool) -> None:
    caller = caller_of_claims(build_claims(**{"cognito:groups": groups}))
    assert (caller.may_edit, caller.admin) == (edits, sees_all)


@pytest.mark.parametrize(("groups", "edits", "sees_all"), GROUPS[:5])
def test_the_groups_as_the_gateway_writes_them_decide_alike(
    groups: list[str], edits: bool, sees_all: bool
) -> None:
    assert_gateway(f"[{' '.join(groups)}]", edits, sees_all)
    assert_gateway(groups, edits, sees_all)


def assert_gateway(groups: Any, edits: bool, sees_all: bool) -> None:
    claims = build_claims(**{"cognito:groups": groups})
    caller = gateway_caller(claims)
    assert (caller.may_edit, caller.admin) == (edits, sees_all)


def gateway_caller(claims: dict[str, Any]) -> Caller:
    event = {"requestContext": {"authorizer": {"jwt": {"claims": claims}}}}
    request = Request({"type": "http", "headers": [], "aws.event": event})
    return caller_of(GatewayAuthenticator(), request)
