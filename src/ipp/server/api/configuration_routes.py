"""Routes that list, read, create, replace and delete counter configurations."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from ipp.core.contract import Column, Kind
from ipp.core.tables import CONFIGURATIONS
from ipp.jobs.change_author import change_author
from ipp.server.api import configuration_register
from ipp.server.api.configuration_register import (
    CONFIGURATIONS_PATH,
    ChangedError,
    CheckRow,
    row_version,
)
from ipp.server.api.cursor import read_position, write_position
from ipp.server.api.dependencies import CallerDep, EditorDep, ServicesDep, prefixed_path
from ipp.server.api.query_parameter import MAX_SEARCH_CHARACTERS, StrictRoute, parse_counter_id
from ipp.server.api.request_body import body_schema, read_body
from ipp.storage.change_record import Door
from ipp.storage.warehouse.warehouse import TableRow

router = APIRouter(prefix=CONFIGURATIONS_PATH, route_class=StrictRoute)

DEFAULT_PAGE_ROWS: Final = 100
"""Page size when the request names none."""

MAX_PAGE_ROWS: Final = 500
"""Largest page size."""

UPDATED_COLUMN: Final = "updated_on"
"""The column that the server sets, not callers."""

EDITABLE_COLUMNS: Final = tuple(
    column
    for column in CONFIGURATIONS.columns
    if column.name not in {*CONFIGURATIONS.key, UPDATED_COLUMN}
)
"""The columns that callers set."""

_ETAG_PATTERN: Final = re.compile(r'(?:W/)?"([^"]*)"')


def today_in_mexico() -> dt.date:
    """Return today's date in the server's time zone, which dates a change."""
    return dt.datetime.now().astimezone().date()


def _body_field(column: Column, *, whole: bool) -> tuple[Any, Any]:
    """Return a column as a body field, required in a ``whole`` body, which has no defaults."""
    kind: Any = (
        bool if column.kind is Kind.FLAG else Literal[column.choices] if column.choices else float
    )
    bounds: dict[str, Any] = {"description": column.about}
    if column.kind is Kind.NUMBER:
        bounds |= {"ge": column.minimum, "le": column.maximum, "allow_inf_nan": False}
    if whole:
        bounds["default"] = ...
    elif not column.required or column.default is not None:
        bounds["default"] = column.default
    return (kind if column.required else kind | None, Field(**bounds))


def _body_model(name: str, *, whole: bool, **fields: Any) -> type[BaseModel]:
    fields |= {column.label: _body_field(column, whole=whole) for column in EDITABLE_COLUMNS}
    model: type[BaseModel] = create_model(
        name, __config__=ConfigDict(extra="forbid", strict=True), **fields
    )
    return model


_ID_SCHEMA: Final = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": "^0*[1-9][0-9]{0,9}$"},
            {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
        ],
        "description": "Número del mostrador.",
    }
)

NewConfiguration = _body_model(
    "NewConfiguration", whole=False, mostrador=(Annotated[Any, _ID_SCHEMA], ...)
)
"""The body that creates a configuration; omitted fields take the contract's defaults."""

Configuration = _body_model("Configuration", whole=True)
"""The body that replaces a configuration."""

_EXAMPLE_BODY: Final = {
    column.label: 950_000 if column.kind is Kind.NUMBER else column.default
    for column in EDITABLE_COLUMNS
}


async def _read_new_body(request: Request) -> BaseModel:
    return await read_body(request, NewConfiguration)


async def _read_full_body(request: Request) -> BaseModel:
    return await read_body(request, Configuration)


Day = Annotated[dt.date, Depends(today_in_mexico)]
IfMatch = Annotated[str | None, Header(max_length=1_000)]


@router.get("")
def configurations(
    services: ServicesDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS)] = DEFAULT_PAGE_ROWS,
    cursor: str | None = None,
    q: Annotated[str, Query(max_length=MAX_SEARCH_CHARACTERS)] = "",
) -> dict[str, Any]:
    """List the configurations by counter number; ``q`` searches the number and the name."""
    after = 0 if cursor is None else read_position(cursor, caller.user.sub, CONFIGURATIONS_PATH, q)
    page = services.warehouse.list_configurations(q, after, limit + 1)
    rows = page.rows[:limit]
    next_cursor = (
        write_position(rows[-1]["mostrador"], caller.user.sub, CONFIGURATIONS_PATH, q)
        if len(page.rows) > limit
        else None
    )
    return {
        "total": page.total,
        "configuraciones": [to_document(row) for row in rows],
        "next_cursor": next_cursor,
    }


@router.post(
    "",
    status_code=201,
    openapi_extra=body_schema(NewConfiguration, {"mostrador": "7051602", **_EXAMPLE_BODY}),
)
def create(
    services: ServicesDep,
    caller: EditorDep,
    body: Annotated[BaseModel, Depends(_read_new_body)],
    day: Day,
    request: Request,
    response: Response,
) -> dict[str, Any]:
    """Create the configuration of a counter."""
    row = configuration_row(parse_counter_id(body.model_dump()["mostrador"]), body, day)
    configuration_register.add_configuration(
        services.warehouse, row, change_author(caller, Door.HTTP)
    )
    response.headers["Location"] = prefixed_path(
        request, f"{CONFIGURATIONS_PATH}/{row['mostrador']}"
    )
    return _answer_row(row, response)


@router.get("/{mostrador}")
def configuration(
    services: ServicesDep, _caller: CallerDep, mostrador: str, response: Response
) -> dict[str, Any]:
    """Return the configuration of a counter."""
    return _answer_row(
        configuration_register.find_configuration(services.warehouse, parse_counter_id(mostrador)),
        response,
    )


@router.put("/{mostrador}", openapi_extra=body_schema(Configuration, _EXAMPLE_BODY))
def replace(
    services: ServicesDep,
    caller: EditorDep,
    mostrador: str,
    body: Annotated[BaseModel, Depends(_read_full_body)],
    day: Day,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Replace the configuration of a counter, with ``If-Match`` only if the version matches."""
    row = configuration_row(parse_counter_id(mostrador), body, day)
    configuration_register.change_configuration(
        services.warehouse, row, etag_checker(if_match), change_author(caller, Door.HTTP)
    )
    return _answer_row(row, response)


@router.delete("/{mostrador}", status_code=204)
def delete(
    services: ServicesDep, caller: EditorDep, mostrador: str, if_match: IfMatch = None
) -> None:
    """Delete the configuration of a counter, with ``If-Match`` only if the version matches."""
    configuration_register.remove_configuration(
        services.warehouse,
        parse_counter_id(mostrador),
        etag_checker(if_match),
        change_author(caller, Door.HTTP),
    )


def configuration_row(mostrador: int, body: BaseModel, day: dt.date) -> TableRow:
    """Return the row of ``mostrador`` that a body describes, dated ``day``."""
    values = {CONFIGURATIONS.names[label]: value for label, value in body.model_dump().items()}
    return {**values, "mostrador": mostrador, UPDATED_COLUMN: day}


def to_document(row: TableRow) -> dict[str, Any]:
    """Return a configuration by its labels; the id is text, as in every response."""
    values = {label: row[name] for name, label in CONFIGURATIONS.labels.items()}
    return {**values, "mostrador": str(row["mostrador"]), "version": row_version(row)}


def _answer_row(row: TableRow, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{row_version(row)}"'
    return to_document(row)


def etag_checker(if_match: str | None) -> CheckRow:
    """Return a check that raises `ChangedError` unless ``If-Match`` lists the row's version.

    Weak ETags match too: the version is of the row, not of the bytes, which a proxy may recompress.
    """

    def check(row: TableRow) -> None:
        if if_match is None or if_match.strip() == "*":
            return
        if row_version(row) not in _ETAG_PATTERN.findall(if_match):
            raise ChangedError(
                f"La configuración del mostrador {row['mostrador']} cambió desde que la leyó.",
                hint="Léala otra vez y repita el cambio sobre lo que hay ahora.",
            )

    return check
