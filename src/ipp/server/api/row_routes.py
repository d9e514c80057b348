"""The table that a job published, a page at a time, sorted and searched on the server."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, WithJsonSchema

from ipp.core.contract import Column, Kind
from ipp.core.tables import RESULTS
from ipp.errors import NotFoundError, shorten
from ipp.jobs.job import Job
from ipp.jobs.job_service import Caller
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.problem_response import BodyError, CounterFailedError
from ipp.server.api.query_parameter import (
    MAX_SEARCH_CHARACTERS,
    parse_counter_id,
    read_position,
    write_position,
)
from ipp.storage.warehouse.warehouse import RowQuery, TableRow

router = APIRouter(prefix="/ipp")

DEFAULT_PAGE_ROWS: Final = 100
"""Rows of a page where none is asked for."""

MAX_PAGE_ROWS: Final = 500
"""Most rows of a page."""


class RowsParameters(BaseModel):
    """Which rows, in what order, and how many."""

    mostrador: str | None = None
    sort: Annotated[str, WithJsonSchema({"type": "string", "enum": list(RESULTS.names)})] = (
        "mostrador"
    )
    order: Literal["asc", "desc"] = "asc"
    q: Annotated[str, Field(max_length=MAX_SEARCH_CHARACTERS)] = ""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ROWS)] = DEFAULT_PAGE_ROWS
    cursor: str | None = None


@router.get("/results/{job_id}/rows")
def rows(
    asked: ServicesDep, by: CallerDep, job_id: str, asking: Annotated[RowsParameters, Query()]
) -> dict[str, Any]:
    """A page of what a job published; ``q`` is searched for in material, ean and description."""
    sort, order, q = asking.sort, asking.order, asking.q
    if sort not in RESULTS.names:
        raise BodyError(
            [("sort", f"no existe la columna «{shorten(sort)}»; hay {', '.join(RESULTS.names)}")]
        )
    mostrador = None if asking.mostrador is None else parse_counter_id(asking.mostrador)
    completed_job(asked, by, job_id, mostrador)
    query = (by.user.sub, job_id, str(mostrador), sort, order, q)
    # Rows of a job that is completed do not change, so that a place in them is a number of rows.
    start = 0 if asking.cursor is None else read_position(asking.cursor, *query)
    wanted = RowQuery(
        job_id, mostrador, q, RESULTS.names[sort], order == "desc", start, asking.limit
    )
    page = asked.warehouse.query_rows(wanted)
    if mostrador is not None and not page.total:
        check_published(asked, job_id, mostrador)
    end = start + len(page.rows)
    return {
        "job_id": job_id,
        "total": page.total,
        "rows": [_row_document(row) for row in page.rows],
        "next_cursor": write_position(end, *query) if end < page.total else None,
    }


def completed_job(asked: Services, by: Caller, job_id: str, mostrador: int | None) -> Job:
    """The job, which has results, of ``mostrador`` where one is asked for.

    Raises `NotFoundError` for a job that is not the caller's or a mostrador that is not in it, `NotCompletedError`.
    """
    job = asked.jobs.completed_job(by, job_id)
    if mostrador is not None and mostrador not in job.mostradores:
        listed = ", ".join(map(str, job.mostradores[:10])) + (
            " …" if len(job.mostradores) > 10 else ""
        )
        raise NotFoundError(
            f"El mostrador {mostrador} no está en {job_id}.", hint=f"Están: {listed}."
        )
    return job


def check_published(asked: Services, job_id: str, mostrador: int) -> None:
    """Raise `CounterFailedError` where a completed job has nothing of a mostrador because it failed.

    For whoever finds nothing of it: what there is something of did not fail, and nobody need ask.
    """
    for failed in asked.warehouse.failed_counters(job_id, mostrador):
        raise CounterFailedError(mostrador, failed["stage"], failed["cause"])


def _row_document(row: TableRow) -> dict[str, Any]:
    """A row by its labels; an id is a text, because JSON's readers hold 15 digits and no leading zeros."""
    return {column.label: _cell_document(column, row[column.name]) for column in RESULTS.columns}


def _cell_document(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind is Kind.ID:
        return str(value).zfill(column.digits)
    return value.isoformat() if column.kind is Kind.DATE else value
