"""However much a request brings, its refusal comes soon and is small."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.errors import MAX_ECHO_CHARS, MAX_NAMED
from ipp.server.api.request_body import MAX_BODY_BYTES
from tests.unit.server.api.conftest import DONE

WITH_BODY = [
    ("POST", "/ipp/validate-clients"), ("POST", "/ipp/start"), ("POST", "/configuraciones"),
    ("PUT", "/configuraciones/1"),
]  # fmt: skip
"""Every operation that reads a body."""

QUADRATIC_SECONDS = 20.0
"""Process time. Comparing each of a hundred thousand keys with all others takes half an hour."""

MAX_ANSWER_CHARS = 32_000


def _fields(names: list[str]) -> str:
    return "{" + ",".join(f'"{name}":1' for name in names) + "}"


_NAMES = [f"{n:x}" for n in range(100_000)]
_IDS = [f"x{n}" for n in range(9_999)]
_ID_FIELDS = [f"mostradores.{n}" for n in range(9_999)]
HOSTILE = {
    "unknown fields": _fields(_NAMES),
    "unknown parameters": f'{{"parametros":{_fields(_NAMES)}}}',
    "every field twice": _fields([*_NAMES[:50_000], *_NAMES[:50_000]]),
    "small objects": '{"mostradores":[' + ",".join(['{"a":1}'] * 100_000) + "]}",
    "many bad ids": '{"mostradores":[' + ",".join(['"x"'] * 9_999) + "]}",
    "an id of a million digits": f'{{"mostradores":["{"9" * 1_000_000}"]}}',
    "a number of a million digits": f'{{"mostradores":[{"9" * 1_000_000}]}}',
    "numbers of four thousand digits": '{"mostradores":[' + ",".join(["9" * 4_000] * 250) + "]}",
    "an id of spaces": f'{{"clients":["{" " * 1_000_000}"]}}',
    "an id of zeros": f'{{"clients":["{"0" * 1_000_000}x"]}}',
    "deep lists": '{"mostradores":' + "[" * 1_000_000,
    "deep objects": '{"a":' * 200_000,
    "half a character twice": '{"\\ud800":1,"\\ud800":2}',
    "a parameter of a million digits": (
        f'{{"mostradores":[1],"parametros":{{"joroba":{"9" * 1_000_000}}}}}'
    ),
}


def is_small(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:500]
    assert len(answer.text) <= MAX_ANSWER_CHARS
    content: dict[str, Any] = answer.json()
    assert len(content.get("errors", ())) <= MAX_NAMED
    return content


def longest_run(content: object, sign: str) -> int:
    """The most times in a row that ``sign`` stands in any text of an answer."""
    if isinstance(content, dict):
        return max((longest_run(value, sign) for value in content.values()), default=0)
    if isinstance(content, list):
        return max((longest_run(value, sign) for value in content), default=0)
    runs, text = 0, str(content)
    while sign * (runs + 1) in text:
        runs += 1
    return runs


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_body_is_refused_soon_and_shortly_whatever_it_holds(
    method: str, path: str, body: str, reader: TestClient
) -> None:
    assert len(body) <= MAX_BODY_BYTES
    began = time.process_time()
    answer = reader.request(method, path, content=body)
    assert time.process_time() - began < QUADRATIC_SECONDS
    assert answer.status_code == 400
    is_small(answer)


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/ipp/start", dict.fromkeys(_NAMES, 1), _NAMES),
        ("/ipp/start", dict.fromkeys(_NAMES[:21], 1), _NAMES[:21]),
        ("/ipp/start", {"mostradores": _IDS}, _ID_FIELDS),
        ("/ipp/validate-clients", {"mostradores": _IDS}, _ID_FIELDS),
    ],
    ids=["fields", "few fields", "ids", "ids to validate"],
)
def test_the_first_of_many_faults_are_named_and_the_rest_counted(
    path: str, body: dict[str, Any], fields: list[str], reader: TestClient
) -> None:
    content = is_small(reader.post(path, json=body))
    assert [each["field"] for each in content["errors"]] == fields[:MAX_NAMED]
    assert f"y {len(fields) - MAX_NAMED:,} más" in content["detail"]


def test_the_first_of_many_without_configuration_are_named_and_the_rest_counted(
    writer: TestClient,
) -> None:
    answer = writer.post("/ipp/start", json={"mostradores": list(range(1_000, 11_000))})
    assert answer.status_code == 422
    assert "1018, 1019 y 9,980 más" in is_small(answer)["detail"]


OPERATIONS = [
    ("POST", "/ipp/validate-clients"), ("POST", "/ipp/start"), ("GET", "/ipp/status/{job_id}"),
    ("GET", "/ipp/results/{job_id}"), ("GET", "/ipp/jobs"), ("POST", "/ipp/jobs/{job_id}/cancel"),
    ("GET", "/ipp/jobs/{job_id}/events"), ("GET", "/ipp/results/{job_id}/rows"),
    ("GET", "/ipp/results/{job_id}/curve"), ("GET", "/ipp/results/{job_id}/download"),
    ("GET", "/configuraciones"), ("POST", "/configuraciones"),
    ("GET", "/configuraciones/{mostrador}"),
    ("PUT", "/configuraciones/{mostrador}"),
    ("DELETE", "/configuraciones/{mostrador}"), ("GET", "/cambios"), ("GET", "/{job_id}"),
    ("DELETE", "/ipp/{job_id}"),
]  # fmt: skip
"""Every operation, and addresses and methods that there are not."""

PARAMETERS = (
    "cursor", "limit", "status", "mostrador", "sort", "order", "q", "format", "locale",
    "mostradores", "desconocido", "objeto", "clave", "desde",
)  # fmt: skip
HEADERS = (
    "Idempotency-Key", "If-Match", "Last-Event-ID", "X-Request-Id", "Authorization",
    "Content-Type", "Cookie",
)  # fmt: skip
FIELDS = (
    "mostradores", "clients", "mode", "parametros", "joroba", "mostrador", "tipo_inventario",
    "monto_deseado", "incluye_otc",
)  # fmt: skip


def test_every_operation_is_asked(reader: TestClient) -> None:
    described = reader.get("/openapi.json").json()["paths"]
    asked = {(method, path) for method, path in OPERATIONS}
    told = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert told - {("GET", "/healthz")} <= asked


@dataclass(frozen=True)
class Hostile:
    """A request of an operation, and the sign that its long names and values are made of."""

    operation: tuple[str, str]
    sign: str
    length: int
    body_length: int
    there: bool
    parameters: frozenset[str]
    unknown: bool
    headers: frozenset[str]
    field: str | None
    shape: Literal["text", "list", "object", "lists"]

    def sent_by(self, client: TestClient) -> httpx2.Response:
        method, path = self.operation
        much = self.sign * (self.length // len(self.sign))
        place = path.format(
            job_id=DONE if self.there else quote(much, safe=""), mostrador=quote(much, safe="")
        )
        asked = dict.fromkeys(sorted(self.parameters), much) | ({much: "1"} if self.unknown else {})
        carried = {name: much for name in self.headers if much.isascii() and much.isprintable()}
        content = self.body() if method in {"POST", "PUT"} else None
        return client.request(method, place, params=asked, headers=carried, content=content)

    def body(self) -> str:
        more = self.sign * (self.body_length // len(self.sign))
        value = {"text": more, "list": [more], "object": {more: more}, "lists": [[more]] * 9}[
            self.shape
        ]
        return json.dumps({more if self.field is None else self.field: value})


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Hostile,
        operation=st.sampled_from(OPERATIONS),
        sign=st.sampled_from(["9", "x", "ñ", "𝒳", " ", "\x01", "'", '"', "\\", "<", ".", "ipp-"]),
        length=st.integers(MAX_ECHO_CHARS + 1, 1_500),
        body_length=st.sampled_from([300, 30_000]),
        parameters=st.frozensets(st.sampled_from(PARAMETERS), max_size=2),
        headers=st.frozensets(st.sampled_from(HEADERS), max_size=2),
        field=st.sampled_from([*FIELDS, None]),
    )
)
def test_no_refusal_of_any_operation_repeats_much_of_what_came(
    reader: TestClient, hostile: Hostile
) -> None:
    answer = hostile.sent_by(reader)
    if answer.status_code >= 400:
        told = is_small(answer)
        assert (
            longest_run({**told, "instance": ""}, hostile.sign) * len(hostile.sign)
            <= MAX_ECHO_CHARS
        )
        assert len(told["instance"]) <= MAX_ECHO_CHARS
