"""Route that lists the changes of what all share."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import ConfigDict, WithJsonSchema, with_config
from typing_extensions import TypedDict

from ipp.core.tables import IMPORTABLE_TABLES
from ipp.jobs.job_service import Caller
from ipp.server.api.cursor import read_change_cursor, write_change_cursor
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.problem_response import BodyError
from ipp.server.api.query_parameter import MAX_SEARCH_CHARACTERS, StrictRoute, parse_counter_id
from ipp.storage.change_record import ChangeState, Door, Operation, change_cells
from ipp.storage.warehouse.warehouse import ChangeQuery, TableRow

router = APIRouter(route_class=StrictRoute)

CHANGES_PATH: Final = "/cambios"

DEFAULT_PAGE_ROWS: Final = 50
"""Page size when the request names none."""

MAX_PAGE_ROWS: Final = 500
"""Largest page size."""

CHANGED_TITLES: Final = tuple(IMPORTABLE_TABLES)
"""What may change, by the title that people know."""


def _one_of(words: Iterable[str]) -> WithJsonSchema:
    """Return the schema of a text that is one of ``words``."""
    return WithJsonSchema({"type": "string", "enum": list(words)})


@with_config(ConfigDict(extra="forbid"))
class ChangeDocument(TypedDict):
    """A change: of one row, with ``antes`` and ``despues``, or of many, with ``detalle``.

    Where ``detalle`` counts ``renglones``, each of them is listed with ``importacion``.

    ``estado`` other than hecho says that it may not have been made.
    """

    id: str
    estado: Annotated[str, _one_of(ChangeState)]
    cuando: str
    sub: str
    quien: str
    puerta: Annotated[str, _one_of(Door)]
    operacion: Annotated[str, _one_of(Operation)]
    objeto: str
    clave: str
    antes: dict[str, Any] | None
    despues: dict[str, Any] | None
    detalle: dict[str, Any] | None
    version_antes: str | None
    version_despues: str | None


@with_config(ConfigDict(extra="forbid"))
class ChangePage(TypedDict):
    """A page of changes, the newest first; ``next_cursor`` is null on the last one."""

    cambios: list[ChangeDocument]
    next_cursor: str | None


SearchText = Annotated[str, Query(max_length=MAX_SEARCH_CHARACTERS)]

ChangeId = Annotated[str, Query(max_length=64)]
"""The id of a change of many rows."""


Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]

_DAY_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@router.get(CHANGES_PATH)
def changes(  # noqa: PLR0913, PLR0917  # one for each parameter of the query
    services: ServicesDep,
    caller: CallerDep,
    objeto: Literal[*CHANGED_TITLES] | None = None,  # type: ignore[valid-type]  # the titles are data
    mostrador: str | None = None,
    importacion: ChangeId = "",
    q: SearchText = "",
    desde: Day | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS)] = DEFAULT_PAGE_ROWS,
    cursor: str | None = None,
) -> ChangePage:
    """List the changes of what all share, the newest first: who, when, and before and after."""
    wanted = ChangeQuery(
        limit=limit,
        title=objeto or "",
        mostrador=None if mostrador is None else parse_counter_id(mostrador),
        bulk_id=importacion,
        text=q,
        since="" if desde is None else start_of_day(_parse_day(desde)),
    )
    return change_page(services, caller, wanted, cursor)


def _parse_day(text: str) -> dt.date:
    """Return the day of ``desde``. Raises `BodyError` unless it is written aaaa-mm-dd."""
    try:
        if _DAY_PATTERN.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass  # a day that no calendar has is refused like any other text
    raise BodyError([("desde", "no es una fecha: escríbala aaaa-mm-dd")])


def change_page(
    services: Services, caller: Caller, wanted: ChangeQuery, cursor: str | None
) -> ChangePage:
    """Return the page of ``wanted`` after ``cursor``, which is of the same caller and query."""
    query = (
        caller.user.sub, CHANGES_PATH, wanted.title, str(wanted.mostrador), wanted.bulk_id,
        wanted.text, wanted.since,
    )  # fmt: skip
    after = None if cursor is None else read_change_cursor(cursor, *query)
    rows: Sequence[TableRow] = services.warehouse.list_changes(
        replace(wanted, limit=wanted.limit + 1, after=after)
    )
    shown = rows[: wanted.limit]
    next_cursor = None
    if len(rows) > wanted.limit:
        last = shown[-1]
        next_cursor = write_change_cursor(last["changed_at"], last["change_id"], *query)
    return {"cambios": [change_document(row) for row in shown], "next_cursor": next_cursor}


def change_document(row: TableRow) -> ChangeDocument:
    """Return a change by its labels, with before, after and detail as objects."""
    before, after, detail = change_cells(row)
    return {
        "id": row["change_id"],
        "estado": row["state"],
        "cuando": row["changed_at"],
        "sub": row["author"],
        "quien": row["author_name"],
        "puerta": row["door"],
        "operacion": row["operation"],
        "objeto": row["object"],
        "clave": row["row_key"],
        "antes": before,
        "despues": after,
        "detalle": detail,
        "version_antes": row["version_before"],
        "version_despues": row["version_after"],
    }


def start_of_day(day: dt.date) -> str:
    """Return the moment at which ``day`` starts by this machine's clock, in UTC as ISO text."""
    try:
        start = dt.datetime.combine(day, dt.time.min).astimezone(dt.UTC)
    except (OverflowError, ValueError):  # the first or the last days that a calendar has
        return day.isoformat()
    return start.isoformat(timespec="microseconds")
