"""What a job published as a file, for spreadsheets and for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import anyio
import polars as pl
from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from ipp.api.problems import BodyError
from ipp.api.rows import TIES, Published, published
from ipp.api.wiring import Asked, By
from ipp.core.tables import RESULTS
from ipp.spreadsheet import SHEET_ROWS, write_csv, write_xlsx

router = APIRouter(prefix="/ipp")

TOGETHER: Final = 20
"""Mostradores that are in memory at a time while a file is written."""


class Format(StrEnum):
    """Which kind of file."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """What browsers and programs call it."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES: Final = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PARQUET: "application/vnd.apache.parquet",
}


_FILE: Final = {"schema": {"type": "string", "format": "binary"}}


class WholeFile(FileResponse):
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


async def scratch(asked: Asked) -> AsyncIterator[Path]:
    """A folder that is there until the answer was sent, or could not be."""
    with asked.workspace.scratch.folder() as folder:
        yield folder


@router.get(
    "/results/{job_id}/download",
    response_class=WholeFile,
    responses={200: {"description": "El archivo.", "content": {kind: _FILE for kind in _MEDIA_TYPES.values()}}},
)
def download(
    asked: Asked,
    by: By,
    folder: Annotated[Path, Depends(scratch)],
    job_id: str,
    format: Format = Format.CSV,
    mostrador: str | None = None,
    locale: Literal["mx", "es"] = "mx",
) -> WholeFile:
    """What a job published, of one mostrador or of all, by mostrador and material.

    With ``locale=es`` a csv has semicolons and decimal commas; no text runs as a formula in any of them.
    """
    found = published(asked, by, job_id, mostrador)
    name = f"{job_id}.{format}" if found.mostrador is None else f"{job_id}-{found.mostrador}.{format}"
    path = folder / f"resultados.{format}"
    match format:
        case Format.CSV:
            write_csv(path, _parts(found), RESULTS.labels, decimal_comma=locale == "es")
        case Format.XLSX:
            _check_fits(found)
            created = found.job.updated_at
            write_xlsx(path, _parts(found), RESULTS.labels, folder, formats=RESULTS.formats, created=created)
        case Format.PARQUET:
            found.rows.sort(TIES).rename(dict(RESULTS.labels)).sink_parquet(path)
    return WholeFile(path, media_type=format.media_type, filename=name)


def _parts(found: Published) -> Iterator[pl.DataFrame]:
    """The rows in order, some mostradores at a time: a job may have more than memory holds."""
    mostradores = sorted(found.job.mostradores) if found.mostrador is None else [found.mostrador]
    for first in range(0, len(mostradores), TOGETHER):
        some = mostradores[first : first + TOGETHER]
        yield found.rows.filter(pl.col("mostrador").is_in(some)).sort(TIES).collect()


def _check_fits(found: Published) -> None:
    count = int(found.rows.select(pl.len()).collect().item())
    if count > SHEET_ROWS:
        reason = f"son {count:,} renglones y una hoja de Excel tiene lugar para {SHEET_ROWS:,}"
        raise BodyError([("format", f"{reason}: pida un mostrador a la vez, o csv")])
