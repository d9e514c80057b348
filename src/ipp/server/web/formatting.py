"""Format numbers, money and times as people in Mexico read them; zero never has a sign."""

from __future__ import annotations

import datetime as dt
from typing import Final

NO_VALUE: Final = "—"
"""Placeholder for a missing value."""


def whole(value: float | None) -> str:
    """Format a count with thousands separators: 12,345."""
    return NO_VALUE if value is None else f"{value:z,.0f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """Format a number with thousands separators and ``digits`` decimals: 1,234.50."""
    return NO_VALUE if value is None else f"{value:z,.{digits}f}"


def exact(value: float | None) -> str:
    """Format a number with thousands separators and all of its decimals: 1,234.5."""
    return NO_VALUE if value is None else f"{value:z,.15g}"


def money(value: float | None) -> str:
    """Format pesos to the cent: $1,234.50."""
    if value is None:
        return NO_VALUE
    cents = f"{value:z,.2f}"
    return f"-${cents[1:]}" if cents.startswith("-") else f"${cents}"


def percent(value: float | None) -> str:
    """Format a fraction as a percentage: 78.4%."""
    return NO_VALUE if value is None else f"{value:z.1%}"


def share(part: float | None, whole: float | None) -> str:
    """Format a part of a whole as a percentage; a whole of zero has no value."""
    return NO_VALUE if part is None or not whole else percent(part / whole)


def day(date: dt.date | None) -> str:
    """Format a date: 25/11/2026."""
    return NO_VALUE if date is None else date.strftime("%d/%m/%Y")


def moment(when: dt.datetime | None) -> str:
    """Format a time by this machine's clock, to the minute: 25/11/2026 14:03."""
    return NO_VALUE if when is None else when.astimezone().strftime("%d/%m/%Y %H:%M")


def lasted(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """Format the time between two moments: 45 s, 3 min 05 s, 1 h 02 min."""
    if start is None or end is None:
        return NO_VALUE
    seconds = max(0, round((end - start).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def change(value: float | None) -> str:
    """Format a difference in units: +12, -3, 0."""
    return NO_VALUE if value is None else f"{value:+z,.0f}" if round(value) else "0"


def money_change(value: float | None) -> str:
    """Format a difference in pesos: +$1,234.50."""
    text = money(value)
    return f"+{text}" if value is not None and value > 0 and text != money(0) else text
