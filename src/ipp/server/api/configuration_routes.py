"""The configurations that validation looks for: listed, read, and changed one at a time."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from ipp.core.contract import Column, Kind
from ipp.core.tables import CONFIGURATIONS
from ipp.server.api import configuration_register
from ipp.server.api.configuration_register import PATH, ChangedError, Check, version_of
from ipp.server.api.dependencies import Asked, By, address
from ipp.server.api.query_parameter import LONGEST, mostrador_of, read_place, write_place
from ipp.server.api.request_body import body_schema, read_body
from ipp.storage.warehouse.warehouse import Row

router = APIRouter(prefix=PATH)

PAGE: Final = 100
"""Configurations of a page where none is asked for."""

LARGEST: Final = 500
"""Most configurations of a page."""

STAMP: Final = "updated_on"
"""The column that is set here and not by callers."""

CHANGEABLE: Final = tuple(
    column for column in CONFIGURATIONS.columns if column.name not in {*CONFIGURATIONS.key, STAMP}
)
"""The columns that callers set."""

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')


def today() -> dt.date:
    """The day that a change made now is dated."""
    return dt.datetime.now().astimezone().date()


def _field(column: Column, *, whole: bool) -> tuple[Any, Any]:
    """A column as a field of a body; in a ``whole`` one nothing is guessed, so that nothing may be left out."""
    kind: Any = bool if column.kind is Kind.FLAG else Literal[column.choices] if column.choices else float
    bounds: dict[str, Any] = {"description": column.about}
    if column.kind is Kind.NUMBER:
        bounds |= {"ge": column.minimum, "le": column.maximum, "allow_inf_nan": False}
    if whole:
        bounds["default"] = ...
    elif not column.required or column.default is not None:
        bounds["default"] = column.default
    return (kind if column.required else kind | None, Field(**bounds))


def _model(name: str, *, whole: bool, **fields: Any) -> type[BaseModel]:
    fields |= {column.label: _field(column, whole=whole) for column in CHANGEABLE}
    model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)
    return model


_ID: Final = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": "^0*[1-9][0-9]{0,9}$"},
            {"type": "integer", "minimum": 1, "maximum": 9_999_999_999},
        ],
        "description": "Número del mostrador.",
    }
)

NewConfiguration = _model("NewConfiguration", whole=False, mostrador=(Annotated[Any, _ID], ...))
"""The body that creates one: what is left out is as the contract says."""

Configuration = _model("Configuration", whole=True)
"""The body that takes the place of one."""

_EXAMPLE: Final = {column.label: 950_000 if column.kind is Kind.NUMBER else column.default for column in CHANGEABLE}


async def _new_body(request: Request) -> BaseModel:
    return await read_body(request, NewConfiguration)


async def _whole_body(request: Request) -> BaseModel:
    return await read_body(request, Configuration)


Day = Annotated[dt.date, Depends(today)]
IfMatch = Annotated[str | None, Header(max_length=1_000)]


@router.get("")
def configurations(
    asked: Asked,
    by: By,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = PAGE,
    cursor: str | None = None,
    q: Annotated[str, Query(max_length=LONGEST)] = "",
) -> dict[str, Any]:
    """The configurations, by mostrador; ``q`` is searched for in its number and its name."""
    after = 0 if cursor is None else read_place(cursor, by.user.sub, PATH, q)
    page = asked.warehouse.configurations(q, after, limit + 1)
    shown = page.rows[:limit]
    more = write_place(shown[-1]["mostrador"], by.user.sub, PATH, q) if len(page.rows) > limit else None
    return {
        "total": page.total,
        "configuraciones": [shape(row) for row in shown],
        "next_cursor": more,
    }


@router.post("", status_code=201, openapi_extra=body_schema(NewConfiguration, {"mostrador": "7051602", **_EXAMPLE}))
def create(
    asked: Asked,
    _by: By,
    body: Annotated[BaseModel, Depends(_new_body)],
    day: Day,
    request: Request,
    response: Response,
) -> dict[str, Any]:
    """Give a mostrador its configuration."""
    row = row_of(mostrador_of(body.model_dump()["mostrador"]), body, day)
    configuration_register.add(asked.warehouse, row)
    response.headers["Location"] = address(request, f"{PATH}/{row['mostrador']}")
    return _answer(row, response)


@router.get("/{mostrador}")
def configuration(asked: Asked, _by: By, mostrador: str, response: Response) -> dict[str, Any]:
    """The configuration of a mostrador."""
    return _answer(configuration_register.find(asked.warehouse, mostrador_of(mostrador)), response)


@router.put("/{mostrador}", openapi_extra=body_schema(Configuration, _EXAMPLE))
def replace(
    asked: Asked,
    _by: By,
    mostrador: str,
    body: Annotated[BaseModel, Depends(_whole_body)],
    day: Day,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Change the configuration of a mostrador; with ``If-Match`` only the version that the caller saw."""
    row = row_of(mostrador_of(mostrador), body, day)
    configuration_register.change(asked.warehouse, row, seen(if_match))
    return _answer(row, response)


@router.delete("/{mostrador}", status_code=204)
def delete(asked: Asked, _by: By, mostrador: str, if_match: IfMatch = None) -> None:
    """Take the configuration of a mostrador away; with ``If-Match`` only the version that the caller saw."""
    configuration_register.remove(asked.warehouse, mostrador_of(mostrador), seen(if_match))


def row_of(mostrador: int, body: BaseModel, day: dt.date) -> Row:
    """What a body says of ``mostrador``, dated ``day``."""
    named = {CONFIGURATIONS.names[label]: value for label, value in body.model_dump().items()}
    return {**named, "mostrador": mostrador, STAMP: day}


def shape(row: Row) -> dict[str, Any]:
    """A configuration as people read it; the id is a text, as everywhere."""
    shown = {label: row[name] for name, label in CONFIGURATIONS.labels.items()}
    return {**shown, "mostrador": str(row["mostrador"]), "version": version_of(row)}


def _answer(row: Row, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{version_of(row)}"'
    return shape(row)


def seen(if_match: str | None) -> Check:
    """Raise `ChangedError` for a row that is none of the versions of an ``If-Match`` header.

    A version is of the row and not of its bytes, so that it holds also where a proxy made it a weak one.
    """

    def check(row: Row) -> None:
        if if_match is None or if_match.strip() == "*":
            return
        if version_of(row) not in _TAG.findall(if_match):
            raise ChangedError(
                f"La configuración del mostrador {row['mostrador']} cambió desde que la leyó.",
                hint="Léala otra vez y repita el cambio sobre lo que hay ahora.",
            )

    return check
