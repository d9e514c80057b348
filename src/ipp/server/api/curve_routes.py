"""What each investment of a counter would have served, for the counters of the predictive model."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ipp.errors import NotFoundError
from ipp.server.api.dependencies import Asked, By
from ipp.server.api.openapi_models import Curve, said
from ipp.server.api.query_parameter import mostrador_of
from ipp.server.api.row_routes import check_published, completed

router = APIRouter(prefix="/ipp")


@router.get("/results/{job_id}/curve", responses=said(Curve))
def curve(asked: Asked, by: By, job_id: str, mostrador: str) -> dict[str, Any]:
    """Fill rate by investment, rising, and where what was published stands; 404 for the traditional model."""
    number = mostrador_of(mostrador)
    completed(asked, by, job_id, number)
    points = asked.warehouse.curve(job_id, number)
    if not points:
        check_published(asked, job_id, number)
        raise NotFoundError(
            f"El mostrador {number} no tiene curva en {job_id}.", hint="Sólo la tiene el modelo predictivo (IPP)."
        )
    return {"job_id": job_id, "mostrador": str(number), "points": list(points)}
