"""Numbers, money and moments as people in Mexico read them."""

from __future__ import annotations

import datetime as dt
from typing import Final

NOTHING: Final = "—"
"""What stands where there is no value."""


def whole(value: float | None) -> str:
    """A count with thousands: 12,345."""
    return NOTHING if value is None else f"{value:,.0f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with thousands and decimals: 1,234.50."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def exact(value: float | None) -> str:
    """A number with thousands and as many decimals as it has: 1,234.5."""
    return NOTHING if value is None else f"{value:,.15g}"


def money(value: float | None) -> str:
    """Pesos to the cent: $1,234.50."""
    if value is None:
        return NOTHING
    return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"


def percent(value: float | None) -> str:
    """A fraction as a percentage: 78.4%."""
    return NOTHING if value is None else f"{value:.1%}"


def moment(when: dt.datetime | None) -> str:
    """A moment by this machine's clock, to the minute: 25/11/2026 14:03."""
    return NOTHING if when is None else when.astimezone().strftime("%d/%m/%Y %H:%M")


def lasted(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """The time between two moments: 45 s, 3 min 05 s, 1 h 02 min."""
    if start is None or end is None:
        return NOTHING
    seconds = max(0, round((end - start).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def change(value: float | None) -> str:
    """Units more or fewer: +12, -3, 0."""
    return NOTHING if value is None else "0" if value == 0 else f"{value:+,.0f}"


def money_change(value: float | None) -> str:
    """Pesos more or fewer: +$1,234.50."""
    return f"+{money(value)}" if value is not None and value > 0 else money(value)
