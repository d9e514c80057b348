"""The one grammar of numbers that people write, in options, forms and files.

A number is read under a decimal mark, the point or the comma. Most texts are a number under one of
them only, or the same number under both. 1,234 and 1.234 are a thousand under one and a bit more
than one under the other: a column of a file may prove its mark, a single text is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Final


class DecimalMark(Enum):
    """The decimal mark of a column's numbers, for numbers that are ambiguous by themselves."""

    POINT = "."
    """The point is the decimal mark and the comma groups thousands."""
    COMMA = ","
    """The comma is the decimal mark and the point groups thousands."""
    UNCLEAR = ""
    """The column does not prove either mark."""


MINUS_SIGN: Final = "\u2212"
"""The typographic minus, which some programs write instead of the hyphen."""

_SIGN: Final = rf"[+{MINUS_SIGN}-]"
SPACE_PATTERN: Final = "[ \t\u00a0\u2007\u2009\u202f]"
"""A space: plain, tab, no-break, figure, thin or narrow no-break."""
_CURRENCY_CODE: Final = "[Mm][Xx][Nn]"


def _with_sign_and_currency(plain: str, scientific: str = "") -> str:
    """Return the pattern of a number, such as -$5, $-5, 5 MXN, 5- or 5, from that of its digits.

    SAP writes the minus at the end: 5- and 5- MXN. Digits with an exponent have none there.
    """
    currency = rf"(?:\$|{_CURRENCY_CODE}){SPACE_PATTERN}*"
    before = rf"(?:{_SIGN}?(?:{currency})?|{currency}{_SIGN})"
    digits = rf"{plain}|{scientific}" if scientific else plain
    negative = rf"(?:{currency})?(?:{plain})[{MINUS_SIGN}-]"
    return rf"^(?:{before}(?:{digits})|{negative})(?:{SPACE_PATTERN}*{_CURRENCY_CODE})?$"


def _number_pattern(mark: str, group: str) -> str:
    """Return the pattern of a number with a decimal ``mark`` and thousands that ``group`` parts.

    Groups have three digits, are parted by one kind of sign throughout, and the first does not
    begin with a zero: 0,125 cannot be grouped. Digits with an exponent are never grouped.
    """
    groups = "|".join(rf"(?:{sign}[0-9]{{3}})+" for sign in (group, SPACE_PATTERN, "['’]"))
    fraction = rf"{mark}[0-9]+"
    whole = rf"(?:[1-9][0-9]{{0,2}}(?:{groups})|[0-9]+)"
    scientific = rf"(?:[0-9]+(?:{fraction})?|{fraction})[eE][+-]?[0-9]{{1,3}}"
    return _with_sign_and_currency(rf"{whole}(?:{fraction})?|{fraction}", scientific)


# The patterns and the steps of `canonical_text` run both in Python and in Polars, so they use only
# what the two engines of regular expressions understand alike.
NUMBER_PATTERNS: Final[Mapping[DecimalMark, str]] = {
    DecimalMark.POINT: _number_pattern(r"\.", ","),
    DecimalMark.COMMA: _number_pattern(",", r"\."),
}
"""The pattern of a trimmed text that is a number under each decimal mark."""

AMBIGUOUS_PATTERN: Final = _with_sign_and_currency(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
"""The pattern of a trimmed text that is a different number under each decimal mark."""

REDUNDANT_PATTERNS: Final[Mapping[DecimalMark, str]] = {
    DecimalMark.POINT: r"[^0-9.eE+-]",
    DecimalMark.COMMA: r"[^0-9,eE+-]",
    DecimalMark.UNCLEAR: r"[^0-9.,+-]",
}
"""The pattern of each character of a number that its value does not need, by decimal mark."""

TRAILING_MINUS_PATTERN: Final = "^(.+)-$"
"""The pattern of a number, without its redundant characters, that has its minus at the end."""

NOT_NUMBER_REASON: Final = "no es un número: escriba por ejemplo 1234.50 o 1234,50"
AMBIGUOUS_REASON: Final = (
    "puede leerse como {} o como {}: escriba {} si son millares, {} si son decimales"
)
"""Why an ambiguous number is refused: its two readings, and how to write each of them.

The decimal one keeps its mark, so that once it is written in a column it proves that mark.
"""


class WrittenNumberError(ValueError):
    """A text is not a number, or may be two; its message is the reason, without the text."""


def number_readings(text: str) -> tuple[float, ...]:
    """Return the finite numbers that ``text`` may mean: none, one or two."""
    text = text.strip()
    readings = dict.fromkeys(
        float(_canonical_text(text, mark).replace(",", "."))
        for mark, pattern in NUMBER_PATTERNS.items()
        if re.fullmatch(pattern, text)
    )
    return tuple(value for value in readings if math.isfinite(value))


def read_number(text: str) -> float:
    """Return the number that ``text`` means.

    Raises `WrittenNumberError` where it means none, or may mean two.
    """
    readings = number_readings(text)
    if len(readings) == 1:
        return readings[0]
    if not readings:
        raise WrittenNumberError(NOT_NUMBER_REASON)
    amount = _canonical_text(text, DecimalMark.UNCLEAR)
    whole = re.sub("[.,]", "", amount)
    raise WrittenNumberError(
        AMBIGUOUS_REASON.format(whole, amount.replace(",", "."), whole, f"{amount}0")
    )


def write_number(value: float) -> str:
    """Write a number with grouped thousands so that `read_number` returns it again.

    It has cents, unless rounding to them would change it; then it has all of its decimals.
    """
    cents = f"{value:,.2f}"
    if number_readings(cents) == (value,):
        return cents
    text = f"{value:,}"
    return text if len(number_readings(text)) == 1 else f"{text}0"


def _canonical_text(text: str, mark: DecimalMark) -> str:
    """Remove the currency and the marks of thousands of a number, and put its minus first."""
    needed = re.sub(REDUNDANT_PATTERNS[mark], "", text.replace(MINUS_SIGN, "-"))
    return re.sub(TRAILING_MINUS_PATTERN, r"-\1", needed)
