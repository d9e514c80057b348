"""Scales from values to pixels, and the ticks that people read them by."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ipp.formats.chart.svg import estimate_width

_NICE_FRACTIONS: Final = ((1.5, 1.0), (3.0, 2.0), (7.0, 5.0))
"""Heckbert's limits: below 1.5 a step is rounded to 1, below 3 to 2, below 7 to 5, else to 10."""

_ROUNDING_ALLOWANCE: Final = 1e-9
"""Part of a step by which a tick may lie inside the values that it covers."""

_MIN_TICKS: Final = 2

_LABEL_SPACE_PIXELS: Final = 24
"""Least space between two labels beside each other."""

_MONTH_STEPS: Final = (1, 2, 3, 6)
"""Months between two ticks within a year; beyond, whole years."""


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How an axis writes its ticks; ``smallest`` is the least step that the labels tell apart."""

    write: Callable[[float], str]
    smallest: float


COUNT_FORMAT: Final = NumberFormat(lambda value: f"{value:,.0f}", 1)
MONEY_FORMAT: Final = NumberFormat(lambda value: f"${value:,.0f}", 1)
PERCENT_FORMAT: Final = NumberFormat(lambda value: f"{value:.0%}", 0.01)
HUNDREDTHS_FORMAT: Final = NumberFormat(lambda value: f"{value:.2f}", 0.01)


@dataclass(frozen=True, slots=True)
class Ticks:
    """The ends of an axis, and where it has labels: pairs of a value and its text.

    ``low`` is the left or lower end, even where values descend from it.
    """

    low: float
    high: float
    labels: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Scale:
    """Map values from ``low`` to ``high``, or down to it, to pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def position(self, value: float) -> float:
        """Return the pixel of a value; one beyond an end is put at the end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def fit_number_ticks(values: Sequence[float], form: NumberFormat, room: float) -> Ticks:
    """Return `number_ticks` as close as their labels fit beside each other in ``room`` pixels."""
    count = max(_MIN_TICKS, int(room / _LABEL_SPACE_PIXELS))
    ticks = number_ticks(values, form, count)
    while count > _MIN_TICKS and _row_width(ticks) > room:
        count -= 1
        ticks = number_ticks(values, form, count)
    return ticks


def number_ticks(values: Sequence[float], form: NumberFormat, count: int) -> Ticks:
    """Return about ``count`` ticks at round numbers, whose ends cover all ``values``.

    They are Heckbert's "nice numbers for graph labels" (Graphics Gems, 1990): multiples of 1, 2 or
    5 times a power of ten.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    # Below one unit in the last place of the larger end, two ticks would be the same number.
    least = max(form.smallest, 4 * math.ulp(max(abs(low), abs(high))))
    if high - low < least:
        high = low + least
    step = max(least, _nice_step((high - low) / max(1, count - 1)))
    # 0.3 / 0.1 is 2.9999999999999996: without the allowance, 0.2 would be a tick as well.
    first = math.floor(low / step + _ROUNDING_ALLOWANCE)
    last = math.ceil(high / step - _ROUNDING_ALLOWANCE)
    marks = [n * step for n in range(first, last + 1)]
    labels = [(mark, form.write(mark)) for mark in marks]
    return Ticks(min(low, marks[0]), max(high, marks[-1]), labels)


def month_ticks(first: dt.date, last: dt.date, room: float) -> Ticks:
    """Return ticks at beginnings of months, as day numbers, whose labels fit in ``room`` pixels.

    The ends are ``first`` and ``last`` themselves. Where no month begins between them, both have a
    label, with the day.
    """
    start, end = first.toordinal(), max(last.toordinal(), first.toordinal() + 1)
    count = max(_MIN_TICKS, int(room / (estimate_width("12/2026") + _LABEL_SPACE_PIXELS)))
    # Months are counted from the year 0: March of 2026 is 2026 x 12 + 2.
    next_month = first.year * 12 + first.month - (1 if first.day == 1 else 0)
    months = range(next_month, last.year * 12 + last.month)
    years = 12 * math.ceil(len(months) / 12 / count)
    step = next((each for each in _MONTH_STEPS if len(months) <= each * count), years)
    month_starts = [
        dt.date(month // 12, month % 12 + 1, 1) for month in months if month % step == 0
    ]
    if not month_starts:
        ends = (first, dt.date.fromordinal(end))
        return Ticks(start, end, [(day.toordinal(), f"{day:%d/%m/%Y}") for day in ends])
    return Ticks(start, end, [(day.toordinal(), f"{day:%m/%Y}") for day in month_starts])


def name_ticks(names: Sequence[str], max_characters: int) -> Ticks:
    """Return a tick at 0, 1, 2 … for each of ``names``, the first at the upper end of the axis.

    Longer names are cut short.
    """
    cut = [
        name if len(name) <= max_characters else f"{name[: max_characters - 1].rstrip()}…"
        for name in names
    ]
    return Ticks(len(names) - 0.5, -0.5, [(float(n), name) for n, name in enumerate(cut)])


def _row_width(ticks: Ticks) -> float:
    """Return the pixels that the labels take side by side."""
    return sum(estimate_width(text) + _LABEL_SPACE_PIXELS for _, text in ticks.labels)


def _nice_step(raw: float) -> float:
    """Return the round number nearest to a step."""
    power = math.floor(math.log10(raw))
    fraction = raw / 10.0**power
    return next((nice for limit, nice in _NICE_FRACTIONS if fraction < limit), 10.0) * 10.0**power
