"""Numbers in form fields: parsed as people in Mexico write them, formatted to parse back equal."""

from __future__ import annotations

import math
import re
from typing import Final

_NUMBER_PATTERN: Final = re.compile(r"\$?\s*([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?)")
"""Commas separate thousands only.

1,5 is refused rather than guessed at: it may mean one and a half.
"""


def parse_number_field(text: str) -> float | str | None:
    """Return the number in a field: None if it is empty, its text if it is not a number."""
    text = text.strip()
    if not text:
        return None
    match = _NUMBER_PATTERN.fullmatch(text)
    try:
        value = float(match[1].replace(",", "")) if match else math.nan
    except ValueError:  # The pattern also matches a lone sign or decimal point.
        return text
    return value if math.isfinite(value) else text


def format_number_field(value: float | str | None) -> str:
    """Format ``value`` with thousands so that `parse_number_field` returns it again.

    It has cents, unless rounding to them would change it; then it has all of its decimals.
    """
    if value is None or isinstance(value, str):
        return value or ""
    cents = f"{value:,.2f}"
    return cents if parse_number_field(cents) == value else f"{value:,}"
