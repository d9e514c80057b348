"""Configuraciones: found, made, changed and taken away, by people who may do so at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from ipp.core.contract import Kind
from ipp.errors import IppError, NotFoundError
from ipp.jobs.job_service import Caller
from ipp.server.api import configuration_register, configuration_routes
from ipp.server.api.configuration_register import ChangedError, ConfiguredError, UnknownCounterError
from ipp.server.api.configuration_routes import CHANGEABLE, Configuration, Day, NewConfiguration, row_of, seen, shape
from ipp.server.api.dependencies import Asked, By, address
from ipp.server.api.problem_response import BodyError, status_of
from ipp.server.api.query_parameter import LONGEST, mostrador_of
from ipp.server.api.request_body import check_body
from ipp.server.web.counter_names import Named
from ipp.server.web.csrf import FIELD, Sent, check_seal
from ipp.server.web.number_field import read_figure, write_figure
from ipp.server.web.page import PARTIAL, PageRoute, framed
from ipp.storage.warehouse.warehouse import Row, Warehouse

HOME: Final = "/ajustes"
"""Where the register is found on the page; the contract has it elsewhere, for programs."""

SECTION: Final = "ajustes"
"""The part of the page that this is, as `framed` has it."""

PAGE: Final = 50
"""Configurations of a page."""

_SEEN: Final = "antes:"
"""Begins the names of the fields that repeat what was stored when the form was made."""

_DONE: Final = frozenset({"creada", "guardada", "borrada", "no_estaba", "importada"})
"""What the page before may say that it did."""

_NOTICES: Final[Mapping[type[IppError], str]] = {
    BodyError: "conf_revise",
    ConfiguredError: "conf_ya",
    UnknownCounterError: "conf_desconocido",
    NotFoundError: "conf_falta",
    ChangedError: "conf_cambio",
}
"""The phrases for what the register refuses; its own hints are for those who call the contract."""

_SWITCHES: Final = tuple(column.label for column in CHANGEABLE if column.kind is Kind.FLAG)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A form: whose it is, what its fields hold by label, and what was stored when it was made.

    ``version`` is empty where nothing is stored. ``theirs`` are the fields that another changed meanwhile, each with
    what was seen and what is stored now.
    """

    mostrador: str
    values: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    theirs: Sequence[tuple[str, Any, Any]] = ()


BLANK: Final[Mapping[str, Any]] = {column.label: column.default for column in CHANGEABLE}
"""What the fields of a new configuration hold."""


router: Final = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)


@router.get("")
def found(
    request: Request,
    asked: Asked,
    by: By,
    named: Named,
    q: Annotated[str, Query(max_length=LONGEST)] = "",
    cursor: str | None = None,
    hecho: str = "",
) -> Response:
    """The configurations, by mostrador; ``q`` is searched for in its number and its name."""
    listed = configuration_routes.configurations(asked, by, PAGE, cursor, q)
    rows = [{**row, "without": without(row)} for row in listed["configuraciones"]]
    names = named.among([int(row["mostrador"]) for row in rows])
    values = {"rows": rows, "names": names, "total": listed["total"], "more": listed["next_cursor"]}
    template = "ajustes_lista.html" if PARTIAL in request.headers else "ajustes.html"
    return framed(request, template, by, here=SECTION, q=q, later=cursor is not None, done=_done(hecho), **values)


@router.get("/nueva")
def begin(request: Request, by: By, mostrador: str = "") -> Response:
    """An empty form."""
    return _sheet(request, by, Sheet(mostrador, BLANK))


@router.post("/nueva")
def create(request: Request, asked: Asked, by: By, form: Sent, day: Day) -> Response:
    """Give a mostrador its configuration; sent twice, the form says the same twice."""
    check_seal(request, form.get(FIELD))
    sheet = Sheet(str(form.get("mostrador", "")).strip(), given(form))
    try:
        body = check_body({"mostrador": sheet.mostrador, **sheet.values}, NewConfiguration)
        row = row_of(mostrador_of(sheet.mostrador), body, day)
        try:
            configuration_register.add(asked.warehouse, row)
        except ConfiguredError:
            if not _stands(asked.warehouse, row):
                raise
    except IppError as error:
        return _sheet(request, by, sheet, error)
    return go(request, f"{HOME}/{row['mostrador']}", "creada")


@router.get("/{mostrador}")
def edit(request: Request, asked: Asked, by: By, named: Named, mostrador: str, hecho: str = "") -> Response:
    """The configuration of a mostrador, to be changed; where it has none, to be made."""
    number = mostrador_of(mostrador)
    stored = asked.warehouse.configuration(number)
    if stored is None:
        return _sheet(request, by, Sheet(str(number), BLANK), notice="conf_falta", status=404, name=named.of(number))
    return _sheet(request, by, _as_stored(stored), done=_done(hecho), name=named.of(number))


@router.post("/{mostrador}")
def save(request: Request, asked: Asked, by: By, named: Named, mostrador: str, form: Sent, day: Day) -> Response:
    """Change the configuration, unless it is no longer the one that the form was made from.

    Sent twice, the form says the same twice.
    """
    check_seal(request, form.get(FIELD))
    number = mostrador_of(mostrador)
    sheet = Sheet(str(number), given(form), given(form, _SEEN), str(form.get("version", "")))
    try:
        row = row_of(number, check_body(dict(sheet.values), Configuration), day)
        try:
            configuration_register.change(asked.warehouse, row, seen(f'"{sheet.version}"'))
        except ChangedError as error:
            if not _stands(asked.warehouse, row):
                now = _as_stored(configuration_register.find(asked.warehouse, number))
                return _sheet(request, by, merged(sheet, now), error, name=named.of(number))
    except NotFoundError:
        sheet = Sheet(sheet.mostrador, sheet.values)
        return _sheet(request, by, sheet, notice="conf_ya_no", status=404, name=named.of(number))
    except IppError as error:
        return _sheet(request, by, sheet, error, name=named.of(number))
    return go(request, f"{HOME}/{number}", "guardada")


@router.get("/{mostrador}/borrar")
def ask(request: Request, asked: Asked, by: By, named: Named, mostrador: str) -> Response:
    """Ask once more before a configuration is taken away."""
    number = mostrador_of(mostrador)
    stored = asked.warehouse.configuration(number)
    if stored is None:
        return go(request, HOME, "no_estaba")
    return _asked(request, by, stored, named.of(number))


@router.post("/{mostrador}/borrar")
def remove(request: Request, asked: Asked, by: By, named: Named, mostrador: str, form: Sent) -> Response:
    """Take the configuration away, unless it is no longer the one that was shown."""
    check_seal(request, form.get(FIELD))
    number = mostrador_of(mostrador)
    try:
        configuration_register.remove(asked.warehouse, number, seen(f'"{form.get("version", "")}"'))
    except NotFoundError:
        return go(request, HOME, "no_estaba")
    except ChangedError:
        stored = asked.warehouse.configuration(number)
        if stored is None:
            return go(request, HOME, "no_estaba")
        return _asked(request, by, stored, named.of(number), notice="conf_cambio_borrar", status=412)
    return go(request, HOME, "borrada")


def given(form: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What a form says of each column, by label, as a body of the contract would; a switch that is not sent is off.

    A number that is none stays as it was typed, for the contract to refuse.
    """
    values: dict[str, Any] = {}
    for column in CHANGEABLE:
        text = form.get(prefix + column.label)
        if column.kind is Kind.FLAG:
            values[column.label] = text is not None
        else:
            values[column.label] = read_figure(str(text or "")) if column.kind is Kind.NUMBER else text
    return values


def merged(sheet: Sheet, now: Sheet) -> Sheet:
    """``sheet`` on top of what is stored ``now``: what its writer changed stays, the rest is as another left it."""
    values = {
        label: now.values[label] if value == sheet.before[label] else value for label, value in sheet.values.items()
    }
    theirs = [(label, value, now.values[label]) for label, value in sheet.before.items() if value != now.values[label]]
    return Sheet(sheet.mostrador, values, now.before, now.version, theirs)


def _stands(warehouse: Warehouse, row: Row) -> bool:
    """Whether what is stored says what ``row`` says, whenever it was written."""
    stored = warehouse.configuration(row["mostrador"])
    return stored is not None and all(stored[column.name] == row[column.name] for column in CHANGEABLE)


def _as_stored(row: Row) -> Sheet:
    shown = shape(row)
    values = {column.label: shown[column.label] for column in CHANGEABLE}
    return Sheet(shown["mostrador"], values, values, shown["version"])


def _sheet(
    request: Request,
    by: Caller,
    sheet: Sheet,
    error: IppError | None = None,
    *,
    notice: str = "",
    status: int = 200,
    **values: Any,
) -> Response:
    """A form, with what is wrong beside each field."""
    if error is not None:
        notice, status = _NOTICES.get(type(error), ""), status_of(error)
    return framed(
        request,
        "ajustes_ficha.html",
        by,
        here=SECTION,
        status=status,
        problem=None if notice else error,
        sheet=sheet,
        notice=notice,
        wrong=dict(error.reasons) if isinstance(error, BodyError) else {},
        switches=_SWITCHES,
        choices=next(column.choices for column in CHANGEABLE if column.choices),
        figure=write_figure,
        seen=_SEEN,
        **{"done": "", "name": "", **values},
    )


def _asked(request: Request, by: Caller, row: Row, name: str, *, notice: str = "", status: int = 200) -> Response:
    shown = shape(row)
    row = {**shown, "without": without(shown)}
    return framed(request, "ajustes_borrar.html", by, here=SECTION, status=status, row=row, notice=notice, name=name)


def go(request: Request, path: str, done: str = "") -> Response:
    """On to a page of this part, which says what was ``done``."""
    return RedirectResponse(address(request, f"{path}?hecho={done}" if done else path), status_code=303)


def _done(word: str) -> str:
    return word if word in _DONE else ""


def without(shown: Mapping[str, Any]) -> list[str]:
    """The switches that are off in a configuration as people read it."""
    return [label for label in _SWITCHES if not shown[label]]
