"""A body that does not arrive whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from fastapi import FastAPI

Message = MutableMapping[str, Any]


@pytest.mark.parametrize("path", ["/ipp/start", "/ipp/validate-clients", "/configuraciones"])
@pytest.mark.parametrize("came", [b"", b'{"mostradores": [1'])
def test_who_goes_away_within_the_body_is_no_failure_of_ours(
    published_app: FastAPI, caplog: pytest.LogCaptureFixture, path: str, came: bytes
) -> None:
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "headers": [(b"content-length", b"999")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    arriving: Iterator[Message] = iter(
        [{"type": "http.request", "body": came, "more_body": True}, {"type": "http.disconnect"}]
    )
    told: list[Message] = []

    async def receive() -> Message:
        return next(arriving)

    async def send(message: Message) -> None:
        told.append(message)

    asyncio.run(published_app(scope, receive, send))
    assert told[0]["status"] == 400
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
