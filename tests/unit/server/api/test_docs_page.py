"""The page that describes the contract: whole on a machine without a network."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from typing_extensions import override

from ipp.jobs.job_service import Caller
from ipp.server.api.claims import Authenticator
from ipp.server.api.docs_page import DOCS_STATIC_FOLDER
from ipp.server.api.problem_response import UnauthenticatedError


def test_the_page_takes_every_part_from_its_own_server(reader: TestClient) -> None:
    page = reader.get("/docs")
    assert page.status_code == 200
    parts = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert len(parts) >= 4
    for part in parts:
        assert not part.startswith(("http:", "https:", "//")), part
        assert reader.get(f"/{part}").status_code == 200, part


def test_its_policy_lets_nothing_in_from_elsewhere_and_no_script_within_it(
    reader: TestClient,
) -> None:
    page = reader.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", page.text) is None


def test_what_is_vendored_has_its_licence_beside_it() -> None:
    folders = [folder for folder in DOCS_STATIC_FOLDER.iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").stat().st_size > 1_000


@pytest.mark.parametrize("path", ["/redoc", "/docs/static/nada.js", "/docs/static/../app.py"])
def test_there_is_nothing_else(path: str, reader: TestClient) -> None:
    answer = reader.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_who_is_nobody_is_shown_nothing(path: str, published_app: FastAPI) -> None:
    class Nobody(Authenticator):
        @override
        async def identify_caller(self, request: Request) -> Caller:
            raise UnauthenticatedError("Falta el token.")

    services = published_app.state.services
    published_app.state.services = replace(services, authenticator=Nobody())
    try:
        assert TestClient(published_app).get(path).status_code == 401
    finally:
        published_app.state.services = services
    assert TestClient(published_app).get(path).status_code == 200


def test_only_an_answer_by_https_asks_for_https(published_app: FastAPI) -> None:
    for scheme, policy in (("http", None), ("https", "max-age=31536000")):
        client = TestClient(published_app, base_url=f"{scheme}://ipp.example")
        for path in ("/docs", "/nada", "/healthz"):
            answer = client.get(path)
            assert answer.headers.get("strict-transport-security") == policy
