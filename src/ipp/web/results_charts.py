"""The charts of results, each at an address of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request, Response

from ipp.api.query import mostrador_of
from ipp.api.rows import completed
from ipp.api.wiring import Asked, By, Services
from ipp.errors import NotFoundError
from ipp.jobs.model import Job
from ipp.lakehouse.base import Lakehouse
from ipp.web import charts, results_source
from ipp.web.pages import PageRoute
from ipp.web.words import Words, spoken

POLICY: Final = "default-src 'none'; style-src 'none'; frame-ancestors 'none'; sandbox"
"""What a chart may do where somebody opens it by itself: nothing."""


def routes(lakehouse: Lakehouse) -> APIRouter:
    """The charts, over the tables of ``lakehouse``: on a dark page ``tono=oscuro``, on a phone ``ancho=angosto``."""
    router = APIRouter(route_class=PageRoute)

    @router.get("/procesos/{job_id}/resultados/{mostrador}/graficas/{name}.svg")
    def chart(
        request: Request, asked: Asked, by: By, job_id: str, mostrador: str, name: str, tono: str = "", ancho: str = ""
    ) -> Response:
        """A chart of a mostrador."""
        number = mostrador_of(mostrador)
        job = completed(asked, by, job_id, number)
        say, tone = _manner(request, tono, ancho)
        match name:
            case "factor":
                return _image(_by_factor(asked, job, number, say, tone))
            case "categorias":
                return _image(charts.by_category(results_source.spent(lakehouse, job_id, number), say, tone))
            case "pareto":
                return _image(charts.pareto(results_source.spent(lakehouse, job_id, number), say, tone))
            case "servicio":
                return _image(charts.by_investment(asked.warehouse.curve(job_id, number), say, tone))
        raise NotFoundError(f"No hay una gráfica «{name[:40]}».", hint="Abra la página del mostrador.")

    @router.get("/procesos/{job_id}/resultados/{mostrador}/productos/{material}/historia.svg")
    def history(
        request: Request,
        asked: Asked,
        by: By,
        job_id: str,
        mostrador: str,
        material: str,
        tono: str = "",
        ancho: str = "",
    ) -> Response:
        """What a product sold each week up to the job's cutoff, and what is expected of it."""
        number = mostrador_of(mostrador)
        job = completed(asked, by, job_id, number)
        row = results_source.product(lakehouse, job_id, number, results_source.material_of(material))
        known = row["demand_p50"] is not None and row["demand_p90"] is not None
        band = (row["demand_p50"], row["demand_p90"]) if known else None
        sold = results_source.by_week(lakehouse, number, row["material"], job.cutoff)
        say, tone = _manner(request, tono, ancho)
        return _image(charts.history(sold, band, job.cutoff, job.parameters.cover_days, say, tone))

    return router


def _by_factor(asked: Services, job: Job, mostrador: int, say: Words, tone: charts.Tone) -> str:
    """Raises `NotFoundError` where the mostrador has no factor, or what the stages left is no longer there."""
    frame = results_source.processed(asked.files, job.job_id, mostrador)
    left = None if frame is None else results_source.by_factor(frame, job.parameters)
    if frame is None or not left:
        raise NotFoundError("No hay inversión por factor.", hint="Sólo la tiene el modelo tradicional (SPP).")
    chosen, target = frame.select("rounding_factor", "target_investment").head(1).collect().row(0)
    return charts.by_factor(left, chosen, target, say, tone)


def _manner(request: Request, tono: str, ancho: str) -> tuple[Words, charts.Tone]:
    """In which words, colours and width a chart is asked for."""
    say = spoken(request.headers.get("accept-language", ""), request.cookies.get("ipp_idioma", ""))
    tone = charts.DARK if tono == "oscuro" else charts.LIGHT
    return say, replace(tone, width=charts.NARROW) if ancho == "angosto" else tone


def _image(svg: str) -> Response:
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Language, Cookie",
    }
    return Response(svg, media_type="image/svg+xml", headers=headers)
