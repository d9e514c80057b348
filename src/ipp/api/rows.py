"""The table that a job published, a page at a time, sorted and searched on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, WithJsonSchema

from ipp.api.problems import BodyError
from ipp.api.query import LONGEST, fold, holds, mostrador_of, read_place, write_place
from ipp.api.wiring import Asked, By, Services
from ipp.core.contract import Kind
from ipp.core.tables import RESULTS
from ipp.errors import NotFoundError
from ipp.jobs.model import Job
from ipp.jobs.service import Caller

router = APIRouter(prefix="/ipp")

PAGE: Final = 100
"""Rows of a page where none is asked for."""

LARGEST: Final = 500
"""Most rows of a page."""

TIES: Final = ("mostrador", "material")
"""What tells the rows of a job apart: rows that are alike in the column asked for are in this order."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a job published, of one mostrador or of all of them; ``rows`` are of `RESULTS`, in no order."""

    job: Job
    mostrador: int | None
    rows: pl.LazyFrame


class Asking(BaseModel):
    """Which rows, in what order, and how many."""

    mostrador: str | None = None
    sort: Annotated[str, WithJsonSchema({"type": "string", "enum": list(RESULTS.names)})] = "mostrador"
    order: Literal["asc", "desc"] = "asc"
    q: Annotated[str, Field(max_length=LONGEST)] = ""
    limit: Annotated[int, Field(ge=1, le=LARGEST)] = PAGE
    cursor: str | None = None


@router.get("/results/{job_id}/rows")
def rows(asked: Asked, by: By, job_id: str, asking: Annotated[Asking, Query()]) -> dict[str, Any]:
    """A page of what a job published; ``q`` is searched for in material, ean and description."""
    sort, order, q = asking.sort, asking.order, asking.q
    if sort not in RESULTS.names:
        raise BodyError([("sort", f"no existe la columna «{sort}»; hay {', '.join(RESULTS.names)}")])
    found = published(asked, by, job_id, asking.mostrador)
    query = (by.user.sub, job_id, str(found.mostrador), sort, order, q)
    # Rows of a job that is completed do not change, so that a place in them is a number of rows.
    start = 0 if asking.cursor is None else read_place(asking.cursor, *query)
    matching = found.rows.filter(holds(q, numbers=("material", "ean"), texts=("description",))) if q else found.rows
    page = _sorted(matching, sort, order).slice(start, asking.limit).select(_readable())
    count, shown = pl.collect_all([matching.select(pl.len()), page])
    total, end = int(count.item()), start + len(shown)
    return {
        "job_id": job_id,
        "total": total,
        "rows": shown.to_dicts(),
        "next_cursor": write_place(end, *query) if end < total else None,
    }


def published(asked: Services, by: Caller, job_id: str, mostrador: str | None) -> Published:
    """What a job published, of ``mostrador`` alone where one is asked for.

    Raises `NotFoundError` for a job that is not the caller's or a mostrador that is not in it, `NotCompletedError`,
    and `BodyError` for what is no mostrador.
    """
    number = None if mostrador is None else mostrador_of(mostrador)
    job = asked.jobs.completed(by, job_id)
    found = asked.workspace.lakehouse.scan(RESULTS).filter(pl.col("job_id") == job_id)
    if number is None:
        return Published(job, None, found)
    if number not in job.mostradores:
        listed = ", ".join(map(str, job.mostradores[:10])) + (" …" if len(job.mostradores) > 10 else "")
        raise NotFoundError(f"El mostrador {number} no está en {job_id}.", hint=f"Están: {listed}.")
    return Published(job, number, found.filter(pl.col("mostrador") == number))


def _sorted(found: pl.LazyFrame, sort: str, order: str) -> pl.LazyFrame:
    """By the column with label ``sort``, empty cells last whichever way; texts as people look them up."""
    column = RESULTS.by_name[RESULTS.names[sort]]
    key = fold(pl.col(column.name)) if column.kind is Kind.TEXT else pl.col(column.name)
    return found.sort(key, *TIES, descending=[order == "desc", False, False], nulls_last=True)


def _readable() -> list[pl.Expr]:
    """The columns by their labels; an id is a text, because JSON's readers hold 15 digits and no leading zeros."""
    return [
        (
            pl.col(column.name).cast(pl.String).str.zfill(column.digits)
            if column.kind is Kind.ID
            else pl.col(column.name).cast(pl.String)
            if column.kind is Kind.DATE
            else pl.col(column.name)
        ).alias(column.label)
        for column in RESULTS.columns
    ]
