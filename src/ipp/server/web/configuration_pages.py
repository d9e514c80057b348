"""Pages to find, create, change and delete configuraciones, with optimistic locking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from ipp.core.contract import Kind
from ipp.errors import IppError, NotFoundError
from ipp.jobs.change_author import change_author
from ipp.jobs.job_service import Caller
from ipp.server.api import configuration_register, configuration_routes
from ipp.server.api.configuration_register import ChangedError, ConfiguredError, UnknownCounterError
from ipp.server.api.configuration_routes import (
    EDITABLE_COLUMNS,
    Configuration,
    Day,
    NewConfiguration,
    configuration_row,
    etag_checker,
    to_document,
)
from ipp.server.api.dependencies import CallerDep, EditorDep, Services, ServicesDep, prefixed_path
from ipp.server.api.problem_response import BodyError, http_status
from ipp.server.api.query_parameter import MAX_SEARCH_CHARACTERS, parse_counter_id
from ipp.server.api.request_body import BodyModel, check_body
from ipp.server.web.configuration_form import (
    BLANK_VALUES,
    ConfigurationForm,
    merge_form,
    read_form,
)
from ipp.server.web.csrf import CSRF_FIELD, FormDep, check_csrf_token
from ipp.server.web.number_field import format_number_field, refusal_reason
from ipp.server.web.page import HTMX_REQUEST_HEADER, PageRoute, render_framed_page
from ipp.storage.change_record import Door
from ipp.storage.warehouse.warehouse import TableRow, Warehouse

PAGES_PATH: Final = "/ajustes"
"""Path of these pages; the HTTP contract serves the register at another one, for programs."""

PAGE_SECTION: Final = "ajustes"
"""Section of the site, as `render_framed_page` names it."""

PAGE_ROWS: Final = 50
"""Configurations per page."""

_STORED_PREFIX: Final = "antes:"
"""Prefix of the fields that repeat what was stored when the form was rendered."""

_DONE_WORDS: Final = frozenset({"creada", "guardada", "borrada", "no_estaba", "importada"})
"""Values of ``hecho`` by which a redirect says what was done."""

_NOTICE_BY_ERROR: Final[Mapping[type[IppError], str]] = {
    BodyError: "conf_revise",
    ConfiguredError: "conf_ya",
    UnknownCounterError: "conf_desconocido",
    NotFoundError: "conf_falta",
    ChangedError: "conf_cambio",
}
"""Phrase keys for errors of the register, whose own hints address callers of the contract."""

_NUMBER_LABELS: Final = frozenset(
    column.label for column in EDITABLE_COLUMNS if column.kind is Kind.NUMBER
)
_SWITCH_LABELS: Final = tuple(
    column.label for column in EDITABLE_COLUMNS if column.kind is Kind.FLAG
)


router: Final = APIRouter(prefix=PAGES_PATH, route_class=PageRoute, include_in_schema=False)


@router.get("")
def list_configurations(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    q: Annotated[str, Query(max_length=MAX_SEARCH_CHARACTERS)] = "",
    cursor: str | None = None,
    hecho: str = "",
) -> Response:
    """List the configurations by mostrador; ``q`` is searched for in its number and its name."""
    page = configuration_routes.configurations(services, caller, PAGE_ROWS, cursor, q)
    rows = [{**row, "without": switched_off(row)} for row in page["configuraciones"]]
    names = services.warehouse.counter_names([int(row["mostrador"]) for row in rows])
    values = {"rows": rows, "names": names, "total": page["total"], "more": page["next_cursor"]}
    template = "ajustes_lista.html" if HTMX_REQUEST_HEADER in request.headers else "ajustes.html"
    return render_framed_page(
        request,
        template,
        caller,
        here=PAGE_SECTION,
        q=q,
        later=cursor is not None,
        done=_check_done(hecho),
        **values,
    )


@router.get("/nueva")
def show_blank_form(request: Request, caller: EditorDep, mostrador: str = "") -> Response:
    """Show an empty form."""
    return _render_sheet(request, caller, ConfigurationForm(mostrador, BLANK_VALUES))


@router.post("/nueva")
def create_configuration(
    request: Request, services: ServicesDep, caller: EditorDep, form: FormDep, day: Day
) -> Response:
    """Create a mostrador's configuration; the same form sent twice succeeds twice."""
    check_csrf_token(request, form.get(CSRF_FIELD))
    sheet = ConfigurationForm(str(form.get("mostrador", "")).strip(), read_form(form))
    try:
        body = _check_form({"mostrador": sheet.mostrador, **sheet.values}, NewConfiguration)
        row = configuration_row(parse_counter_id(sheet.mostrador), body, day)
        try:
            configuration_register.add_configuration(
                services.warehouse, row, change_author(caller, Door.PAGE)
            )
        except ConfiguredError:
            if not _is_stored(services.warehouse, row):
                raise
    except IppError as error:
        return _render_sheet(request, caller, sheet, error)
    return redirect_done(request, f"{PAGES_PATH}/{row['mostrador']}", "creada")


@router.get("/{mostrador}")
def show_configuration(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    mostrador: str,
    hecho: str = "",
) -> Response:
    """Show the form that changes a mostrador's configuration, or creates it where it has none."""
    number = parse_counter_id(mostrador)
    stored = services.warehouse.get_configuration(number)
    if stored is None:
        blank = ConfigurationForm(str(number), BLANK_VALUES)
        return _render_named_sheet(
            request, services, caller, blank, notice="conf_falta", status=404
        )
    sheet = _comparable_row(stored)
    return _render_named_sheet(request, services, caller, sheet, done=_check_done(hecho))


@router.post("/{mostrador}")
def save_configuration(
    request: Request,
    services: ServicesDep,
    caller: EditorDep,
    mostrador: str,
    form: FormDep,
    day: Day,
) -> Response:
    """Change the configuration, unless it changed since the form was rendered.

    The same form sent twice succeeds twice.
    """
    check_csrf_token(request, form.get(CSRF_FIELD))
    number = parse_counter_id(mostrador)
    sheet = ConfigurationForm(
        str(number), read_form(form), read_form(form, _STORED_PREFIX), str(form.get("version", ""))
    )
    try:
        row = configuration_row(number, _check_form(sheet.values, Configuration), day)
        try:
            configuration_register.change_configuration(
                services.warehouse,
                row,
                etag_checker(f'"{sheet.version}"'),
                change_author(caller, Door.PAGE),
            )
        except ChangedError as error:
            if not _is_stored(services.warehouse, row):
                now = _comparable_row(
                    configuration_register.find_configuration(services.warehouse, number)
                )
                merged = merge_form(sheet, now)
                return _render_named_sheet(request, services, caller, merged, error)
    except NotFoundError:
        sheet = ConfigurationForm(sheet.mostrador, sheet.values)
        return _render_named_sheet(
            request, services, caller, sheet, notice="conf_ya_no", status=404
        )
    except IppError as error:
        return _render_named_sheet(request, services, caller, sheet, error)
    return redirect_done(request, f"{PAGES_PATH}/{number}", "guardada")


@router.get("/{mostrador}/borrar")
def ask_removal(
    request: Request, services: ServicesDep, caller: EditorDep, mostrador: str
) -> Response:
    """Ask for confirmation before deleting a configuration."""
    number = parse_counter_id(mostrador)
    stored = services.warehouse.get_configuration(number)
    if stored is None:
        return redirect_done(request, PAGES_PATH, "no_estaba")
    return _render_removal(request, caller, stored, services.counter_name(number))


@router.post("/{mostrador}/borrar")
def remove_configuration(
    request: Request,
    services: ServicesDep,
    caller: EditorDep,
    mostrador: str,
    form: FormDep,
) -> Response:
    """Delete the configuration, unless it changed since it was shown."""
    check_csrf_token(request, form.get(CSRF_FIELD))
    number = parse_counter_id(mostrador)
    try:
        configuration_register.remove_configuration(
            services.warehouse,
            number,
            etag_checker(f'"{form.get("version", "")}"'),
            change_author(caller, Door.PAGE),
        )
    except NotFoundError:
        return redirect_done(request, PAGES_PATH, "no_estaba")
    except ChangedError:
        stored = services.warehouse.get_configuration(number)
        if stored is None:
            return redirect_done(request, PAGES_PATH, "no_estaba")
        return _render_removal(
            request,
            caller,
            stored,
            services.counter_name(number),
            notice="conf_cambio_borrar",
            status=412,
        )
    return redirect_done(request, PAGES_PATH, "borrada")


def _check_form(values: Mapping[str, Any], model: type[BodyModel]) -> BodyModel:
    """Check ``values`` as `check_body`, and say why a text in a field of numbers is refused.

    The contract takes no text for a number, so it cannot say in which two ways one may be read.
    """
    try:
        return check_body(dict(values), model)
    except BodyError as error:
        reasons = dict(error.reasons)
        for label in _NUMBER_LABELS & reasons.keys():
            if isinstance(values[label], str):
                reasons[label] = refusal_reason(values[label])
        raise BodyError(list(reasons.items())) from None


def _is_stored(warehouse: Warehouse, row: TableRow) -> bool:
    """Return whether the stored configuration equals ``row``, except for its date."""
    stored = warehouse.get_configuration(row["mostrador"])
    return stored is not None and all(
        stored[column.name] == row[column.name] for column in EDITABLE_COLUMNS
    )


def _comparable_row(row: TableRow) -> ConfigurationForm:
    document = to_document(row)
    values = {column.label: document[column.label] for column in EDITABLE_COLUMNS}
    return ConfigurationForm(document["mostrador"], values, values, document["version"])


def _render_named_sheet(
    request: Request,
    services: Services,
    caller: Caller,
    sheet: ConfigurationForm,
    error: IppError | None = None,
    **values: Any,
) -> Response:
    """Render the form of a mostrador, with its name."""
    name = services.counter_name(int(sheet.mostrador))
    return _render_sheet(request, caller, sheet, error, name=name, **values)


def _render_sheet(
    request: Request,
    caller: Caller,
    sheet: ConfigurationForm,
    error: IppError | None = None,
    *,
    notice: str = "",
    status: int = 200,
    **values: Any,
) -> Response:
    """Render a form, with the error of each field beside it."""
    if error is not None:
        notice, status = _NOTICE_BY_ERROR.get(type(error), ""), http_status(error)
    return render_framed_page(
        request,
        "ajustes_ficha.html",
        caller,
        here=PAGE_SECTION,
        status=status,
        problem=None if notice else error,
        sheet=sheet,
        notice=notice,
        wrong=dict(error.reasons) if isinstance(error, BodyError) else {},
        switches=_SWITCH_LABELS,
        choices=next(column.choices for column in EDITABLE_COLUMNS if column.choices),
        figure=format_number_field,
        seen=_STORED_PREFIX,
        **{"done": "", "name": "", **values},
    )


def _render_removal(
    request: Request,
    caller: Caller,
    row: TableRow,
    name: str,
    *,
    notice: str = "",
    status: int = 200,
) -> Response:
    document = to_document(row)
    row = {**document, "without": switched_off(document)}
    return render_framed_page(
        request,
        "ajustes_borrar.html",
        caller,
        here=PAGE_SECTION,
        status=status,
        row=row,
        notice=notice,
        name=name,
    )


def redirect_done(request: Request, path: str, done: str = "") -> Response:
    """Redirect to ``path``, a page of this section, which then says what was ``done``."""
    address = f"{path}?hecho={done}" if done else path
    return RedirectResponse(prefixed_path(request, address), status_code=303)


def _check_done(word: str) -> str:
    return word if word in _DONE_WORDS else ""


def switched_off(document: Mapping[str, Any]) -> list[str]:
    """Return the labels of the switches that are off in a configuration's document."""
    return [label for label in _SWITCH_LABELS if not document[label]]
