"""Numbers, money and moments as people in Mexico read them; what is shown as zero has no sign."""

from __future__ import annotations

import datetime as dt
from typing import Final

NO_VALUE: Final = "—"
"""What stands where there is no value."""


def whole(value: float | None) -> str:
    """A count with thousands: 12,345."""
    return NO_VALUE if value is None else f"{value:z,.0f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with thousands and decimals: 1,234.50."""
    return NO_VALUE if value is None else f"{value:z,.{digits}f}"


def exact(value: float | None) -> str:
    """A number with thousands and as many decimals as it has: 1,234.5."""
    return NO_VALUE if value is None else f"{value:z,.15g}"


def money(value: float | None) -> str:
    """Pesos to the cent: $1,234.50."""
    if value is None:
        return NO_VALUE
    cents = f"{value:z,.2f}"
    return f"-${cents[1:]}" if cents.startswith("-") else f"${cents}"


def percent(value: float | None) -> str:
    """A fraction as a percentage: 78.4%."""
    return NO_VALUE if value is None else f"{value:z.1%}"


def share(part: float | None, whole: float | None) -> str:
    """A part of a whole as a percentage; nothing has no parts."""
    return NO_VALUE if part is None or not whole else percent(part / whole)


def day(date: dt.date | None) -> str:
    """A day: 25/11/2026."""
    return NO_VALUE if date is None else date.strftime("%d/%m/%Y")


def moment(when: dt.datetime | None) -> str:
    """A moment by this machine's clock, to the minute: 25/11/2026 14:03."""
    return NO_VALUE if when is None else when.astimezone().strftime("%d/%m/%Y %H:%M")


def lasted(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """The time between two moments: 45 s, 3 min 05 s, 1 h 02 min."""
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
    """Units more or fewer: +12, -3, 0."""
    return NO_VALUE if value is None else f"{value:+z,.0f}" if round(value) else "0"


def money_change(value: float | None) -> str:
    """Pesos more or fewer: +$1,234.50."""
    told = money(value)
    return f"+{told}" if value is not None and value > 0 and told != money(0) else told
