"""Procesos: the list of jobs, and the progress and failures of one."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Header, Request, Response
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
def list_jobs(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    estado: JobStatus | Literal[""] = "",
    cursor: str | None = None,
) -> Response:
    """List the caller's jobs, newest first; an empty ``estado`` lists every status."""
    after = None if cursor is None else read_job_cursor(cursor, caller.user.sub)
    # Ask for one more than a page holds: if it comes, there is a next page.
    listed = services.jobs.list_jobs(
        caller, status=estado or None, limit=PAGE_JOBS + 1, after=after
    )
    more = (
        write_job_cursor(listed[PAGE_JOBS - 1], caller.user.sub)
        if len(listed) > PAGE_JOBS
        else None
    )
    return _render_page(
        request,
        "procesos.html",
        caller,
        jobs=listed[:PAGE_JOBS],
        chosen=estado,
        statuses=list(JobStatus),
        more=more,
    )


@router.get("/procesos/{job_id}")
def show_job(request: Request, services: ServicesDep, caller: CallerDep, job_id: str) -> Response:
    """Show the progress of a job."""
    return _render_job(request, caller, services.jobs.job_status(caller, job_id))


@router.get("/procesos/{job_id}/avance")
def show_progress(
    request: Request, services: ServicesDep, caller: CallerDep, job_id: str
) -> Response:
    """Return the part of a job's page that changes."""
    return _render_page(
        request, "avance.html", caller, **_job_view(services.jobs.job_status(caller, job_id))
    )


@router.get("/procesos/{job_id}/eventos")
def stream_progress(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Stream the part that changes, each time it does, until the job ends (server-sent events)."""
    current = services.jobs.job_status(caller, job_id)
    events = _render_progress(request, services, caller, current, last_event_id or "")
    return event_stream.EventStream(
        events, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    )


@router.post("/procesos/{job_id}/cancelar")
def cancel_job(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    sello: Annotated[str, Form()] = "",
) -> Response:
    """Request the cancellation of a job."""
    check_csrf_token(request, sello)
    try:
        services.jobs.cancel_job(caller, job_id)
    except IppError as error:
        return _render_job(request, caller, services.jobs.job_status(caller, job_id), error)
    return RedirectResponse(prefixed_path(request, f"/procesos/{job_id}"), status_code=303)


async def _render_progress(
    request: Request, services: Services, caller: Caller, job: Job, seen: str
) -> AsyncIterator[str]:
    yield f"retry: {round(event_stream.POLL_SECONDS * 1_000)}\n\n"
    started = last_sent = time.monotonic()
    token = csrf_token(request)
    while True:
        content = render_template(
            request,
            "avance.html",
            partial=True,
            caller=caller,
            csrf_token=token,
            **_job_view(job),
        )
        # The token is masked anew for each stream, which is no change of the job.
        digest = hashlib.sha256(content.replace(token, "").encode()).hexdigest()[:16]
        if digest != seen:
            seen, last_sent = digest, time.monotonic()
            lines = "".join(f"data: {line}\n" for line in content.splitlines())
            yield f"id: {digest}\n{lines}\n"
        elif time.monotonic() - last_sent > event_stream.KEEPALIVE_SECONDS:
            last_sent = time.monotonic()
            yield ": sigue\n\n"
        if job.status.ended:
            yield "event: fin\ndata: fin\n\n"
            return
        if (
            time.monotonic() - started > event_stream.MAX_STREAM_SECONDS
            or await request.is_disconnected()
        ):
            return
        await asyncio.sleep(event_stream.POLL_SECONDS)
        job = await event_stream.read_again(services, caller, job)


def _job_view(job: Job) -> Mapping[str, Any]:
    """Return a job and its stages as the template expects them."""
    runs = [(stage, job.run_of(stage)) for stage in Stage]
    return {"job": job, "runs": runs, "total": len(job.mostradores)}


def _render_job(
    request: Request, caller: Caller, job: Job, problem: IppError | None = None
) -> Response:
    values = {"parameters": job.parameters.to_labels(), **_job_view(job)}
    return _render_page(request, "proceso.html", caller, problem=problem, **values)


def _render_page(request: Request, template: str, caller: Caller, **values: Any) -> Response:
    return render_framed_page(request, template, caller, here="procesos", **values)
