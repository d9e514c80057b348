"""Numbers in fields: read as people in Mexico write them, written so that they are read back the same."""

from __future__ import annotations

import math
import re
from typing import Final

_NUMBER_PATTERN: Final = re.compile(r"\$?\s*([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?)")
"""Commas stand between thousands and nowhere else: 1,5 may mean one and a half, and is not guessed at."""


def parse_number_field(text: str) -> float | str | None:
    """The number that a field holds: None where it is empty, the text as it is where it is no number."""
    text = text.strip()
    if not text:
        return None
    written = _NUMBER_PATTERN.fullmatch(text)
    try:
        value = float(written[1].replace(",", "")) if written else math.nan
    except ValueError:  # a sign or a point alone
        return text
    return value if math.isfinite(value) else text


def format_number_field(value: float | str | None) -> str:
    """What `parse_number_field` reads as ``value``, with thousands, and with cents where they tell all of it."""
    if value is None or isinstance(value, str):
        return value or ""
    cents = f"{value:,.2f}"
    return cents if parse_number_field(cents) == value else f"{value:,}"
