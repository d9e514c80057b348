"""Configuraciones from a file: what it would change is shown, and stored once somebody agrees to just that."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, File, Form, Request, Response, UploadFile

from ipp.core.contract import Kind
from ipp.core.tables import CONFIGURATIONS, MOSTRADOR
from ipp.errors import InvalidInputError, IppError, RejectedRowsError
from ipp.formats.intake.rejection import read_rejections
from ipp.formats.intake.table_import import Changes, ImportReport, import_file
from ipp.jobs.job_service import Caller
from ipp.server.api.configuration_register import ChangedError
from ipp.server.api.configuration_routes import STAMP, Day
from ipp.server.api.dependencies import By
from ipp.server.api.problem_response import status_of
from ipp.server.web.configuration_pages import HOME, SECTION, go
from ipp.server.web.csrf import check_seal
from ipp.server.web.import_preview import SHOWN, VERSION, Preview, is_as_seen, preview_of
from ipp.server.web.page import PageRoute, framed
from ipp.server.web.upload import LARGEST, save_upload
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse


@dataclass(frozen=True, slots=True)
class Brought:
    """A file: its ``name``, the report, the columns nobody used, the refused cells and how many more of them."""

    name: str
    report: ImportReport
    unused: Sequence[str]
    refused: Sequence[Mapping[str, Any]]
    more: int


def routes(scratch: Scratch, lakehouse: Lakehouse) -> APIRouter:
    """The pages that take a file, read under ``scratch``, and store what it brings in ``lakehouse``."""
    router = APIRouter(
        prefix=HOME, route_class=PageRoute, include_in_schema=False, form_limits={"max_part_size": LARGEST}
    )

    @router.get("/importar")
    def begin(request: Request, by: By) -> Response:
        """Ask for the file."""
        return _page(request, by)

    @router.post("/importar")
    def bring(
        request: Request,
        by: By,
        day: Day,
        sello: Annotated[str, Form()] = "",
        archivo: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        """Show what the file would change, and which of its rows are refused; nothing is stored."""
        check_seal(request, sello)
        try:
            with scratch.folder() as folder:
                brought, preview = _looked_at(save_upload(archivo, folder), folder, lakehouse, scratch, day)
        except IppError as error:
            return _page(request, by, status=status_of(error), problem=error)
        return _page(request, by, brought, preview)

    @router.get("/importar/guardar")
    def again(request: Request, by: By) -> Response:
        """The beginning, for who asks again for the address of a form's answer."""
        del by
        return go(request, f"{HOME}/importar")

    @router.post("/importar/guardar")
    def store(
        request: Request,
        by: By,
        day: Day,
        sello: Annotated[str, Form()] = "",
        renglones: Annotated[str, Form()] = "",
    ) -> Response:
        """Store what was shown; where somebody changed any of it meanwhile, nothing, and it is shown again."""
        check_seal(request, sello)
        try:
            preview = _stored(_read(renglones), lakehouse, scratch, day)
        except IppError as error:
            status = status_of(error)
            # What has nothing to do with the rows passes: they are kept on the page, to be sent again.
            return _page(request, by, status=status, problem=error, unsaved=renglones if status >= 500 else "")
        if preview is None:
            return go(request, HOME, "importada")
        return _page(request, by, None, preview, status=_OVERTAKEN)

    return router


_OVERTAKEN: Final = status_of(ChangedError(""))


def _page(
    request: Request, by: Caller, brought: Brought | None = None, preview: Preview | None = None, **values: Any
) -> Response:
    """The page of imports; a ``preview`` of nothing brought is of what somebody else was ahead of."""
    values = {"brought": brought, "preview": preview, "overtaken": preview and not brought, "unsaved": "", **values}
    return framed(request, "ajustes_importar.html", by, here=SECTION, most=SHOWN, **values)


def _looked_at(
    file: Path, folder: Path, lakehouse: Lakehouse, scratch: Scratch, day: dt.date
) -> tuple[Brought, Preview]:
    """What a file would do; the day that it says a configuration was changed on is not used, for that is today."""
    found: list[Changes] = []

    def look(changes: Changes) -> bool:
        found.append(changes)
        return False

    report = import_file(
        CONFIGURATIONS, file, lakehouse, scratch,
        rejections=folder / "rechazos", today=day, allow_rejections=True, agree=look,
    )  # fmt: skip
    (changes,) = found
    unused = [*report.ignored_columns, *(CONFIGURATIONS.labels[name] for name in {STAMP} & set(changes.brought))]
    refused, more = read_rejections(report.rejections, SHOWN) if report.rejections else (pl.DataFrame(), 0)
    return Brought(file.name, report, unused, refused.to_dicts(), more), preview_of(changes)


def _stored(rows: pl.DataFrame, lakehouse: Lakehouse, scratch: Scratch, day: dt.date) -> Preview | None:
    """Store ``rows`` where each is still as it was shown, else give what they would change now."""
    seen = dict(rows.select(MOSTRADOR.label, VERSION).iter_rows())
    overtaken: Preview | None = None

    def agree(changes: Changes) -> bool:
        nonlocal overtaken
        overtaken = None if is_as_seen(changes, seen) else preview_of(changes, seen)
        return overtaken is None

    with scratch.folder() as folder:
        file = folder / "renglones.parquet"
        rows.with_columns(pl.lit(day).alias(CONFIGURATIONS.labels[STAMP])).write_parquet(file)
        try:
            import_file(CONFIGURATIONS, file, lakehouse, scratch, rejections=folder, today=day, agree=agree)
        except RejectedRowsError as error:
            raise InvalidInputError(
                f"Hay {error.report.rows_rejected:,} renglones que ya no se pueden guardar; no se guardó ninguno.",
                hint="Elija el archivo otra vez: ahí se ve cuáles son.",
            ) from None
    return overtaken


def _read(text: str) -> pl.DataFrame:
    """The rows of a form, its numbers as such. Raises `InvalidInputError` for what `ipp.server.web.import_preview` did not write."""
    try:
        rows = pl.read_csv(io.StringIO(text), infer_schema=False)
        numbers = [column.label for column in CONFIGURATIONS.columns if column.kind is Kind.NUMBER]
        return rows.with_columns(
            pl.col(MOSTRADOR.label, VERSION).fill_null(""),
            pl.col([label for label in numbers if label in rows.columns]).cast(pl.Float64),
        )
    except pl.exceptions.PolarsError:
        raise InvalidInputError(
            "El formulario no llegó como debe.", hint="Elija el archivo otra vez; no se cambió nada."
        ) from None
