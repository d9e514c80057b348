"""Page of the changes of what all share: who, when, and each field before and after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from ipp.core.tables import CONFIGURATIONS
from ipp.server.api.change_routes import (
    CHANGED_TITLES,
    ChangeDocument,
    ChangeId,
    SearchText,
    change_page,
)
from ipp.server.api.configuration_routes import UPDATED_COLUMN
from ipp.server.api.dependencies import CallerDep, ServicesDep
from ipp.server.api.query_parameter import parse_counter_id
from ipp.server.web.configuration_pages import PAGE_SECTION, PAGES_PATH
from ipp.server.web.page import PageRoute, render_framed_page
from ipp.storage.change_record import ChangeState, Door, Operation, changed_fields
from ipp.storage.warehouse.warehouse import ChangeQuery

PAGE_ROWS: Final = 50
"""Changes per page."""

_OPERATION_PHRASES: Final[Mapping[str, str]] = {
    Operation.CREATE: "cam_creo",
    Operation.UPDATE: "cam_cambio",
    Operation.DELETE: "cam_borro",
    Operation.IMPORT: "cam_importo",
    Operation.SAMPLE: "cam_muestra",
}
_DOOR_PHRASES: Final[Mapping[str, str]] = {
    Door.HTTP: "cam_http",
    Door.PAGE: "cam_pagina",
    Door.COMMAND: "cam_comando",
}
_COUNT_PHRASES: Final[Mapping[str, str]] = {
    "nuevos": "cam_nuevos",
    "cambiados": "cam_cambiados",
    "iguales": "cam_iguales",
    "rechazados": "cam_rechazados",
}
_UNSHOWN_LABEL: Final = CONFIGURATIONS.labels[UPDATED_COLUMN]
"""The date of a change, which the record itself tells."""

router: Final = APIRouter(prefix=PAGES_PATH, route_class=PageRoute, include_in_schema=False)


@router.get("/cambios")
def show_changes(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    objeto: str = "",
    mostrador: str = "",
    importacion: ChangeId = "",
    q: SearchText = "",
    cursor: str | None = None,
) -> Response:
    """Show the changes, the newest first: all, of one object, or of one mostrador."""
    title = objeto if objeto in CHANGED_TITLES else ""
    counter = parse_counter_id(mostrador) if mostrador else None
    wanted = ChangeQuery(
        limit=PAGE_ROWS, title=title, mostrador=counter, bulk_id=importacion, text=q
    )
    page = change_page(services, caller, wanted, cursor)
    return render_framed_page(
        request,
        "cambios.html",
        caller,
        here=PAGE_SECTION,
        changes=[_to_shown(change) for change in page["cambios"]],
        more=page["next_cursor"],
        later=cursor is not None,
        titles=CHANGED_TITLES,
        title_chosen=title,
        mostrador=counter,
        bulk_id=importacion,
        q=q,
        counts=_COUNT_PHRASES,
    )


def _to_shown(change: ChangeDocument) -> dict[str, Any]:
    """Return a change with its phrases, its moment and its fields before and after."""
    fields = changed_fields(change["antes"], change["despues"])
    return {
        **change,
        "moment": dt.datetime.fromisoformat(change["cuando"]),
        "phrase": _OPERATION_PHRASES[change["operacion"]],
        "door": _DOOR_PHRASES[change["puerta"]],
        "fields": [field for field in fields if field[0] != _UNSHOWN_LABEL],
        "unconfirmed": change["estado"] != ChangeState.DONE,
    }
