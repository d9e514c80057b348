"""Route of the curve of fill rate by investment, for predictive-model counters."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ipp.errors import NotFoundError
from ipp.server.api.dependencies import CallerDep, ServicesDep
from ipp.server.api.job_answer import Curve, counter_curve, describe_answer
from ipp.server.api.query_parameter import StrictRoute, parse_counter_id
from ipp.server.api.row_routes import check_published, completed_job

router = APIRouter(prefix="/ipp", route_class=StrictRoute)


@router.get(
    "/results/{job_id}/curve", responses=describe_answer(Curve), response_model=dict[str, Any]
)
def curve(services: ServicesDep, caller: CallerDep, job_id: str, mostrador: str) -> Curve:
    """Return fill rate by ascending investment, the chosen point marked; 404 if traditional."""
    number = parse_counter_id(mostrador)
    completed_job(services, caller, job_id, number)
    points = services.warehouse.investment_curve(job_id, number)
    if not points:
        check_published(services, job_id, number)
        raise NotFoundError(
            f"El mostrador {number} no tiene curva en {job_id}.",
            hint="Sólo la tiene el modelo predictivo (IPP).",
        )
    return counter_curve(job_id, number, points)
