"""Nuevo proceso: choose mostradores, checked while typing; then parameters, then start."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import RedirectResponse

from ipp.core.parameters import PARAMETER_FIELDS, Parameters
from ipp.errors import InvalidInputError, IppError, shorten
from ipp.formats.intake.id_list import read_id_list
from ipp.jobs.counter_ids import MAX_COUNTERS, parse_counter_ids
from ipp.jobs.job_plan import Validation
from ipp.jobs.job_service import Caller, IdempotencyConflictError
from ipp.server.api.dependencies import CallerDep, ServicesDep, prefixed_path
from ipp.server.api.problem_response import BodyError, http_status
from ipp.server.web.csrf import CSRF_FIELD, FormDep, check_csrf_token
from ipp.server.web.formatting import exact
from ipp.server.web.number_field import format_number_field, parse_number_field, refusal_reason
from ipp.server.web.page import PageRoute, render_framed_page, render_page
from ipp.server.web.upload import ReaderDep, ScratchDep, read_upload
from ipp.storage.files.scratch import Scratch

_ID_SEPARATORS: Final = re.compile(r"[,;\s]+")

MAX_LIST_CHARACTERS: Final = 1 << 19
"""Longest list that is shown, which its form sends back: 40,000 ids."""

_PARAMETER_LABELS: Final = tuple(declared.label for declared in PARAMETER_FIELDS.values())


def split_ids(text: str) -> list[str]:
    """Split a text into ids, as typed, at commas, semicolons, spaces and line breaks."""
    return [word for word in _ID_SEPARATORS.split(text) if word]


router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/nuevo")
def show_form(
    request: Request, services: ServicesDep, caller: CallerDep, proceso: str = ""
) -> Response:
    """Show an empty list, or that of an earlier job."""
    lista = (
        ", ".join(map(str, services.jobs.job_status(caller, proceso).mostradores))
        if proceso
        else ""
    )
    return _render_form(request, lista=lista, caller=caller)


@router.post("/nuevo")
def show_list_again(
    request: Request, caller: CallerDep, lista: Annotated[str, Form()] = ""
) -> Response:
    """Show a list again; posted, because an address has no room for a long one."""
    return _render_form(request, lista=lista, caller=caller)


@router.get("/nuevo/{step}")
def redirect_to_start(request: Request, caller: CallerDep, step: str) -> Response:
    """Redirect to the first step: these addresses answer forms, so a GET finds no result."""
    del caller, step
    return RedirectResponse(prefixed_path(request, "/nuevo"), status_code=303)


@router.post("/nuevo/cuenta")
def show_count(request: Request, caller: CallerDep, lista: Annotated[str, Form()] = "") -> Response:
    """Count the mostradores in a text, and show the words that are not ids."""
    del caller
    return render_page(request, "cuenta.html", **_count_ids(lista))


@router.post("/nuevo/archivo")
def read_uploaded_list(
    request: Request,
    caller: CallerDep,
    scratch: ScratchDep,
    reader: ReaderDep,
    archivo: Annotated[UploadFile | None, File()] = None,
    sello: Annotated[str, Form()] = "",
) -> Response:
    """Show the ids of a file in the text field."""
    check_csrf_token(request, sello)
    lista, problem = "", None
    try:
        with scratch.temporary_folder() as folder:
            lista = read_upload(reader, archivo, folder, read_id_text, folder)
    except IppError as error:
        problem = error
    return _render_form(request, lista=lista, problem=problem, caller=caller)


@router.post("/nuevo/validar")
def validate_list(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    sello: Annotated[str, Form()] = "",
    lista: Annotated[str, Form()] = "",
    todos: Annotated[bool, Form()] = False,
) -> Response:
    """Show which mostradores are configured, and the parameters of a job of those."""
    check_csrf_token(request, sello)
    try:
        validation = services.jobs.validate_counters(
            None if todos else parse_counter_ids(split_ids(lista))
        )
    except InvalidInputError as error:
        return _render_form(request, lista=lista, problem=error, caller=caller)
    return _render_validation(
        request, caller, validation, lista=lista, given={}, key=_new_idempotency_key()
    )


@router.post("/nuevo/empezar")
def start_job(
    request: Request, services: ServicesDep, caller: CallerDep, form: FormDep
) -> Response:
    """Start the job; the same form sent twice starts one (idempotency key)."""
    check_csrf_token(request, form.get(CSRF_FIELD))
    fields = {name: str(form.get(name, "")).strip() for name in _PARAMETER_LABELS}
    valid = parse_counter_ids(split_ids(str(form.get("mostradores", ""))))
    key = str(form.get("clave", "")) or _new_idempotency_key()
    try:
        job = services.jobs.start_job(caller, valid, _read_parameters(fields), key=key)
    except IppError as error:
        # A conflict means that the form was edited after it had started a job: only then is
        # it another request, which needs a key of its own.
        key = _new_idempotency_key() if isinstance(error, IdempotencyConflictError) else key
        lista = str(form.get("lista", ""))
        validation = services.jobs.validate_counters(
            parse_counter_ids(split_ids(lista)) if lista else valid
        )
        return _render_validation(
            request, caller, validation, lista=lista, given=fields, key=key, problem=error
        )
    return RedirectResponse(prefixed_path(request, f"/procesos/{job.job_id}"), status_code=303)


def _render_form(
    request: Request, *, lista: str, caller: Caller, problem: IppError | None = None
) -> Response:
    return render_framed_page(
        request,
        "nuevo.html",
        caller,
        here="nuevo",
        problem=problem,
        lista=lista,
        **_count_ids(lista),
    )


def _render_validation(
    request: Request,
    caller: Caller,
    validation: Validation,
    *,
    lista: str,
    given: Mapping[str, str],
    key: str,
    problem: IppError | None = None,
) -> Response:
    """Render the configured mostradores and the parameters, with errors beside the fields."""
    valid = ", ".join(map(str, validation.valid))
    wrong = dict(problem.reasons) if isinstance(problem, BodyError) else {}
    return render_framed_page(
        request,
        "validado.html",
        caller,
        here="nuevo",
        status=http_status(problem) if problem else 200,
        problem=None if wrong else problem,
        validation=validation,
        lista=lista or valid,
        valid=valid,
        fields=_parameter_fields(given),
        wrong=wrong,
        key=key,
    )


def _count_ids(lista: str) -> Mapping[str, Any]:
    """Count the different ids of a text, the repeated ones, and the words that are not ids."""
    invalid: list[str] = []
    words = split_ids(lista)
    seen: set[int] = set()
    for word in words:
        try:
            (number,) = parse_counter_ids([word])
        except InvalidInputError:
            invalid.append(word)
        else:
            seen.add(number)
    count = len(seen)
    return {
        "count": count,
        "twice": len(words) - len(invalid) - count,
        "wrong": list(map(shorten, invalid[:10])),
        "wrong_count": len(invalid),
    }


def read_id_text(file: Path, folder: Path) -> str:
    """Return the ids of a file, one per line, with temporary files in ``folder``.

    Raises `InvalidInputError` for a file without any, or with more than a form takes.
    """
    ids = read_id_list(file, Scratch(folder))
    lista = "\n".join(map(str, ids))
    if len(lista) > MAX_LIST_CHARACTERS:
        raise InvalidInputError(
            f"{file.name} lista {len(ids):,} celdas, que aquí no caben.",
            hint=f"Deje en él cada mostrador una vez; un proceso lleva {MAX_COUNTERS:,} a lo más.",
        )
    return lista


def _parameter_fields(given: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return each parameter's name, unit, bounds, default and field value."""
    described: list[Mapping[str, Any]] = []
    for declared in PARAMETER_FIELDS.values():
        default = format_number_field(declared.default)
        described.append(
            {
                "name": declared.label,
                "unit": declared.unit,
                "bounds": (exact(declared.minimum), exact(declared.maximum)),
                "value": given.get(declared.label, default),
                "default": default,
            }
        )
    return described


def _read_parameters(given: Mapping[str, str]) -> Parameters:
    """Parse the parameters of a form.

    Raises `BodyError` with the reason for each field that is not a number or is out of bounds.
    """
    values: dict[str, float | None] = {}
    reasons: list[tuple[str, str]] = []
    for label, text in given.items():
        if reason := refusal_reason(text):
            reasons.append((label, f"{reason[0].upper()}{reason[1:]}."))
            continue
        try:
            values[label] = parse_number_field(text)
            Parameters.from_labels({label: values[label]})
        except InvalidInputError as error:
            reasons.append((label, error.hint))
    if reasons:
        raise BodyError(reasons)
    return Parameters.from_labels(values)


def _new_idempotency_key() -> str:
    return secrets.token_urlsafe(18)
