"""What a client shows of a problem: one whole sentence, whatever went wrong."""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

import ipp
from ipp.errors import IppError, UnavailableError, join_sentences
from ipp.jobs.job import JobFailure, JobStatus
from ipp.server.api import job_answer, problem_response
from ipp.server.api.job_answer import JobState
from tests.unit.jobs.job_builder import build_job

for module in pkgutil.walk_packages(ipp.__path__, "ipp."):
    if "spark" not in module.name and module.name not in {
        "ipp.entrypoints.databricks_tasks",
        "ipp.pipeline.precomputed_export",
        "ipp.cli.__main__",
    }:
        importlib.import_module(module.name)  # Spark is not where problems are written


def _kinds(root: type[IppError]) -> Iterator[type[IppError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


OWN: Mapping[str, Callable[[type[Any], str, str], IppError]] = {
    "BodyError": lambda kind, message, hint: kind([("campo", message), ("", hint)]),
    "CounterFailedError": lambda kind, message, _: kind(7_051_602, "factor", message),
    "NotCompletedError": lambda kind, *_: kind(build_job()),
    "TooManyJobsError": lambda kind, *_: kind(5, retry_after=5),
    "IncompleteError": lambda kind, message, hint: kind([message, hint]),
    "RejectedRowsError": lambda kind, message, hint: kind(message, hint=hint, report=None),
    "DatabricksRefusedError": lambda kind, message, hint: kind(400, hint, message),
    "IdempotencyConflictError": lambda kind, *_: kind(build_job()),
    "UnreadableJobError": lambda kind, message, _: kind(message, None),
    "MissingTableError": lambda kind, *_: kind(),
    "LoopFailedError": lambda kind, *_: kind(),
    "PoolStartError": lambda kind, *_: kind(),
}
"""The errors that are not made of a message and a hint."""

PLAIN = {IppError.__init__, UnavailableError.__init__}
KINDS = sorted(
    {kind for kind in _kinds(IppError) if kind.__module__.startswith("ipp.")},
    key=lambda kind: kind.__name__,
)


def make(kind: type[IppError], message: str, hint: str) -> IppError:
    if kind.__init__ in PLAIN:
        return kind(message, hint=hint)
    return OWN[kind.__name__](kind, message, hint)


def answer(error: IppError) -> dict[str, Any]:
    request = Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/ipp/x",
            "query_string": b"",
            "headers": [],
            "server": ("a", 80),
        }
    )
    content: dict[str, Any] = json.loads(
        bytes(asyncio.run(problem_response.handle_known_error(request, error)).body)
    )
    return content


def is_whole(content: Mapping[str, Any]) -> bool:
    """Whether the message says what the error does, first, and is the detail to the letter."""
    said = content["error"].strip().rstrip("….")
    return bool(
        content["message"] == content["detail"]
        and content["message"].endswith(".")
        and isinstance(content["error"], str)
        and content["message"].startswith(said)
    )


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: bool(text.strip().strip(".… "))
)


@pytest.mark.parametrize("kind", KINDS)
@given(message=TEXTS, hint=st.one_of(st.just(""), TEXTS))
def test_every_error_is_told_in_whole_sentences(
    kind: type[IppError], message: str, hint: str
) -> None:
    error = make(kind, message, hint)
    content = answer(error)
    assert is_whole(content)
    assert error.hint.strip().rstrip("….") in content["message"]
    assert content["message"] == str(error)


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("Job no encontrado", "Revise el job_id x."), "Job no encontrado. Revise el job_id x."),
        (("No hay precio.", ""), "No hay precio."),
        (("", "Repita"), "Repita."),
        (("Están: 1, 2 …", "Elija una"), "Están: 1, 2 ... Elija una."),
        (("", ""), ""),
    ],
)
def test_sentences_are_joined_by_one_full_stop(texts: tuple[str, str], whole: str) -> None:
    assert join_sentences(*texts) == whole


def test_the_examples_of_the_description_are_whole_sentences(reader: TestClient) -> None:
    responses = reader.get("/openapi.json").json()["paths"]["/ipp/jobs"]["get"]["responses"]
    for code in ("4XX", "5XX"):
        for example in responses[code]["content"]["application/problem+json"]["examples"].values():
            assert is_whole(example["value"])


def test_a_job_that_failed_says_what_where_and_what_to_do_in_its_message_and_in_parts() -> None:
    failure = JobFailure(
        "No hay materiales", "Etapa factor, ejecución 7", "Importe antes el catálogo."
    )
    told = job_answer.job_state(replace(build_job(), status=JobStatus.FAILED, failure=failure))
    TypeAdapter(JobState).validate_python(told)
    assert told["message"] == (
        "El proceso falló. Etapa factor, ejecución 7: No hay materiales. Importe antes el catálogo."
    )
    assert told["failure"] == {
        "que": "No hay materiales", "donde": "Etapa factor, ejecución 7",
        "que_hacer": "Importe antes el catálogo.",
    }  # fmt: skip
    assert "error" not in told


def test_a_job_that_goes_on_tells_of_no_failure() -> None:
    assert not {"error", "failure"} & job_answer.job_state(build_job()).keys()
