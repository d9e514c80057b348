"""Server-sent events with a job's status, instead of polling."""

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

from ipp.errors import UnavailableError
from ipp.jobs.job import Job
from ipp.jobs.job_service import Caller
from ipp.server.api import job_answer
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.query_parameter import StrictRoute

router = APIRouter(prefix="/ipp", route_class=StrictRoute)

POLL_SECONDS: Final = 1.0
"""Interval at which the stream reads the job."""

KEEPALIVE_SECONDS: Final = 15.0
"""Silence after which a comment is sent, so that no proxy closes the connection as idle."""

MAX_STREAM_SECONDS: Final = 300.0
"""Longest duration of a stream; the browser then reconnects by itself."""


class EventStream(StreamingResponse):
    """A response of server-sent events."""

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
    services: ServicesDep,
    caller: CallerDep,
    request: Request,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Stream each change of a job until it ends; ``Last-Event-ID`` skips the state already seen."""
    job = services.jobs.job_status(caller, job_id)
    changes = _stream_changes(services, caller, request, job, last_event_id or "")
    return EventStream(changes, headers={"X-Accel-Buffering": "no"})


async def _stream_changes(
    services: Services, caller: Caller, request: Request, job: Job, seen: str
) -> AsyncIterator[str]:
    yield f"retry: {round(POLL_SECONDS * 2_000)}\n\n"
    started_at = sent_at = time.monotonic()
    while True:
        content = job_answer.job_state(job)
        # A refresh that changes only updated_at is no event, so the id leaves that field out.
        state = {name: value for name, value in content.items() if name != "updated_at"}
        event_id = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]
        if event_id != seen:
            seen, sent_at = event_id, time.monotonic()
            data = json.dumps(content, ensure_ascii=False)
            yield f"id: {event_id}\nevent: status\ndata: {data}\n\n"
        elif time.monotonic() - sent_at > KEEPALIVE_SECONDS:
            sent_at = time.monotonic()
            yield ": sigue\n\n"
        if (
            job.status.ended
            or time.monotonic() - started_at > MAX_STREAM_SECONDS
            or await request.is_disconnected()
        ):
            return
        await asyncio.sleep(POLL_SECONDS)
        job = await read_again(services, caller, job)


async def read_again(services: Services, caller: Caller, job: Job) -> Job:
    """Read a job again; return ``job`` itself if the store does not answer."""
    try:
        return await run_in_threadpool(services.jobs.job_status, caller, job.job_id)
    except UnavailableError:
        return job
