"""Lambda imports: functions that only answer requests load no compute library of the stages."""

from __future__ import annotations

import pytest

from tests.cloud.http_answer import HANDLERS, answer_event, is_success
from tests.cloud.stack import Stack

HEAVY = {
    "polars",
    "deltalake",
    "pyarrow",
    "numpy",
    "pandas",
    "pyspark",
    "narwhals",
    "xlsxturbo",
    "fastexcel",
    "cryptography",
    "rich",
    "cyclopts",
    "uvicorn",
}


@pytest.mark.parametrize("handler", HANDLERS)
def test_answering_imports_nothing_that_computes(deployed: Stack, handler: str) -> None:
    found = answer_event(deployed, handler)
    assert is_success(handler, found.answer), found.answer
    assert HEAVY & {name.partition(".")[0] for name in found.modules} == set()


@pytest.mark.parametrize("handler", ["reconciler", "automatic"])
def test_a_schedule_needs_no_web_framework(deployed: Stack, handler: str) -> None:
    found = answer_event(deployed, handler)
    assert {"fastapi", "starlette", "pydantic", "mangum"} & found.modules == set()
