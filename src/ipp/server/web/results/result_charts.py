"""Charts of results, each at an address of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request, Response

from ipp.errors import NotFoundError
from ipp.jobs.job import Job
from ipp.jobs.stage_files import investment_by_factor
from ipp.server.api.dependencies import CallerDep, Services, ServicesDep
from ipp.server.api.query_parameter import parse_counter_id
from ipp.server.api.row_routes import check_published, completed_job
from ipp.server.web import svg_chart
from ipp.server.web.page import PageRoute
from ipp.server.web.results import result_source
from ipp.server.web.translations import Translations, request_translations

CHART_CONTENT_POLICY: Final = (
    "default-src 'none'; style-src 'none'; frame-ancestors 'none'; sandbox"
)
"""Content-Security-Policy of a chart that is opened by itself: it may do nothing."""


router: Final = APIRouter(route_class=PageRoute)
"""Routes of the charts: ``tono=oscuro`` is for a dark page, ``ancho=angosto`` for a phone."""


@router.get("/procesos/{job_id}/resultados/{mostrador}/graficas/{name}.svg")
def show_chart(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    mostrador: str,
    name: str,
    tono: str = "",
    ancho: str = "",
) -> Response:
    """Draw a chart of a mostrador."""
    number = parse_counter_id(mostrador)
    job = completed_job(services, caller, job_id, number)
    svg = _draw_chart(services, job, number, name, *_chart_options(request, tono, ancho))
    if svg is None:
        check_published(services, job_id, number)
        raise NotFoundError(
            f"No hay una gráfica «{name[:40]}».", hint="Abra la página del mostrador."
        )
    return _svg_response(svg)


@router.get("/procesos/{job_id}/resultados/{mostrador}/productos/{material}/historia.svg")
def show_history(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    job_id: str,
    mostrador: str,
    material: str,
    tono: str = "",
    ancho: str = "",
) -> Response:
    """Draw a product's weekly sales up to the job's cutoff, and its forecast."""
    number = parse_counter_id(mostrador)
    job = completed_job(services, caller, job_id, number)
    row = result_source.find_product(
        services, job_id, number, result_source.parse_material(material)
    )
    has_forecast = row["demand_p50"] is not None and row["demand_p90"] is not None
    band = (row["demand_p50"], row["demand_p90"]) if has_forecast else None
    sold = result_source.weekly_sales(services.warehouse, number, row["material"], job.cutoff)
    say, tone = _chart_options(request, tono, ancho)
    return _svg_response(
        svg_chart.draw_history(sold, band, job.cutoff, job.parameters.cover_days, say, tone)
    )


def _draw_chart(
    services: Services,
    job: Job,
    mostrador: int,
    name: str,
    say: Translations,
    tone: svg_chart.ChartTheme,
) -> str | None:
    """Draw the chart called ``name``; return None if it does not exist or would be empty."""
    match name:
        case "factor":
            return _draw_by_factor(services, job, mostrador, say, tone)
        case "categorias" | "pareto":
            spent = result_source.break_down_investment(services.warehouse, job.job_id, mostrador)
            draw = svg_chart.draw_by_category if name == "categorias" else svg_chart.draw_pareto
            return draw(spent, say, tone) if spent.total else None
        case "servicio":
            points = result_source.served_points(
                services.warehouse.investment_curve(job.job_id, mostrador)
            )
            return svg_chart.draw_by_investment(points, say, tone) if points else None
    return None


def _draw_by_factor(
    services: Services, job: Job, mostrador: int, say: Translations, tone: svg_chart.ChartTheme
) -> str | None:
    """Draw the investment by rounding factor.

    Return None if the mostrador has no factor or the stages' files are gone.
    """
    points = investment_by_factor(services.files, job.job_id, mostrador, job.parameters)
    summary = services.warehouse.job_summary(job.job_id, mostrador)
    if not points or not summary:
        return None
    chosen, target = summary[0]["rounding_factor"], summary[0]["target_investment"]
    return svg_chart.draw_by_factor(points, chosen, target, say, tone)


def _chart_options(
    request: Request, tono: str, ancho: str
) -> tuple[Translations, svg_chart.ChartTheme]:
    """Return the phrases and the theme, with its width, that a chart is asked for."""
    tone = svg_chart.DARK_THEME if tono == "oscuro" else svg_chart.LIGHT_THEME
    if ancho == "angosto":
        tone = replace(tone, width=svg_chart.PHONE_WIDTH_PIXELS)
    return request_translations(request), tone


def _svg_response(svg: str) -> Response:
    return Response(
        svg, media_type="image/svg+xml", headers={"Content-Security-Policy": CHART_CONTENT_POLICY}
    )
