"""The charts of results, each at an address of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request, Response

from ipp.api.query import mostrador_of
from ipp.api.rows import check_published, completed
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
        svg = _drawn(asked, lakehouse, job, number, name, *_manner(request, tono, ancho))
        if svg is None:
            check_published(asked, job_id, number)
            raise NotFoundError(f"No hay una gráfica «{name[:40]}».", hint="Abra la página del mostrador.")
        return _image(svg)

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
        row = results_source.product(asked, lakehouse, job_id, number, results_source.material_of(material))
        known = row["demand_p50"] is not None and row["demand_p90"] is not None
        band = (row["demand_p50"], row["demand_p90"]) if known else None
        sold = results_source.by_week(lakehouse, number, row["material"], job.cutoff)
        say, tone = _manner(request, tono, ancho)
        return _image(charts.history(sold, band, job.cutoff, job.parameters.cover_days, say, tone))

    return router


def _drawn(
    asked: Services, lakehouse: Lakehouse, job: Job, mostrador: int, name: str, say: Words, tone: charts.Tone
) -> str | None:
    """A chart of a mostrador by its name; None where there is none such, or nothing to show in it."""
    match name:
        case "factor":
            return _by_factor(asked, job, mostrador, say, tone)
        case "categorias" | "pareto":
            spent = results_source.spent(lakehouse, job.job_id, mostrador)
            draw = charts.by_category if name == "categorias" else charts.pareto
            return draw(spent, say, tone) if spent.total else None
        case "servicio":
            points = results_source.served(asked.warehouse.curve(job.job_id, mostrador))
            return charts.by_investment(points, say, tone) if points else None
    return None


def _by_factor(asked: Services, job: Job, mostrador: int, say: Words, tone: charts.Tone) -> str | None:
    """None where the mostrador has no factor, or what the stages left is no longer there."""
    frame = results_source.processed(asked.files, job.job_id, mostrador)
    points = [] if frame is None else results_source.by_factor(frame, job.parameters)
    if frame is None or not points:
        return None
    chosen, target = frame.select("rounding_factor", "target_investment").head(1).collect().row(0)
    return charts.by_factor(points, chosen, target, say, tone)


def _manner(request: Request, tono: str, ancho: str) -> tuple[Words, charts.Tone]:
    """In which words, colours and width a chart is asked for."""
    tone = charts.DARK if tono == "oscuro" else charts.LIGHT
    return spoken(request), replace(tone, width=charts.NARROW) if ancho == "angosto" else tone


def _image(svg: str) -> Response:
    return Response(svg, media_type="image/svg+xml", headers={"Content-Security-Policy": POLICY})
