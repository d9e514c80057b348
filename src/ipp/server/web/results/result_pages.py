"""Resultados: a job's results by mostrador and by product, and their changes between jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from ipp.core.money import add_pesos
from ipp.core.tables import NOTICES
from ipp.jobs.job import Job, JobStatus
from ipp.jobs.job_service import Caller
from ipp.jobs.job_store import JobCursor
from ipp.jobs.stage_files import read_rule_history
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.problem_response import BodyError, CounterFailedError
from ipp.server.api.query_parameter import parse_counter_id
from ipp.server.api.row_routes import check_published, completed_job
from ipp.server.web.page import HTMX_REQUEST_HEADER, PageRoute, render_framed_page
from ipp.server.web.results import comparison, result_charts, result_source
from ipp.server.web.results.calculation_steps import calculation_steps
from ipp.server.web.results.product_rows import (
    TableAddress,
    TableQuery,
    category_parameter,
    last_page_number,
    row_cells,
)
from ipp.server.web.translations import Translations, request_translations
from ipp.storage.warehouse.warehouse import TableRow

MAX_EARLIER_JOBS: Final = 50
"""Earlier jobs offered for comparison, at most: the newest."""

NOTICES_SHOWN: Final = 20
"""Notices of a job that are shown, at most: a fault of all its data has one cause."""


router: Final = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/procesos/{job_id}/resultados")
def show_results(
    request: Request, services: ServicesDep, caller: CallerDep, job_id: str
) -> Response:
    """Show the results of each mostrador, their total, and which mostradores failed."""
    job = completed_job(services, caller, job_id, None)
    summary = services.warehouse.job_summary(job_id)
    failures = (
        services.warehouse.failed_counters(job_id) if len(summary) < len(job.mostradores) else ()
    )
    notices = services.warehouse.notices(job_id)
    values = {
        "summary": summary,
        "failures": failures,
        "notices": notices[:NOTICES_SHOWN],
        "more_notices": len(notices) - NOTICES_SHOWN,
        "notice_table": NOTICES.full_name(services.warehouse.catalog),
        "total": _total_line(summary),
        "names": services.warehouse.counter_names(job.mostradores),
        "earlier": _earlier_jobs(services, caller, job),
    }
    return _render_page(request, "resultados.html", caller, job=job, **values)


@router.get("/procesos/{job_id}/resultados/{mostrador}")
def show_counter(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    mostrador: str,
    given: Annotated[TableAddress, Query()],
) -> Response:
    """Show a mostrador's figures, charts and products, or why it failed.

    For htmx, return the table of products alone.
    """
    number = parse_counter_id(mostrador)
    job = completed_job(services, caller, job_id, number)
    query = TableQuery.parse(f"/procesos/{job_id}/resultados/{number}", given)
    if HTMX_REQUEST_HEADER in request.headers:
        return _render_page(
            request,
            "resultados_tabla.html",
            caller,
            **_product_page(services, job_id, number, query),
        )
    values: dict[str, Any] = {
        "job": job,
        "mostrador": number,
        "name": services.counter_name(number),
    }
    try:
        values |= _counter_view(services, job, number, query, request_translations(request))
    except CounterFailedError as error:
        values |= {"problem": error, "figures": None}
    return _render_page(request, "resultados_mostrador.html", caller, **values)


@router.get("/procesos/{job_id}/resultados/{mostrador}/productos/{material}")
def show_product(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    mostrador: str,
    material: str,
) -> Response:
    """Show how a product's quantity was calculated.

    For htmx, return it without the page's frame and without its history, whose sales take longer to
    read than all the rest: the fragment asks for `show_history` itself.
    """
    job, row = _find_product(services, caller, job_id, mostrador, material)
    partial, say = HTMX_REQUEST_HEADER in request.headers, request_translations(request)
    return _render_page(
        request,
        "resultados_detalle.html" if partial else "resultados_producto.html",
        caller,
        job=job,
        mostrador=row["mostrador"],
        row=row,
        parts=calculation_steps(read_rule_history(services.files, job_id, row)),
        shown=result_charts.describe_history(job, row, say),
        history=None if partial else result_charts.history_chart(services, job, row, say),
    )


@router.get("/procesos/{job_id}/resultados/{mostrador}/productos/{material}/historia")
def show_history(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    mostrador: str,
    material: str,
) -> Response:
    """Return the chart of a product's sales and forecast, a part of its page."""
    job, row = _find_product(services, caller, job_id, mostrador, material)
    chart = result_charts.history_chart(services, job, row, request_translations(request))
    return _render_page(request, "resultados_historia.html", caller, history=chart)


@router.get("/procesos/{job_id}/comparar")
def show_comparison(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    con: str = "",
    mostrador: str = "",
) -> Response:
    """Show what rose and what fell since an earlier job of the caller's."""
    if not con:
        raise BodyError([("con", "falta el proceso con que se compara")])
    number = parse_counter_id(mostrador) if mostrador else None
    job, other = (
        completed_job(services, caller, job_id, number),
        completed_job(services, caller, con, None),
    )
    changes = services.warehouse.compare_jobs(con, job_id, number, comparison.MAX_SHOWN_PRODUCTS)
    terms = comparison.changed_parameters(other, job)
    values = {"job": job, "other": other, "changes": changes, "terms": terms, "mostrador": number}
    values["there"] = frozenset(job.mostradores)
    return _render_page(
        request, "resultados_comparar.html", caller, shown=comparison.MAX_SHOWN_PRODUCTS, **values
    )


def _product_page(
    services: Services, job_id: str, mostrador: int, query: TableQuery
) -> dict[str, Any]:
    """Return a page of the table of products; the last one if the address asks for one beyond.

    Raises `CounterFailedError`.
    """
    page = services.warehouse.query_rows(query.to_row_query(job_id, mostrador))
    if not page.total:
        check_published(services, job_id, mostrador)
    last = last_page_number(page.total)
    if query.page > last:
        query = replace(query, page=last)
        page = services.warehouse.query_rows(query.to_row_query(job_id, mostrador))
    rows = [(row["material"], row_cells(row)) for row in page.rows]
    return {"query": query, "rows": rows, "total": page.total, "last": last}


def _find_product(
    services: Services, caller: Caller, job_id: str, mostrador: str, material: str
) -> tuple[Job, TableRow]:
    """Return a completed job, and what it published of the product that an address names."""
    number = parse_counter_id(mostrador)
    job = completed_job(services, caller, job_id, number)
    parsed = result_source.parse_material(material)
    return job, result_source.find_product(services, job_id, number, parsed)


def _counter_view(
    services: Services, job: Job, mostrador: int, query: TableQuery, say: Translations
) -> dict[str, Any]:
    """Return a mostrador's figures, charts and table; of none published, ``figures`` is None.

    Raises `CounterFailedError`.
    """
    table = _product_page(services, job.job_id, mostrador, query)
    figures = next(iter(services.warehouse.job_summary(job.job_id, mostrador)), None)
    if figures is None:
        return {**table, "figures": None}
    curve = result_source.served_points(services.warehouse.investment_curve(job.job_id, mostrador))
    spent = result_source.break_down_investment(services.warehouse, job.job_id, mostrador)
    return {
        **table,
        "figures": figures,
        "categories": spent.categories,
        "category_word": category_parameter,
        "charts": result_charts.counter_charts(services, job, figures, curve, spent, say),
    }


def _total_line(summary: Sequence[TableRow]) -> dict[str, Any]:
    """Return the sums over all mostradores; the target is None if any mostrador has none."""
    targets = [row["target_investment"] for row in summary]
    counts = ("products", "products_with_stock", "units", "products_with_unknown_stock")
    amounts = ("investment", "value_with_unknown_stock")
    return {
        **{name: sum(row[name] for row in summary) for name in counts},
        **{name: add_pesos(row[name] for row in summary) for name in amounts},
        "target_investment": None if None in targets else add_pesos(targets),
    }


def _earlier_jobs(services: Services, caller: Caller, job: Job) -> Sequence[Job]:
    """Return the caller's completed jobs that were created before ``job``, newest first."""
    return services.jobs.list_jobs(
        caller,
        status=JobStatus.COMPLETED,
        limit=MAX_EARLIER_JOBS,
        after=JobCursor(job.created_at, job.job_id),
    )


def _render_page(request: Request, template: str, caller: Caller, **values: Any) -> Response:
    return render_framed_page(request, template, caller, here="procesos", **values)
