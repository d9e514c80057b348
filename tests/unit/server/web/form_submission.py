"""What a browser would send of a page, and what a person reads of it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response


class Form(HTMLParser):
    """The fields of a page's last form as a browser would send them, and those marked as wrong."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.wrong: list[str | None] = []
        self.files: list[str] = []
        self.action = self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            self.fields, self.files, self.action = {}, [], has["action"] or ""
        if "aria-invalid" in has:
            self.wrong.append(has["name"])
        if tag == "select":
            self._select = has["name"] or ""
        ticked = has.get("type") != "checkbox" or "checked" in has
        if tag == "input" and has.get("type") == "file":
            self.files.append(has["name"] or "")
        elif tag == "input" and ticked:
            self.fields[has["name"] or ""] = has.get("value") or ""
        if tag == "option" and ("selected" in has or self._select not in self.fields):
            self.fields[self._select] = has["value"] or ""


def app_of(client: TestClient) -> FastAPI:
    """The application that a client asks."""
    assert isinstance(client.app, FastAPI)
    return client.app


def form_of(client: TestClient, path: str) -> Form:
    return Form(client.get(path).text)


def send_form(client: TestClient, form: Form, **changes: str | None) -> Response:
    """Send a form with some fields changed; None takes a mark away."""
    fields = {name: value for name, value in (form.fields | changes).items() if value is not None}
    return client.post(form.action, data=fields, follow_redirects=False)


def stored_configurations(client: TestClient) -> Mapping[str, Mapping[str, Any]]:
    return {
        row["mostrador"]: row for row in client.get("/configuraciones").json()["configuraciones"]
    }


def visible_text(page: str) -> str:
    """Return what a person reads of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
