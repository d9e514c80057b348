"""Draw fill rate against units held, for each policy, as a document that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ipp.core.replay.frontier import FrontierPoint
from ipp.core.replay.policy import PolicyKind
from ipp.formats.chart.plot import Axis, Plot
from ipp.formats.chart.scale import COUNT_FORMAT, PERCENT_FORMAT, fit_number_ticks, number_ticks

_POLICY_NAMES: Final = {
    PolicyKind.IPP: "Predictivo (IPP)",
    PolicyKind.SPP: "Tradicional (SPP)",
    PolicyKind.MEDIA13: "Media de 13 periodos",
}

_CHART_HEADING: Final = "Servicio contra piezas en inventario"
_CHART_DESCRIPTION: Final = (
    "Una línea por política: qué parte de la demanda sirve con cada cantidad de piezas."
)
_WIDTH_PIXELS: Final = 720
_HEIGHT_PIXELS: Final = 440
_VERTICAL_TICKS: Final = 8

_STYLE_SHEET: Final = (
    "svg{background:#fff}text{font:12px sans-serif;fill:#333}.heading{font-weight:bold}"
    "path{fill:none}.grid{stroke:#ddd}.axis{stroke:#888}"
    ".ipp,.spp,.media13{stroke-width:2;stroke-linecap:round}"
    ".ipp{stroke:#0b5c7a}.spp{stroke:#c2570c}.media13{stroke:#a3231f;stroke-dasharray:6 4}"
    "circle.ipp{fill:#0b5c7a}circle.spp{fill:#c2570c}circle.media13{fill:#a3231f}"
)
"""Colours on white, whatever the theme of the page or program around the document."""


def render_frontier(points: Sequence[FrontierPoint]) -> str:
    """Return an SVG chart of fill rate against units held, with a line for each policy."""
    held = fit_number_ticks(
        [0.0, *(point.held for point in points)], COUNT_FORMAT, 0.85 * _WIDTH_PIXELS
    )
    served = number_ticks([point.fill_rate for point in points], PERCENT_FORMAT, _VERTICAL_TICKS)
    plot = Plot(
        _WIDTH_PIXELS,
        _HEIGHT_PIXELS,
        Axis(held, "Piezas al final del periodo, en promedio"),
        Axis(served, "Parte de la demanda que se sirvió"),
        _CHART_HEADING,
    )
    kinds = [kind for kind in _POLICY_NAMES if any(point.kind is kind for point in points)]
    for kind in kinds:
        own = sorted((p for p in points if p.kind is kind), key=lambda point: point.held)
        places = [(point.held, point.fill_rate) for point in own]
        plot.add_line(places, kind.value)
        plot.add_dots(places, kind.value, [_describe_point(point) for point in own])
    plot.add_legend([(kind.value, _POLICY_NAMES[kind]) for kind in kinds])
    return plot.draw(_CHART_HEADING, _CHART_DESCRIPTION, "chart", _STYLE_SHEET)


def _describe_point(point: FrontierPoint) -> str:
    name = _POLICY_NAMES[point.kind]
    return (
        f"{name}, ajuste {point.setting:g}: "
        f"sirve el {point.fill_rate:.1%} con {point.held:,.0f} piezas"
    )
