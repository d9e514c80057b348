"""Render charts as SVG without a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ipp.core.replay.frontier import FrontierPoint

_POLICY_NAMES: Final = {
    "ipp": "Predictivo (IPP)",
    "spp": "Tradicional (SPP)",
    "media13": "Media de 13 periodos",
}

_NUMBER_LOCALE: Final = {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["$", ""]}

_PRINT_THEME: Final[Mapping[str, Any]] = {
    "font": "sans-serif",
    "background": "white",
    "view": {"stroke": None},
}
"""A white background, whatever the theme of the page around the chart."""


def render_frontier(points: Sequence[FrontierPoint]) -> str:
    """Return an SVG chart of fill rate against units held, with a line for each policy."""
    return render_chart(
        {
            "title": {"text": "Servicio contra piezas en inventario", "anchor": "start"},
            "data": {"values": [_point_values(point) for point in points]},
            "width": 640,
            "height": 380,
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": {
                    "field": "piezas",
                    "type": "quantitative",
                    "title": "Piezas al final del periodo, en promedio",
                },
                "y": {
                    "field": "servicio",
                    "type": "quantitative",
                    "title": "Parte de la demanda que se sirvió",
                    "scale": {"zero": False},
                    "axis": {"format": ".0%"},
                },
                "color": {
                    "field": "politica",
                    "type": "nominal",
                    "title": None,
                    "legend": {"orient": "bottom-right"},
                },
                "order": {"field": "piezas"},
            },
        }
    )


def _point_values(point: FrontierPoint) -> dict[str, Any]:
    return {
        "politica": _POLICY_NAMES[point.kind.value],
        "ajuste": point.setting,
        "servicio": point.fill_rate,
        "piezas": point.held,
    }


def render_chart(chart: Mapping[str, Any], look: Mapping[str, Any] = _PRINT_THEME) -> str:
    """Return a Vega-Lite chart as SVG, its numbers as in Mexico; ``look`` is Vega-Lite's config."""
    import vl_convert  # noqa: PLC0415  # The renderer is heavier than all the rest of a command.

    svg: str = vl_convert.vegalite_to_svg(
        {**chart, "config": look}, vl_version="5.20", format_locale=_NUMBER_LOCALE
    )
    return svg
