"""Import configuraciones from a file: preview the changes, store them once they are confirmed."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, File, Form, Request, Response, UploadFile

from ipp.core.contract import Kind
from ipp.core.tables import CONFIGURATIONS, MOSTRADOR
from ipp.errors import (
    MAX_NAMED,
    BusyError,
    InvalidInputError,
    IppError,
    RejectedRowsError,
    name_some,
    shorten,
)
from ipp.formats.intake.register_copy import copy_register
from ipp.formats.intake.rejection import read_rejections
from ipp.formats.intake.table_import import (
    ImportReport,
    PendingChanges,
    TableImporter,
    import_detail,
)
from ipp.jobs.change_author import change_author
from ipp.jobs.job_service import Caller
from ipp.server.api.configuration_register import ChangedError
from ipp.server.api.configuration_routes import UPDATED_COLUMN, Day
from ipp.server.api.dependencies import EditorDep, ServicesDep
from ipp.server.api.problem_response import http_status
from ipp.server.web.configuration_pages import PAGE_SECTION, PAGES_PATH, redirect_done
from ipp.server.web.csrf import check_csrf_token
from ipp.server.web.import_preview import (
    MAX_SHOWN_ROWS,
    VERSION_COLUMN,
    ImportPreview,
    build_preview,
    is_as_seen,
    pair_rows,
)
from ipp.server.web.page import PageRoute, render_framed_page
from ipp.server.web.upload import (
    MAX_NAME_CHARACTERS,
    MAX_UPLOAD_BYTES,
    ReaderDep,
    ScratchDep,
    read_upload,
)
from ipp.storage.change_record import Author, Door
from ipp.storage.files.scratch import Scratch
from ipp.storage.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """A file that was read: its ``name``, the report, and the names of its ``unused`` columns.

    ``refused`` are the first rejected cells; ``more`` counts those beyond them.
    """

    name: str
    report: ImportReport
    unused: str
    refused: Sequence[Mapping[str, Any]]
    more: int


_STORE_ATTEMPTS: Final = 3
"""Attempts at storing what was shown: another may change a configuration while it is checked."""

router: Final = APIRouter(
    prefix=PAGES_PATH,
    route_class=PageRoute,
    include_in_schema=False,
    form_limits={"max_part_size": MAX_UPLOAD_BYTES},
)


@router.get("/importar")
def ask_file(request: Request, caller: EditorDep) -> Response:
    """Ask for the file."""
    return _render_page(request, caller)


@router.post("/importar")
def preview_upload(
    request: Request,
    caller: EditorDep,
    services: ServicesDep,
    scratch: ScratchDep,
    reader: ReaderDep,
    day: Day,
    sello: Annotated[str, Form()] = "",
    archivo: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Show what the file would change and which rows are refused; store nothing."""
    check_csrf_token(request, sello)
    try:
        # A child that is killed leaves its temporary files in our folder, which we remove.
        with scratch.temporary_folder() as folder:
            importer = copy_register(services.warehouse, folder)
            outcome, preview = read_upload(
                reader, archivo, folder, preview_file, folder, importer, day, _author(caller)
            )
    except IppError as error:
        return _render_page(request, caller, status=http_status(error), problem=error)
    return _render_page(request, caller, outcome, preview)


@router.get("/importar/guardar")
def redirect_to_start(request: Request, caller: EditorDep) -> Response:
    """Redirect to the first step: this address answers a form, so a GET finds no result."""
    del caller
    return redirect_done(request, f"{PAGES_PATH}/importar")


@router.post("/importar/guardar")
def store_upload(
    request: Request,
    caller: EditorDep,
    services: ServicesDep,
    scratch: ScratchDep,
    day: Day,
    sello: Annotated[str, Form()] = "",
    renglones: Annotated[str, Form()] = "",
    nombre: Annotated[str, Form()] = "",
) -> Response:
    """Store what was shown; if any of it changed meanwhile, store nothing and show it again."""
    check_csrf_token(request, sello)
    try:
        rows, author = _read_form_rows(renglones), _author(caller, nombre)
        preview = _store_rows(rows, services.warehouse, scratch, day, author)
    except IppError as error:
        status = http_status(error)
        # A server error says nothing against the rows: keep them on the page to send again.
        return _render_page(
            request,
            caller,
            status=status,
            problem=error,
            file_name=nombre,
            unsaved=renglones if status >= 500 else "",
        )
    if preview is None:
        return redirect_done(request, PAGES_PATH, "importada")
    return _render_page(request, caller, None, preview, status=_CONFLICT_STATUS, file_name=nombre)


_CONFLICT_STATUS: Final = http_status(ChangedError(""))


def _render_page(
    request: Request,
    caller: Caller,
    outcome: ImportOutcome | None = None,
    preview: ImportPreview | None = None,
    **values: Any,
) -> Response:
    """Render the import page; a ``preview`` without ``outcome`` shows conflicting changes."""
    values = {
        "outcome": outcome,
        "preview": preview,
        "overtaken": preview and not outcome,
        "unsaved": "",
        "file_name": outcome.name if outcome else "",
        **values,
    }
    return render_framed_page(
        request, "ajustes_importar.html", caller, here=PAGE_SECTION, most=MAX_SHOWN_ROWS, **values
    )


def _author(caller: Caller, file: str = "") -> Author:
    """Return the author of an import; ``file`` is the name that the form repeats, as sent."""
    shown = "".join(letter for letter in file if letter.isprintable())
    return replace(change_author(caller, Door.PAGE), file=shown[-MAX_NAME_CHARACTERS:])


def preview_file(
    file: Path, folder: Path, importer: TableImporter, day: dt.date, author: Author
) -> tuple[ImportOutcome, ImportPreview]:
    """Return what a file would change, storing nothing.

    The file's own date of change is reported as unused: a stored row is dated today.
    """
    report, changes = _check_file(
        file, folder / "rechazos", importer, day, author, allow_rejections=True
    )
    unused = [
        *report.ignored_columns,
        *(CONFIGURATIONS.labels[name] for name in {UPDATED_COLUMN} & set(changes.file_columns)),
    ]
    refused, more = (
        read_rejections(report.rejections, MAX_SHOWN_ROWS)
        if report.rejections
        else (pl.DataFrame(), 0)
    )
    shown = [{name: shorten(value) for name, value in row.items()} for row in refused.to_dicts()]
    outcome = ImportOutcome(
        file.name,
        replace(report, ignored_columns=(), warnings=report.warnings[:MAX_NAMED]),
        name_some(unused),
        shown,
        more,
    )
    return outcome, build_preview(changes)


def _check_file(
    file: Path,
    rejections: Path,
    importer: TableImporter,
    day: dt.date,
    author: Author,
    *,
    allow_rejections: bool = False,
) -> tuple[ImportReport, PendingChanges]:
    """Return the report on a file, and what it would change, storing nothing."""
    captured: list[PendingChanges] = []

    def capture_changes(changes: PendingChanges) -> bool:
        captured.append(changes)
        return False

    report = importer.import_file(
        CONFIGURATIONS, file,
        rejections=rejections, today=day, author=author, allow_rejections=allow_rejections,
        agree=capture_changes,
    )  # fmt: skip
    (changes,) = captured
    return report, changes


def _store_rows(
    rows: pl.DataFrame, warehouse: Warehouse, scratch: Scratch, day: dt.date, author: Author
) -> ImportPreview | None:
    """Store ``rows`` if each is still as it was shown; otherwise return what they would change.

    Raises `BusyError` if others change the same configurations all the time.
    """
    seen = dict(rows.select(MOSTRADOR.label, VERSION_COLUMN).iter_rows())
    dated = rows.with_columns(pl.lit(day).alias(CONFIGURATIONS.labels[UPDATED_COLUMN]))
    for _ in range(_STORE_ATTEMPTS):
        report, changes = _check_rows(dated, warehouse, scratch, day, author)
        if not is_as_seen(changes, seen):
            return build_preview(changes, seen)
        unchanged = report.rows_accepted - changes.after.height
        detail = import_detail(author.file, report, unchanged)
        if changes.after.is_empty() or warehouse.merge_configurations(
            pair_rows(changes), author, detail
        ):
            return None
    raise BusyError(
        "Otros están cambiando las mismas configuraciones.", hint="Repita en un minuto."
    )


def _check_rows(
    rows: pl.DataFrame, warehouse: Warehouse, scratch: Scratch, day: dt.date, author: Author
) -> tuple[ImportReport, PendingChanges]:
    """Return the report on ``rows``, all of which can be stored, and what they change."""
    with scratch.temporary_folder() as folder:
        file = folder / "renglones.parquet"
        rows.write_parquet(file)
        try:
            return _check_file(file, folder, copy_register(warehouse, folder), day, author)
        except RejectedRowsError as error:
            raise InvalidInputError(
                f"Hay {error.report.rows_rejected:,} renglones que ya no se pueden guardar; "
                "no se guardó ninguno.",
                hint="Elija el archivo otra vez: ahí se ve cuáles son.",
            ) from None


def _read_form_rows(text: str) -> pl.DataFrame:
    """Read the rows of a form, with numeric columns as numbers.

    Raises `InvalidInputError` for text that `ipp.server.web.import_preview` did not write.
    """
    try:
        # Anybody may send any text here, and Python's own reader neither aborts nor panics.
        headings, *lines = csv.reader(io.StringIO(text), strict=True)
        values = dict(zip(headings, zip(*lines, strict=True), strict=True)) if lines else {}
        rows = pl.DataFrame(values, schema=dict.fromkeys(headings, pl.String))
        numbers = [column.label for column in CONFIGURATIONS.columns if column.kind is Kind.NUMBER]
        return rows.with_columns(
            pl.col(set(rows.columns) - {MOSTRADOR.label, VERSION_COLUMN}).replace("", None)
        ).with_columns(
            pl.col(MOSTRADOR.label, VERSION_COLUMN),
            pl.col([label for label in numbers if label in rows.columns]).cast(pl.Float64),
        )
    except (csv.Error, ValueError, pl.exceptions.PolarsError):
        raise InvalidInputError(
            "El formulario no llegó como debe.",
            hint="Elija el archivo otra vez; no se cambió nada.",
        ) from None
