"""Server-sent events of a job: the same as polling its status, without it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from ipp.jobs.job import Job
from ipp.jobs.job_service import Caller
from ipp.server.api import job_response
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep

router = APIRouter(prefix="/ipp")

POLL_SECONDS: Final = 1.0
"""Seconds between two looks at a job."""

KEEPALIVE_SECONDS: Final = 15.0
"""Seconds after which a comment is sent, so that nobody between takes the connection for dead."""

MAX_STREAM_SECONDS: Final = 300.0
"""Seconds after which a stream is ended; a browser then opens the next by itself."""


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


_EVENT_SCHEMA: Final = {
    "type": "object",
    "description": "Cada evento; data es lo mismo que da /ipp/status/{job_id}.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"const": "status"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_STREAM_DESCRIPTION: Final = {
    "description": "Los cambios del proceso.",
    "content": {EventStream.media_type: {"schema": _EVENT_SCHEMA}},
}


@router.get(
    "/jobs/{job_id}/events", response_class=EventStream, responses={200: _STREAM_DESCRIPTION}
)
def events(
    asked: ServicesDep,
    by: CallerDep,
    request: Request,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Tell each change of a job as it happens, until it ends; ``Last-Event-ID`` leaves out what was seen."""
    job = asked.jobs.job_status(by, job_id)
    changes = _stream_changes(asked, by, request, job, last_event_id or "")
    return EventStream(changes, headers={"X-Accel-Buffering": "no"})


async def _stream_changes(
    asked: Services, by: Caller, request: Request, job: Job, seen: str
) -> AsyncIterator[str]:
    yield f"retry: {round(POLL_SECONDS * 2_000)}\n\n"
    started = told = time.monotonic()
    while True:
        content = job_response.status_document(job)
        # What a refresh alone changes is no news; the id is of what is told.
        news = {name: value for name, value in content.items() if name != "updated_at"}
        mark = hashlib.sha256(json.dumps(news, sort_keys=True).encode()).hexdigest()[:16]
        if mark != seen:
            seen, told = mark, time.monotonic()
            yield f"id: {mark}\nevent: status\ndata: {json.dumps(content, ensure_ascii=False)}\n\n"
        elif time.monotonic() - told > KEEPALIVE_SECONDS:
            told = time.monotonic()
            yield ": sigue\n\n"
        if (
            job.status.ended
            or time.monotonic() - started > MAX_STREAM_SECONDS
            or await request.is_disconnected()
        ):
            return
        await asyncio.sleep(POLL_SECONDS)
        job = await run_in_threadpool(asked.jobs.job_status, by, job.job_id)
