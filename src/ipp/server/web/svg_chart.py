"""Charts of results as SVG, for light and for dark pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ipp.core.predictive.weeks import WEEK_DAYS
from ipp.formats.chart import render_chart
from ipp.server.web.results.result_source import InvestmentBreakdown
from ipp.server.web.translations import Translations

MAX_CATEGORY_BARS: Final = 15
"""Categories with a bar of their own: those with the most money."""

PHONE_WIDTH_PIXELS: Final = 270
"""Width of a chart on a phone: scaled down from a wider one, its text would be illegible."""

_HEIGHT_PIXELS: Final = 260
_MAX_UNIT_TICKS: Final = 6
"""Largest number of pieces for which the axis has a tick at each."""

_TICK_SPACING_PIXELS: Final = 85
"""Pixels of an axis per tick."""

_MAX_CURVE_POINTS: Final = 300
"""Points of a curve, at most: more would not be visible."""

_MONEY_FORMAT: Final = "$,.0f"
_COUNT_FORMAT: Final = ",d"


@dataclass(frozen=True, slots=True)
class ChartTheme:
    """The colours of a chart and its ``width`` in pixels.

    They are the style sheet's, for a light or a dark page.
    """

    ink: str
    line: str
    main: str
    mark: str
    width: int = 520

    @property
    def vega_config(self) -> Mapping[str, Any]:
        """Vega-Lite's config; the background is transparent."""
        ink = dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor"), self.ink)
        size = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
        axis = {**ink, **size, "gridColor": self.line}
        return {"font": "sans-serif", "background": None, "view": {"stroke": None}, "axis": axis}

    @property
    def chosen_mark(self) -> Mapping[str, Any]:
        """The mark of the chosen point."""
        return {"type": "point", "filled": True, "size": 90, "opacity": 1, "color": self.mark}


LIGHT_THEME: Final = ChartTheme(ink="#525c66", line="#d5dadf", main="#0b5c7a", mark="#a3231f")
DARK_THEME: Final = ChartTheme(ink="#a9b4bd", line="#3a434a", main="#7cc7e8", mark="#ff9c95")


def draw_by_factor(
    points: Sequence[Mapping[str, float]],
    chosen: float | None,
    target: float | None,
    say: Translations,
    tone: ChartTheme,
) -> str:
    """Draw the investment at each rounding factor, with the chosen one and the target marked."""
    line = {
        "data": {"values": list(points)},
        "mark": {"type": "line", "color": tone.main},
        "encoding": {
            "x": _number_axis("factor", say("res_c_rounding_factor"), ".2f", tone),
            "y": _number_axis("investment", say("res_g_inversion"), _MONEY_FORMAT, tone),
        },
    }
    layers = [line]
    if target is not None:
        layers.append(_reference_line("y", "investment", target, tone, dashed=True))
    if chosen is not None:
        layers.append(_reference_line("x", "factor", chosen, tone))
        marked = [point for point in points if abs(point["factor"] - chosen) < 1e-9]
        layers.append({**line, "data": {"values": marked}, "mark": tone.chosen_mark})
    return _layered_chart(layers, tone)


def draw_by_category(breakdown: InvestmentBreakdown, say: Translations, tone: ChartTheme) -> str:
    """Draw a bar of investment per category, descending; the smallest share the last one."""
    rows = [
        {"category": each["category"] or say("res_sin_categoria"), "investment": each["investment"]}
        for each in breakdown.categories
    ]
    rest = sum(each["investment"] for each in rows[MAX_CATEGORY_BARS:])
    rows = rows[:MAX_CATEGORY_BARS] + (
        [{"category": say("res_g_otras"), "investment": rest}] if rest > 0 else []
    )
    chart = {
        "data": {"values": rows},
        "width": tone.width,
        "height": {"step": 18},
        "mark": {"type": "bar", "color": tone.main},
        "encoding": {
            "x": _number_axis("investment", say("res_g_inversion"), _MONEY_FORMAT, tone),
            "y": {"field": "category", "type": "nominal", "sort": None, "title": None},
        },
    }
    return render_chart(chart, tone.vega_config)


def draw_pareto(breakdown: InvestmentBreakdown, say: Translations, tone: ChartTheme) -> str:
    """Draw the Pareto curve: share of the investment held by the n largest products."""
    shares = breakdown.shares
    step = max(1, len(shares) // _MAX_CURVE_POINTS)
    indices = sorted({*range(0, len(shares), step), len(shares) - 1} if shares else ())
    points = [
        {"products": 0, "share": 0.0},
        *({"products": n + 1, "share": shares[n]} for n in indices),
    ]
    line = {
        "data": {"values": points},
        "mark": {"type": "line", "color": tone.main},
        "encoding": {
            "x": _number_axis("products", say("res_g_productos"), _COUNT_FORMAT, tone),
            "y": _number_axis("share", say("res_g_parte"), ".0%", tone),
        },
    }
    return _layered_chart([line, _reference_line("x", "products", breakdown.few, tone)], tone)


def draw_by_investment(
    points: Sequence[Mapping[str, Any]], say: Translations, tone: ChartTheme
) -> str:
    """Draw the expected fill rate at each investment, with the published one marked."""
    line = {
        "data": {"values": [dict(point) for point in points]},
        "mark": {"type": "line", "color": tone.main},
        "encoding": {
            "x": _number_axis("investment", say("res_g_inversion"), _MONEY_FORMAT, tone),
            "y": _number_axis("fill_rate", say("res_c_fill_rate"), ".0%", tone),
        },
    }
    chosen = {
        **line,
        "data": {"values": [dict(point) for point in points if point["chosen"]]},
        "mark": tone.chosen_mark,
    }
    return _layered_chart([line, chosen], tone)


def draw_history(
    sold: pl.DataFrame,
    band: tuple[int, int] | None,
    cutoff: dt.date,
    cover_days: float,
    say: Translations,
    tone: ChartTheme,
) -> str:
    """Draw a product's weekly sales, their moving sum over the days of cover, and the forecast.

    ``band`` is the p50 and p90 of demand in the days of cover, the quantities that it does not
    exceed half of the times and 9 times of 10.
    """
    # The forecast is of demand in the days of cover, so sales are summed over as many whole weeks
    # to compare: with 30 days of cover, over round(30 / 7) = 4 weeks.
    window_weeks = max(1, round(cover_days / WEEK_DAYS))
    summed = sold.with_columns(
        summed=pl.col("units").rolling_sum(window_weeks, min_samples=window_weeks)
    )
    values = [{**row, "end": row["end"].isoformat()} for row in summed.iter_rows(named=True)]
    axis = _number_axis("units", say("res_g_piezas"), _COUNT_FORMAT, tone)
    units = [value[name] or 0 for value in values for name in ("units", "summed")]
    largest = max([band[1] if band else 0, *units])
    if largest <= _MAX_UNIT_TICKS:
        # Name the ticks, or Vega would mark halves of a piece.
        axis["axis"]["values"] = list(range(int(largest) + 2))
    layers = _sales_layers(values, axis, tone)
    if band is not None:
        # Make the band at least a fortieth as wide as the history, or it would not be visible:
        # 7 days of cover beside 1,080 days of sales are drawn 1,080 / 40 = 27 days wide.
        history_days = (cutoff - sold.row(0, named=True)["end"]).days if len(sold) else 0
        band_end = cutoff + dt.timedelta(days=max(cover_days, history_days / 40))
        layers += _forecast_layers(band, cutoff, band_end, axis, tone)
    return _layered_chart(layers, tone)


_DATE_AXIS: Final[Mapping[str, Any]] = {
    "type": "temporal",
    "title": None,
    "scale": {"type": "utc"},
    "axis": {
        "format": "%m/%Y",
        "tickCount": {"interval": "month", "step": 1},
        "labelOverlap": True,
    },
}


def _sales_layers(
    values: Sequence[Mapping[str, Any]], axis: Mapping[str, Any], tone: ChartTheme
) -> list[Mapping[str, Any]]:
    """Return a bar for each week's units, and a line of their moving sum."""
    x = {"field": "end", **_DATE_AXIS}
    bars = {
        "data": {"values": list(values)},
        "mark": {"type": "bar", "color": tone.ink, "opacity": 0.55, "width": 3},
        "encoding": {"x": x, "y": axis},
    }
    line = {
        "data": {"values": [value for value in values if value["summed"] is not None]},
        "mark": {"type": "line", "color": tone.main},
        "encoding": {"x": x, "y": {**axis, "field": "summed"}},
    }
    return [bars, line]


def _forecast_layers(
    band: tuple[int, int],
    start: dt.date,
    end: dt.date,
    axis: Mapping[str, Any],
    tone: ChartTheme,
) -> list[Mapping[str, Any]]:
    """Return an area between both quantiles of ``band``, and a line at each."""
    low, high = band
    forecast = {"from": start.isoformat(), "to": end.isoformat(), "p50": low, "p90": high}
    data = {"data": {"values": [forecast]}}
    ends = {"x": {"field": "from", **_DATE_AXIS}, "x2": {"field": "to"}}
    area = {
        **data,
        "mark": {"type": "rect", "color": tone.mark, "opacity": 0.35},
        "encoding": ends | {"y": {**axis, "field": "p50"}, "y2": {"field": "p90"}},
    }
    levels = [
        {
            **data,
            "mark": {"type": "rule", "color": tone.mark, "size": 2},
            "encoding": ends | {"y": {**axis, "field": name}},
        }
        for name in ("p50", "p90")
    ]
    return [area, *levels]


def _number_axis(field: str, title: str, form: str, tone: ChartTheme) -> dict[str, Any]:
    axis: dict[str, Any] = {"format": form, "tickCount": tone.width // _TICK_SPACING_PIXELS}
    if form == _COUNT_FORMAT:
        axis["tickMinStep"] = 1
    return {"field": field, "type": "quantitative", "title": title, "axis": axis}


def _reference_line(
    way: str, field: str, value: float, tone: ChartTheme, *, dashed: bool = False
) -> dict[str, Any]:
    mark: dict[str, Any] = {"type": "rule", "color": tone.mark}
    if dashed:
        mark["strokeDash"] = [6, 4]
    return {
        "data": {"values": [{field: value}]},
        "mark": mark,
        "encoding": {way: {"field": field, "type": "quantitative"}},
    }


def _layered_chart(layers: Sequence[Mapping[str, Any]], tone: ChartTheme) -> str:
    return render_chart(
        {"width": tone.width, "height": _HEIGHT_PIXELS, "layer": list(layers)}, tone.vega_config
    )
