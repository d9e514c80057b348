"""What a job published as a file, for spreadsheets and for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

import anyio
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from ipp.core.tables import RESULTS
from ipp.formats.exports import table_export
from ipp.formats.exports.export import MEDIA_TYPES, ExportFormat, TooLongError
from ipp.server.api.dependencies import CallerDep, ServicesDep
from ipp.server.api.download_request import DOWNLOAD_PATH, requested_export
from ipp.server.api.problem_response import BodyError
from ipp.server.api.row_routes import check_published
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

CONCURRENT_EXPORTS: Final = 4
"""Files that are made at a time: more of them take more memory and are not made sooner."""

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
    """A file that was made for one request: it is sent whole, no part of it can be asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, whatever range the request names. Raises OSError for a client that has gone away."""
        self.headers["Accept-Ranges"] = "none"
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        sending = super().__call__
        gone: list[OSError] = []

        async def send_whole() -> None:
            try:
                await sending({**scope, "headers": headers}, receive, send)
            except OSError as error:
                gone.append(error)

        # In a task of its own: whoever cancels this request's would otherwise cancel the closing of the file too.
        async with anyio.create_task_group() as group:
            group.start_soon(send_whole)
        if gone:
            raise gone[0]


def download_router(lakehouse: Lakehouse, scratch: Scratch) -> APIRouter:
    """The operation over ``lakehouse``; files are made under ``scratch`` and gone once they were sent."""
    router = APIRouter()
    turns = anyio.CapacityLimiter(CONCURRENT_EXPORTS)

    async def room() -> AsyncIterator[Path]:
        """A folder that is there until the answer was sent, or could not be."""
        with scratch.temporary_folder() as folder:
            yield folder

    @router.get(DOWNLOAD_PATH, response_class=TemporaryFileResponse, responses=FILE_RESPONSES)
    async def download(
        asked: ServicesDep,
        by: CallerDep,
        request: Request,
        job_id: str,
        format: ExportFormat = ExportFormat.CSV,
        mostrador: str | None = None,
        locale: Literal["mx", "es"] = "mx",
        folder: Path = Depends(room),  # noqa: B008  # an annotation could not name what is local
    ) -> TemporaryFileResponse:
        """What a job published, of one mostrador or of all, by mostrador and material.

        With ``locale=es`` a csv has semicolons and decimal commas; no text runs as a formula in any of them.
        """
        export, name = await run_in_threadpool(
            requested_export, asked, by, job_id, format, mostrador, locale
        )

        def make() -> Path:
            if not export.whole:
                check_published(asked, job_id, *export.mostradores)
            return table_export.write_export(
                export, lakehouse.scan_table(RESULTS, [job_id]), folder
            )

        async with turns:
            if (
                await request.is_disconnected()
            ):  # whoever asks ten times and waits for none takes one turn
                raise BodyError([("", "quien pidió el archivo ya no espera")])
            try:
                path = await run_in_threadpool(make)
            except TooLongError as error:
                raise BodyError([("format", str(error))]) from None
        return TemporaryFileResponse(path, media_type=format.media_type, filename=name)

    return router
