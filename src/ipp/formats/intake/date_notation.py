"""The one grammar of dates that people and programs write, as expressions over trimmed texts.

Most spellings have one reading: 2025-12-31, 20251231, 31-dic-2025, 25/03/2026. A text such as
03/04/2026 has two, and only its column can say which one is meant.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Final

import polars as pl

from ipp.formats.written_number import SPACE_PATTERN as _SPACE


class DateOrder(Enum):
    """The order of day and month in a column, for dates that are ambiguous by themselves."""

    DAY_FIRST = "día/mes"
    MONTH_FIRST = "mes/día"
    UNCLEAR = ""
    """The column does not prove either order, or proves both."""


_MONTH_NAMES: Final = (
    "enero ene january jan",
    "febrero feb february",
    "marzo mar march",
    "abril abr april apr",
    "mayo may",
    "junio jun june",
    "julio jul july",
    "agosto ago august aug",
    "septiembre setiembre sept sep set september",
    "octubre oct october",
    "noviembre nov november",
    "diciembre dic december dec",
)
_MONTH_NUMBERS: Final = {
    name: str(number) for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()
}

# Classes are spelled out: those of Unicode, such as \d, cost ten times as much.
_LETTER_PATTERN: Final = "[A-Za-zÁÉÍÓÚáéíóú]"
_TIME_PATTERN: Final = (
    rf"(?:(?:T|,?{_SPACE}+)(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?"
    rf"(?:{_SPACE}*[AaPp]\.?{_SPACE}?[Mm]\.?)?"
    rf"(?:{_SPACE}*(?:Z|UTC|GMT|[+-][0-9]{{2}}(?::?[0-9]{{2}})?))?)?"
)
"""A time of day, which is dropped: the date is kept as written, whatever the time zone."""

_YEAR_FIRST_PATTERN: Final = (
    r"^(?P<year>[0-9]{4})(?P<mark>[/.-])(?P<month>[0-9]{1,2})(?P<other_mark>[/.-])"
    rf"(?P<day>[0-9]{{1,2}}){_TIME_PATTERN}$"
)
_YEAR_LAST_PATTERN: Final = (
    r"^(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P<other_mark>[/.-])"
    rf"(?P<year>[0-9]{{4}}){_TIME_PATTERN}$"
)
_COMPACT_PATTERN: Final = (
    rf"^(?P<year>(?:19|2[0-9])[0-9]{{2}})(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}}){_TIME_PATTERN}$"
)
_WEEKDAY_PATTERN: Final = rf"(?:{_LETTER_PATTERN}+\.?,?{_SPACE}+)?"
_NAMED_PATTERNS: Final = (
    rf"^{_WEEKDAY_PATTERN}(?P<day>[0-9]{{1,2}})(?:{_SPACE}+de{_SPACE}+|[ \u00a0/.-]+)"
    rf"(?P<month>{_LETTER_PATTERN}{{3,10}})\.?(?:{_SPACE}+del?{_SPACE}+|[ \u00a0/.,-]+)"
    rf"(?P<year>[0-9]{{4}}){_TIME_PATTERN}$",
    rf"^{_WEEKDAY_PATTERN}(?P<month>{_LETTER_PATTERN}{{3,10}})\.?{_SPACE}+(?P<day>[0-9]{{1,2}}),?"
    rf"{_SPACE}+(?P<year>[0-9]{{4}}){_TIME_PATTERN}$",
)
"""31-dic-2025, 31 de diciembre de 2025; and Dec 31, 2025."""


def parse_written_date(text: pl.Expr, order: DateOrder) -> pl.Expr:
    """Return the date of a text in any known spelling; null if it has no reading, or two.

    ``order`` is that of the column; under `DateOrder.UNCLEAR` only dates with one reading count.
    """
    return text.map_batches(
        partial(_parse_texts, order=order), return_dtype=pl.Date(), is_elementwise=True
    )


def read_both_orders(texts: pl.Series) -> pl.DataFrame:
    """Return the dates of texts such as 03/04/2026 as ``by_day`` and ``by_month``.

    Both are null for a text in another spelling, one is null where only the other exists.
    """
    parts = _split_texts(texts, _YEAR_LAST_PATTERN)
    return parts.select(
        by_day=_build_date("year", "second", "first"),
        by_month=_build_date("year", "first", "second"),
    )


def _parse_texts(texts: pl.Series, order: DateOrder) -> pl.Series:
    """Parse each different text once: a column of millions of rows has some hundred days."""
    different = texts.drop_nulls().unique()
    dates = _parse_numeric(different, order)
    for pattern in (_YEAR_FIRST_PATTERN, _COMPACT_PATTERN, *_NAMED_PATTERNS):
        if dates.null_count() == 0:
            break
        parts = _split_texts(different, pattern).with_columns(
            _month_number(pl.col("month")) if pattern in _NAMED_PATTERNS else pl.col("month")
        )
        dates = dates.zip_with(
            dates.is_not_null(), parts.select(_build_date("year", "month", "day")).to_series()
        )
    return texts.replace_strict(different, dates, default=None, return_dtype=pl.Date())


def _parse_numeric(texts: pl.Series, order: DateOrder) -> pl.Series:
    """Return the dates of texts such as 25/03/2026, 25-03-2026 or 25.03.2026; null for others."""
    both = read_both_orders(texts)
    by_day, by_month = both["by_day"], both["by_month"]
    match order:
        case DateOrder.DAY_FIRST:
            return by_day
        case DateOrder.MONTH_FIRST:
            return by_month
        case DateOrder.UNCLEAR:
            either = by_day.fill_null(by_month)
            return either.set(by_day.ne(by_month).fill_null(value=False), None)


def _split_texts(texts: pl.Series, pattern: str) -> pl.DataFrame:
    """Return the named groups of ``pattern`` in each text, null where a text does not match.

    The two separators of a date must be the same.
    """
    parts = pl.DataFrame(texts.str.extract_groups(pattern).struct.unnest())
    if "mark" in parts.columns:
        parts = parts.with_columns(
            pl.when(pl.col("mark") == pl.col("other_mark")).then(pl.col("year")).alias("year")
        )
    return parts


def _month_number(name: pl.Expr) -> pl.Expr:
    return name.str.to_lowercase().replace_strict(
        _MONTH_NUMBERS, default=None, return_dtype=pl.String()
    )


def _build_date(year: str, month: str, day: str) -> pl.Expr:
    """Return the date of three columns of digits; null where one is null or no such day exists."""
    return pl.concat_str(year, month, day, separator="-").str.to_date("%Y-%m-%d", strict=False)
