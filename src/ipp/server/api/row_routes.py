"""Route of a job's result rows: paginated, sorted and searched on the server."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, WithJsonSchema

from ipp.core.contract import Column, Kind
from ipp.core.tables import RESULTS
from ipp.errors import NotFoundError, shorten
from ipp.jobs.job import Job
from ipp.jobs.job_service import Caller
from ipp.server.api.cursor import read_position, write_position
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.problem_response import BodyError, CounterFailedError
from ipp.server.api.query_parameter import MAX_SEARCH_CHARACTERS, StrictRoute, parse_counter_id
from ipp.storage.warehouse.warehouse import RowQuery, TableRow

router = APIRouter(prefix="/ipp", route_class=StrictRoute)

DEFAULT_PAGE_ROWS: Final = 100
"""Page size when the request names none."""

MAX_PAGE_ROWS: Final = 500
"""Largest page size."""


class RowsParameters(BaseModel):
    """Query parameters: filter, order and page."""

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
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    parameters: Annotated[RowsParameters, Query()],
) -> dict[str, Any]:
    """Return a page of a job's results; ``q`` searches material, ean and description."""
    sort, order, q = parameters.sort, parameters.order, parameters.q
    if sort not in RESULTS.names:
        raise BodyError(
            [("sort", f"no existe la columna «{shorten(sort)}»; hay {', '.join(RESULTS.names)}")]
        )
    mostrador = None if parameters.mostrador is None else parse_counter_id(parameters.mostrador)
    completed_job(services, caller, job_id, mostrador)
    query = (caller.user.sub, job_id, str(mostrador), sort, order, q)
    # The rows of a completed job do not change, so an offset is a stable cursor.
    start = 0 if parameters.cursor is None else read_position(parameters.cursor, *query)
    row_query = RowQuery(
        job_id, mostrador, q, RESULTS.names[sort], order == "desc", start, parameters.limit
    )
    page = services.warehouse.query_rows(row_query)
    if mostrador is not None and not page.total:
        check_published(services, job_id, mostrador)
    end = start + len(page.rows)
    return {
        "job_id": job_id,
        "total": page.total,
        "rows": [_row_document(row) for row in page.rows],
        "next_cursor": write_position(end, *query) if end < page.total else None,
    }


def completed_job(services: Services, caller: Caller, job_id: str, mostrador: int | None) -> Job:
    """Return a completed job that includes ``mostrador``, if one is given.

    Raises `NotFoundError` for another user's job or a counter that is not in it, and
    `NotCompletedError`.
    """
    job = services.jobs.completed_job(caller, job_id)
    if mostrador is not None and mostrador not in job.mostradores:
        listed = ", ".join(map(str, job.mostradores[:10])) + (
            " …" if len(job.mostradores) > 10 else ""
        )
        raise NotFoundError(
            f"El mostrador {mostrador} no está en {job_id}.", hint=f"Están: {listed}."
        )
    return job


def check_published(services: Services, job_id: str, mostrador: int) -> None:
    """Raise `CounterFailedError` if a counter failed in a completed job.

    Needed only when no rows of the counter are found: a counter with rows did not fail.
    """
    for failed in services.warehouse.failed_counters(job_id, mostrador):
        raise CounterFailedError(mostrador, failed["stage"], failed["cause"])


def _row_document(row: TableRow) -> dict[str, Any]:
    """Return a row by its labels.

    Ids are text: JSON readers keep only 15 digits of a number and no leading zeros.
    """
    return {column.label: _cell_document(column, row[column.name]) for column in RESULTS.columns}


def _cell_document(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind is Kind.ID:
        return str(value).zfill(column.digits)
    return value.isoformat() if column.kind is Kind.DATE else value
