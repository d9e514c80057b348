"""Procesos: the list of jobs, and the progress and failures of one."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from ipp.errors import IppError
from ipp.jobs.job import Job, JobStatus, Stage
from ipp.jobs.job_service import Caller
from ipp.server.api import event_stream
from ipp.server.api.cursor import read_job_cursor, write_job_cursor
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep, prefixed_path
from ipp.server.web.csrf import check_csrf_token, csrf_token
from ipp.server.web.page import PageRoute, render_framed_page, render_template

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE_JOBS: Final = 25
"""Jobs per page."""


@router.get("/procesos")
def jobs(
    request: Request,
    asked: ServicesDep,
    by: CallerDep,
    estado: JobStatus | Literal[""] = "",
    cursor: str | None = None,
) -> Response:
    """List the caller's jobs, newest first; an empty ``estado`` lists every status."""
    after = None if cursor is None else read_job_cursor(cursor, by.user.sub)
    # Ask for one more than a page holds: if it comes, there is a next page.
    listed = asked.jobs.list_jobs(by, status=estado or None, limit=PAGE_JOBS + 1, after=after)
    more = write_job_cursor(listed[PAGE_JOBS - 1], by.user.sub) if len(listed) > PAGE_JOBS else None
    return _render_page(
        request,
        "procesos.html",
        by,
        jobs=listed[:PAGE_JOBS],
        chosen=estado,
        statuses=list(JobStatus),
        more=more,
    )


@router.get("/procesos/{job_id}")
def job(request: Request, asked: ServicesDep, by: CallerDep, job_id: str) -> Response:
    """Show the progress of a job."""
    return _render_job(request, by, asked.jobs.job_status(by, job_id))


@router.get("/procesos/{job_id}/avance")
def progress(request: Request, asked: ServicesDep, by: CallerDep, job_id: str) -> Response:
    """Return the part of a job's page that changes."""
    return _render_page(request, "avance.html", by, **_job_view(asked.jobs.job_status(by, job_id)))


@router.get("/procesos/{job_id}/eventos")
def changes(
    request: Request,
    asked: ServicesDep,
    by: CallerDep,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Stream the part that changes, each time it does, until the job ends (server-sent events)."""
    current = asked.jobs.job_status(by, job_id)
    events = _render_progress(request, asked, by, current, last_event_id or "")
    return event_stream.EventStream(
        events, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    )


@router.post("/procesos/{job_id}/cancelar")
def cancel(
    request: Request,
    asked: ServicesDep,
    by: CallerDep,
    job_id: str,
    sello: Annotated[str, Form()] = "",
) -> Response:
    """Request the cancellation of a job."""
    check_csrf_token(request, sello)
    try:
        asked.jobs.cancel_job(by, job_id)
    except IppError as error:
        return _render_job(request, by, asked.jobs.job_status(by, job_id), error)
    return RedirectResponse(prefixed_path(request, f"/procesos/{job_id}"), status_code=303)


async def _render_progress(
    request: Request, asked: Services, by: Caller, found: Job, seen: str
) -> AsyncIterator[str]:
    yield f"retry: {round(event_stream.POLL_SECONDS * 1_000)}\n\n"
    started = last_sent = time.monotonic()
    while True:
        content = render_template(
            request,
            "avance.html",
            partial=True,
            by=by,
            seal=csrf_token(request),
            **_job_view(found),
        )
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        if digest != seen:
            seen, last_sent = digest, time.monotonic()
            lines = "".join(f"data: {line}\n" for line in content.splitlines())
            yield f"id: {digest}\n{lines}\n"
        elif time.monotonic() - last_sent > event_stream.KEEPALIVE_SECONDS:
            last_sent = time.monotonic()
            yield ": sigue\n\n"
        if found.status.ended:
            yield "event: fin\ndata: fin\n\n"
            return
        if (
            time.monotonic() - started > event_stream.MAX_STREAM_SECONDS
            or await request.is_disconnected()
        ):
            return
        await asyncio.sleep(event_stream.POLL_SECONDS)
        found = await run_in_threadpool(asked.jobs.job_status, by, found.job_id)


def _job_view(found: Job) -> Mapping[str, Any]:
    """Return a job and its stages as the template expects them."""
    runs = [(stage, found.run_of(stage)) for stage in Stage]
    return {"job": found, "runs": runs, "total": len(found.mostradores)}


def _render_job(
    request: Request, by: Caller, found: Job, problem: IppError | None = None
) -> Response:
    values = {"parameters": found.parameters.to_labels(), **_job_view(found)}
    return _render_page(request, "proceso.html", by, problem=problem, **values)


def _render_page(request: Request, template: str, by: Caller, **values: Any) -> Response:
    return render_framed_page(request, template, by, here="procesos", **values)
