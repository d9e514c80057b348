"""Route that downloads a job's results as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from ipp.formats.exports import table_export
from ipp.formats.exports.export import MEDIA_TYPES, Export, ExportFormat, TooLongError
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.download_request import DOWNLOAD_PATH, requested_export
from ipp.server.api.problem_response import BodyError
from ipp.server.api.query_parameter import StrictRoute
from ipp.server.api.row_routes import check_published
from ipp.storage.files.scratch import Scratch
from ipp.storage.warehouse.warehouse import RowQuery, Warehouse

CONCURRENT_EXPORTS: Final = 4
"""Exports written at once: more would take more memory without finishing sooner."""

FILE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "El archivo.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in MEDIA_TYPES.values()
        },
    }
}


class TemporaryFileResponse(FileResponse):
    """A file written for one request, always sent whole: range requests are ignored."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole file. Raises `OSError` if the client has disconnected."""
        self.headers["Accept-Ranges"] = "none"
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        send_file = super().__call__
        errors: list[OSError] = []

        async def send_whole() -> None:
            try:
                await send_file({**scope, "headers": headers}, receive, send)
            except OSError as error:
                errors.append(error)

        # In its own task, because cancelling the request's would also cancel closing the file.
        async with anyio.create_task_group() as group:
            group.start_soon(send_whole)
        if errors:
            raise errors[0]


def download_router(scratch: Scratch) -> APIRouter:
    """Build the route; files live under ``scratch`` until they are sent."""
    router = APIRouter(route_class=StrictRoute)
    turns = anyio.CapacityLimiter(CONCURRENT_EXPORTS)

    async def room() -> AsyncIterator[Path]:
        """Yield a folder that is deleted once the response was sent or failed."""
        with scratch.temporary_folder() as folder:
            yield folder

    @router.get(DOWNLOAD_PATH, response_class=TemporaryFileResponse, responses=FILE_RESPONSES)
    async def download(
        services: ServicesDep,
        caller: CallerDep,
        request: Request,
        job_id: str,
        format: ExportFormat = ExportFormat.CSV,
        mostrador: str | None = None,
        locale: Literal["mx", "es"] = "mx",
        folder: Path = Depends(room),  # noqa: B008  # An annotation cannot name a local function.
    ) -> TemporaryFileResponse:
        """Download a job's results, of one counter or all, ordered by counter and material.

        With ``locale=es`` a CSV has semicolons and decimal commas. Text is never run as a formula.
        """
        export, name = await run_in_threadpool(
            requested_export, services, caller, job_id, format, mostrador, locale
        )

        async with turns:
            # A client that retries and disconnects must not use up the turns of others.
            if await request.is_disconnected():
                raise BodyError([("", "quien pidió el archivo ya no espera")])
            try:
                path = await run_in_threadpool(_write_file, services, export, folder)
            except TooLongError as error:
                raise BodyError([("format", str(error))]) from None
        return TemporaryFileResponse(path, media_type=format.media_type, filename=name)

    return router


def _write_file(services: Services, export: Export, folder: Path) -> Path:
    """Write an export into ``folder`` and return its path.

    Raises `CounterFailedError` and `TooLongError`.
    """
    mostrador = None if export.whole else export.mostradores[0]
    if mostrador is not None:
        check_published(services, export.job_id, mostrador)
    if export.format is ExportFormat.XLSX:
        count = _count_rows(services.warehouse, export.job_id, mostrador)
        table_export.check_sheet_rows(count)
    batches = services.warehouse.iterate_rows(export.job_id, mostrador)
    return table_export.write_export(export, batches, folder)


def _count_rows(warehouse: Warehouse, job_id: str, mostrador: int | None) -> int:
    """Return how many rows a job published, or only of one mostrador."""
    query = RowQuery(job_id, mostrador, "", "mostrador", False, 0, 1, columns=("mostrador",))
    return warehouse.query_rows(query).total
