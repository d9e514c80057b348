"""Charts of results as SVG within a page, whose style sheet gives them their colours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ipp.core.money import add_pesos
from ipp.core.predictive.weeks import WEEK_DAYS
from ipp.formats.chart.plot import Axis, Plot
from ipp.formats.chart.scale import (
    COUNT_FORMAT,
    HUNDREDTHS_FORMAT,
    MONEY_FORMAT,
    PERCENT_FORMAT,
    NumberFormat,
    fit_number_ticks,
    month_ticks,
    name_ticks,
    number_ticks,
)
from ipp.server.web import formatting
from ipp.server.web.results.result_source import InvestmentBreakdown
from ipp.server.web.translations import Translations

MAX_CATEGORY_BARS: Final = 15
"""Categories with a bar of their own: those with the most money."""

_HEIGHT_PIXELS: Final = 300
_ROW_PIXELS: Final = 18
"""Height of a category's row, and the space that the axis below them takes."""

_BAR_PIXELS: Final = 13
_MAX_COLUMN_PIXELS: Final = 3
_VERTICAL_TICKS: Final = 6

_SIDE_PIXELS: Final = 90
"""About what the labels beside a plot take of its width."""

_MAX_CURVE_POINTS: Final = 300
"""Points of a curve, at most: more would not be visible."""


@dataclass(frozen=True, slots=True)
class ChartSize:
    """A width of charts, the class of those that have it, and their longest name of a row."""

    look: str
    width: int
    max_characters: int

    @property
    def room(self) -> int:
        """The pixels for the labels below a plot."""
        return self.width - _SIDE_PIXELS


CHART_SIZES: Final = (ChartSize("chart wide", 600, 24), ChartSize("chart narrow", 320, 14))
"""A page holds each chart in both sizes, and shows the one that its screen has room for.

On a phone the wide one would be scaled down until its text is illegible.
"""

DrawPlot = Callable[[ChartSize], Plot]
"""Draw a chart in a size."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a page: its title, what it shows in words, and its SVG elements."""

    title: str
    description: str
    svg: str


def render_chart(title: str, description: str, draw: DrawPlot, name: str = "") -> Chart:
    """Draw a chart in every size; who does not see it is told its ``name``, or else its title."""
    drawn = [draw(size).draw(name or title, description, size.look) for size in CHART_SIZES]
    return Chart(title, description, "".join(drawn))


def draw_by_factor(
    points: Sequence[Mapping[str, float]],
    chosen: float | None,
    target: float | None,
    say: Translations,
) -> DrawPlot:
    """Draw the investment at each rounding factor, with the chosen one and the target marked."""
    curve = [(point["factor"], point["investment"]) for point in points]
    targets = [] if target is None else [target]
    factors = _Measure(say("res_c_rounding_factor"), HUNDREDTHS_FORMAT, formatting.decimal)
    costs = _Measure(say("res_g_inversion"), MONEY_FORMAT, formatting.money)
    notes = _write_notes(curve, factors, costs)

    def draw(size: ChartSize) -> Plot:
        plot = _curve_plot(size, [*curve, *((0.0, each) for each in targets)], factors, costs)
        plot.add_line(curve, "line")
        for each in targets:
            plot.add_horizontal(each, "rule dashed")
        if chosen is not None:
            plot.add_vertical(chosen, "rule")
            plot.add_dots([point for point in curve if abs(point[0] - chosen) < 1e-9], "dot")
        plot.add_column_notes([x for x, _ in curve], notes)
        return plot

    return draw


def draw_by_category(breakdown: InvestmentBreakdown, say: Translations) -> DrawPlot:
    """Draw a bar of investment per category, descending; the smallest share the last one."""
    rows = [
        (each["category"] or say("res_sin_categoria"), each["investment"])
        for each in breakdown.categories
    ]
    rest = add_pesos(investment for _, investment in rows[MAX_CATEGORY_BARS:])
    rows = rows[:MAX_CATEGORY_BARS] + ([(say("res_g_otras"), rest)] if rest > 0 else [])
    names, costs = [name for name, _ in rows], [cost for _, cost in rows]
    notes = [f"{name}: {formatting.money(cost)}" for name, cost in rows]

    def draw(size: ChartSize) -> Plot:
        across = Axis(
            fit_number_ticks([0.0, *costs], MONEY_FORMAT, size.room), say("res_g_inversion")
        )
        down = Axis(name_ticks(names, size.max_characters), grid=False)
        height = _ROW_PIXELS * (len(rows) + 3)
        plot = Plot(size.width, height, across, down)
        plot.add_bars([(cost, float(row)) for row, cost in enumerate(costs)], "bars", _BAR_PIXELS)
        plot.add_row_notes(range(len(rows)), notes)
        return plot

    return draw


def draw_pareto(breakdown: InvestmentBreakdown, say: Translations) -> DrawPlot:
    """Draw the Pareto curve: share of the investment held by the n largest products."""
    shares = breakdown.shares
    step = max(1, len(shares) // _MAX_CURVE_POINTS)
    indices = sorted({*range(0, len(shares), step), len(shares) - 1} if shares else ())
    curve = [(0.0, 0.0), *((n + 1.0, shares[n]) for n in indices)]
    products = _Measure(say("res_g_productos"), COUNT_FORMAT, formatting.whole)
    part = _Measure(say("res_g_parte"), PERCENT_FORMAT, formatting.percent)
    return _draw_curve(curve, products, part, lambda plot: plot.add_vertical(breakdown.few, "rule"))


def draw_by_investment(points: Sequence[Mapping[str, Any]], say: Translations) -> DrawPlot:
    """Draw the expected fill rate at each investment, with the published one marked."""
    ascending = sorted(points, key=lambda point: float(point["investment"]))
    curve = [(point["investment"], point["fill_rate"]) for point in ascending]
    chosen = [(each["investment"], each["fill_rate"]) for each in points if each["chosen"]]
    costs = _Measure(say("res_g_inversion"), MONEY_FORMAT, formatting.money)
    rates = _Measure(say("res_c_fill_rate"), PERCENT_FORMAT, formatting.percent)
    return _draw_curve(curve, costs, rates, lambda plot: plot.add_dots(chosen, "dot"))


def draw_history(
    sold: pl.DataFrame,
    band: tuple[int, int] | None,
    cutoff: dt.date,
    cover_days: float,
    say: Translations,
) -> DrawPlot:
    """Draw a product's weekly sales, their moving sum over the days of cover, and the forecast.

    ``band`` is the p50 and p90 of demand in the days of cover, the quantities that it does not
    exceed half of the times and 9 times of 10.
    """
    # The forecast is of demand in the days of cover, so sales are summed over as many whole weeks
    # to compare: with 30 days of cover, over round(30 / 7) = 4 weeks.
    window_weeks = max(1, round(cover_days / WEEK_DAYS))
    sums = sold["units"].rolling_sum(window_weeks, min_samples=window_weeks).to_list()
    dated: list[tuple[dt.date, float]] = sold.select("end", "units").rows()
    weeks = [(end.toordinal(), units) for end, units in dated]
    moving = [(day, each) for (day, _), each in zip(weeks, sums, strict=True) if each is not None]
    first, last = (dated[0][0], dated[-1][0]) if dated else (cutoff, cutoff)
    # Make the band at least a fortieth as wide as the history, or it would not be visible: 7 days
    # of cover beside 1,080 days of sales are drawn 1,080 / 40 = 27 days wide.
    forecast_end = cutoff + dt.timedelta(days=max(cover_days, (cutoff - first).days / 40))
    units = [0.0, *(band or ()), *(each for _, each in weeks + moving)]
    notes = _history_notes(dated, sums, window_weeks, say)

    def draw(size: ChartSize) -> Plot:
        across = Axis(month_ticks(first, forecast_end if band else last, size.room))
        up = Axis(number_ticks(units, COUNT_FORMAT, _VERTICAL_TICKS), say("res_g_piezas"))
        plot = Plot(size.width, _HEIGHT_PIXELS, across, up)
        plot.add_columns(weeks, "weeks", _MAX_COLUMN_PIXELS)
        plot.add_line(moving, "line")
        if band is not None:
            _add_band(plot, band, cutoff.toordinal(), forecast_end.toordinal())
        plot.add_column_notes([day for day, _ in weeks], notes)
        return plot

    return draw


@dataclass(frozen=True, slots=True)
class _Measure:
    """What an axis counts, how its ticks are written, and how a value is on hover."""

    title: str
    form: NumberFormat
    write: Callable[[float], str]


def _draw_curve(
    curve: Sequence[tuple[float, float]], x: _Measure, y: _Measure, mark: Callable[[Plot], None]
) -> DrawPlot:
    """Draw a curve with its values on hover; ``mark`` adds what is marked on it."""
    notes = _write_notes(curve, x, y)

    def draw(size: ChartSize) -> Plot:
        plot = _curve_plot(size, curve, x, y)
        plot.add_line(curve, "line")
        mark(plot)
        plot.add_column_notes([point[0] for point in curve], notes)
        return plot

    return draw


def _curve_plot(
    size: ChartSize, covered: Sequence[tuple[float, float]], x: _Measure, y: _Measure
) -> Plot:
    """Return a plot with axes from zero that cover all of these points."""
    across = fit_number_ticks([0.0, *(point[0] for point in covered)], x.form, size.room)
    up = number_ticks([0.0, *(point[1] for point in covered)], y.form, _VERTICAL_TICKS)
    return Plot(size.width, _HEIGHT_PIXELS, Axis(across, x.title), Axis(up, y.title))


def _write_notes(curve: Sequence[tuple[float, float]], x: _Measure, y: _Measure) -> Sequence[str]:
    return [f"{x.title}: {x.write(a)}\n{y.title}: {y.write(b)}" for a, b in curve]


def _add_band(plot: Plot, band: tuple[int, int], start: float, end: float) -> None:
    """Add an area between both quantiles of ``band``, and a line at each."""
    plot.add_rectangle((start, band[0]), (end, band[1]), "band")
    for level in band:
        plot.add_line([(start, level), (end, level)], "rule")


def _history_notes(
    weeks: Sequence[tuple[dt.date, float]],
    sums: Sequence[float | None],
    window_weeks: int,
    say: Translations,
) -> Sequence[str]:
    """Return what each week sold and, if they are of more weeks, the sums up to it."""
    notes = []
    for (end, units), total in zip(weeks, sums, strict=True):
        note = say("res_g_semana", end=formatting.day(end), units=formatting.exact(units))
        if total is not None and window_weeks > 1:
            note += "\n" + say("res_g_suma", weeks=window_weeks, units=formatting.exact(total))
        notes.append(note)
    return notes
