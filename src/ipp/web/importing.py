"""Configuraciones from a file: what it brought, and which of its rows were refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, Request, Response, UploadFile

from ipp.api.configurations import Day
from ipp.api.problems import status_of
from ipp.api.wiring import By
from ipp.core.tables import CONFIGURATIONS
from ipp.errors import IppError, RejectedRowsError
from ipp.files.scratch import Scratch
from ipp.intake.importing import ImportReport, import_file
from ipp.intake.rejection import read_rejections
from ipp.lakehouse.base import Lakehouse
from ipp.web.configurations import HOME, framed
from ipp.web.forms import check_seal
from ipp.web.pages import PageRoute
from ipp.web.uploads import save_upload

SHOWN: Final = 200
"""Refused cells that are shown."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a file did: its ``name``, the report, the refused cells and how many more of them there are."""

    name: str
    imported: bool
    report: ImportReport
    refused: Sequence[Mapping[str, Any]]
    more: int


def routes(scratch: Scratch, lakehouse: Lakehouse) -> APIRouter:
    """The page that takes a file, read under ``scratch``, into ``lakehouse``."""
    router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)

    @router.get("/importar")
    def begin(request: Request, by: By) -> Response:
        """Ask for the file."""
        return framed(request, "ajustes_importar.html", by, brought=None, good=False)

    @router.post("/importar")
    def bring(
        request: Request,
        by: By,
        day: Day,
        sello: Annotated[str, Form()] = "",
        archivo: Annotated[UploadFile | None, File()] = None,
        buenos: Annotated[bool, Form()] = False,
    ) -> Response:
        """Import the file, and say what that did; with ``buenos`` the good rows also where others are refused."""
        check_seal(request, sello)
        try:
            with scratch.folder() as folder:
                file, listings = save_upload(archivo, folder), folder / "rechazos"
                try:
                    report = import_file(
                        CONFIGURATIONS, file, lakehouse, scratch,
                        rejections=listings, today=day, allow_rejections=buenos,
                    )  # fmt: skip
                    brought = _brought(file, report, imported=True)
                except RejectedRowsError as error:
                    brought = _brought(file, error.report, imported=False)
        except IppError as error:
            values: dict[str, Any] = {"status": status_of(error), "problem": error}
            return framed(request, "ajustes_importar.html", by, brought=None, good=buenos, **values)
        status = 200 if brought.imported else 422
        return framed(request, "ajustes_importar.html", by, status=status, brought=brought, good=buenos)

    return router


def _brought(file: Path, report: ImportReport, *, imported: bool) -> Brought:
    if report.rejections is None:
        return Brought(file.name, imported, report, (), 0)
    refused, more = read_rejections(report.rejections, SHOWN)
    return Brought(file.name, imported, report, refused.to_dicts(), more)
