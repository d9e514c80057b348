"""Parse raw cells by the kind of their column.

Everything is an expression over text that is already trimmed. The usual spelling takes a cheap
path; only the remaining cells are tried against the other spellings, so large files cost little.
"""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind

_EARLIEST_DATE: Final = dt.date(1900, 1, 1)
"""An earlier date has a year that was written with two digits."""

_YES_WORDS: Final = ("sí", "si", "s", "yes", "y", "true", "verdadero", "1", "1.0", "x")
_NO_WORDS: Final = ("no", "n", "false", "falso", "0", "0.0")
_FLAG_VALUES: Final = {**dict.fromkeys(_YES_WORDS, True), **dict.fromkeys(_NO_WORDS, False)}

_TIME_PATTERN: Final = (
    r"(?:[T ](?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
"""A time of day, which is dropped: the date is kept as written, whatever the time zone."""
_ISO_DATE_PATTERN: Final = rf"^(\d{{4}}-\d{{2}}-\d{{2}}){_TIME_PATTERN}$"
_YEAR_FIRST_PATTERN: Final = rf"^(\d{{4}}/\d{{1,2}}/\d{{1,2}}){_TIME_PATTERN}$"
_DAY_FIRST_PATTERN: Final = rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_TIME_PATTERN}$"
_EXCEL_SERIAL_PATTERN: Final = r"^[3-7]\d{4}(?:\.\d+)?$"
"""The serial numbers under which Excel stores dates from 1982 to 2119."""

_MAX_ID: Final = 10**18 - 1
_ID_PATTERN: Final = r"^0*(\d{1,18})(?:\.0+)?$"
_PLAIN_NUMBER_PATTERN: Final = r"^\d+(?:\.\d+)?$"
_PLAIN_NUMBER_BESIDE_COMMA_PATTERN: Final = r"^\d+(?:\.(?:\d{1,2}|\d{4,}))?$"
_AMBIGUOUS_PATTERN: Final = r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$"
"""A number such as 1.234 or 1,234, whose mark may group thousands or be the decimal mark."""
_AMBIGUOUS_POINT_PATTERN: Final = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_AMBIGUOUS_COMMA_PATTERN: Final = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_CURRENCY_PATTERN: Final = r"(?i)^(?:\$|MXN)?\s*(.*?)\s*(?:MXN)?$"
_NUMBER_SPELLINGS: Final = (
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3}){2,}$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+$", "."),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$", "."),
    (r"^[+-]?(?:\d+|\d*[.,]\d+)$", ""),
)
"""Each spelling of a number with its thousands mark; any comma that remains is the decimal mark."""


class DecimalMark(Enum):
    """The decimal mark of a column's numbers, for numbers that are ambiguous by themselves."""

    POINT = "."
    """The point is the decimal mark and the comma groups thousands."""
    COMMA = ","
    """The comma is the decimal mark and the point groups thousands."""
    UNCLEAR = ""
    """The column does not prove either mark."""


def is_ambiguous(text: pl.Expr) -> pl.Expr:
    """Return whether the mark of a number may group thousands or be the decimal mark."""
    return text.str.contains(_with_currency(_AMBIGUOUS_PATTERN))


def proves_mark(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Return whether a number can only be read with ``marks``."""
    # Under COMMA the alternatives match, in order: 12,5 (not three decimals); 0,125 and 1234,567
    # (three decimals, but what stands before cannot be a group); 1.234,5; and 1.234.567.
    decimal, group = (",", r"\.") if marks is DecimalMark.COMMA else (r"\.", ",")
    number = (
        rf"^[+-]?(?:\d*{decimal}(?:\d{{1,2}}|\d{{4,}})|(?:0\d*|\d{{4,}})?{decimal}\d+"
        rf"|[1-9]\d{{0,2}}(?:{group}\d{{3}})+{decimal}\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}}){{2,}})$"
    )
    return text.str.contains(_with_currency(number))


def _with_currency(number: str) -> str:
    """Return the pattern ``number`` with an optional currency before and after it."""
    return _CURRENCY_PATTERN.replace("(.*?)", number.removeprefix("^").removesuffix("$"))


def cell_text(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the cell as a person would write it, trimmed; null where it is empty.

    A whole number stored as a float loses its ``.0``; a timestamp loses its time zone.
    """
    if dtype.is_float():
        whole = raw.is_finite() & (raw == raw.floor()) & (raw.abs() < 1e18)
        digits = raw.cast(pl.Int64, strict=False).cast(pl.String)
        raw = pl.when(whole).then(digits).otherwise(raw.cast(pl.String))
    elif isinstance(dtype, pl.Datetime):
        raw = raw.dt.replace_time_zone(None).cast(pl.String)
    text = raw.cast(pl.String).str.strip_chars()
    return pl.when(text.str.len_bytes() > 0).then(text)


def cell_value(
    column: Column,
    text: pl.Expr,
    dtype: pl.DataType,
    marks: DecimalMark,
    stored: pl.Expr | None = None,
) -> pl.Expr:
    """Return the value of ``text`` in ``column``; null where it is empty or cannot be parsed.

    ``dtype`` is the type that the file itself stores and ``marks`` the decimal mark of the column.
    ``stored`` is true where the file stores the cell as a number, false where it stores a text, and
    null where that is unknown.
    """
    match column.kind:
        case Kind.ID:
            return _parse_id(text)
        case Kind.NUMBER:
            return _parse_number(text, dtype, marks, stored)
        case Kind.COUNT:
            number = _parse_number(text, dtype, marks, stored)
            return (
                pl.when((number == number.floor()) & (number.abs() < 2**53))
                .then(number)
                .cast(pl.Int64)
            )
        case Kind.DATE:
            return _parse_date(text)
        case Kind.FLAG:
            lowered = text.str.normalize("NFC").str.to_lowercase()
            return lowered.replace_strict(_FLAG_VALUES, default=None, return_dtype=pl.Boolean)
        case Kind.TEXT:
            return _parse_choice(column, text) if column.choices else text


def misread_reason(column: Column, text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Return why a text cannot be parsed as a value of ``column``, and how to write it."""
    if column.choices:
        return pl.lit(f"no es una de las opciones: escriba {' o '.join(column.choices)}")
    match column.kind:
        case Kind.ID:
            return pl.lit("no es un identificador: escriba sólo cifras, como 7051602 (18 a lo más)")
        case Kind.DATE:
            how = "escriba año-mes-día, como 2024-01-31, o día/mes/año, como 31/01/2024"
            serial = pl.lit(f"parece el número con que Excel guarda una fecha: {how}")
            return (
                pl.when(text.str.contains(_EXCEL_SERIAL_PATTERN))
                .then(serial)
                .otherwise(pl.lit(f"no es una fecha: {how}"))
            )
        case Kind.FLAG:
            return pl.lit("no es sí ni no: escriba sí o no")
        case kind:
            what = "un número entero" if kind is Kind.COUNT else "un número"
            example = (
                "12"
                if kind is Kind.COUNT
                else "1234.50"
                if marks is DecimalMark.POINT
                else "1234,50 o 1234.50"
            )
            reason = pl.lit(f"no es {what}: escriba por ejemplo {example}")
            if marks is DecimalMark.POINT:
                return reason
            return pl.when(is_ambiguous(text)).then(_both_readings(text)).otherwise(reason)


def _both_readings(text: pl.Expr) -> pl.Expr:
    """Return a message that shows both readings of an ambiguous number.

    The decimal reading keeps its mark, so once it is written the column proves its decimal mark.
    """
    amount = _strip_currency(text)
    return pl.format(
        "puede leerse con millares o con decimales: "
        "escriba {} si son millares, {}0 si son decimales",
        amount.str.replace(r"[.,]", ""),
        amount,
    )


def _parse_id(text: pl.Expr) -> pl.Expr:
    usual = text.cast(pl.Int64, strict=False)
    usual = pl.when(usual.is_between(0, _MAX_ID) & ~text.str.starts_with("+")).then(usual)
    other = pl.when(usual.is_null()).then(text).str.extract(_ID_PATTERN).cast(pl.Int64)
    return usual.fill_null(other)


def _parse_number(
    text: pl.Expr, dtype: pl.DataType, marks: DecimalMark, stored: pl.Expr | None
) -> pl.Expr:
    number = (
        text.cast(pl.Float64, strict=False)
        if dtype.is_numeric()
        else _number_from_spelling(text, marks)
    )
    if stored is not None:
        # Where it is unknown whether the file stores a number or a text, 1.234 in a column that has
        # 12,5 may be the stored number 1.234 or the text for 1234, so it must not be guessed.
        unsure = (
            number
            if marks is DecimalMark.POINT
            else _number_from_spelling(text, DecimalMark.UNCLEAR)
        )
        number = (
            pl.when(stored)
            .then(text.cast(pl.Float64, strict=False))
            .when(stored.is_null())
            .then(unsure)
            .otherwise(number)
        )
    return pl.when(number.is_finite()).then(number)


def _number_from_spelling(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    plain = text.str.contains(
        _PLAIN_NUMBER_PATTERN if marks is DecimalMark.POINT else _PLAIN_NUMBER_BESIDE_COMMA_PATTERN
    )
    rest = pl.when(~plain).then(text)
    return (
        pl.when(plain)
        .then(text)
        .fill_null(_canonical_number(rest, marks))
        .cast(pl.Float64, strict=False)
    )


def _canonical_number(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Rewrite any accepted spelling of a number with only a decimal point; null for any other text.

    For example $1,234,567.5 and 1.234.567,5 MXN both become 1234567.5.
    """
    text = _strip_currency(text)
    spellings: tuple[tuple[str, str], ...] = _NUMBER_SPELLINGS
    if marks is DecimalMark.POINT:
        spellings = ((_AMBIGUOUS_COMMA_PATTERN, ","), *spellings)
    elif marks is DecimalMark.COMMA:
        spellings = ((_AMBIGUOUS_POINT_PATTERN, "."), *spellings)
    else:
        text = pl.when(~text.str.contains(_AMBIGUOUS_PATTERN)).then(text)
    readings = []
    for pattern, thousands in spellings:
        number = text.str.replace_all(thousands, "", literal=True) if thousands else text
        readings.append(
            pl.when(text.str.contains(pattern)).then(number.str.replace(",", ".", literal=True))
        )
    return pl.coalesce(readings)


def _strip_currency(text: pl.Expr) -> pl.Expr:
    """Remove the currency before and after a number."""
    return text.str.replace(_CURRENCY_PATTERN, "$1")


def _parse_date(text: pl.Expr) -> pl.Expr:
    iso = (text.str.len_bytes() == 10) & (text.str.slice(4, 1) == "-")
    usual = pl.when(iso).then(text).str.to_date("%Y-%m-%d", strict=False)
    rest = pl.when(usual.is_null()).then(text)
    date = pl.coalesce(
        usual,
        rest.str.extract(_ISO_DATE_PATTERN).str.to_date("%Y-%m-%d", strict=False),
        rest.str.extract(_YEAR_FIRST_PATTERN).str.to_date("%Y/%m/%d", strict=False),
        rest.str.extract(_DAY_FIRST_PATTERN).str.to_date("%d/%m/%Y", strict=False),
    )
    return pl.when(date >= _EARLIEST_DATE).then(date)


def _parse_choice(column: Column, text: pl.Expr) -> pl.Expr:
    choices = {choice.lower(): choice for choice in column.choices}
    return text.str.to_lowercase().replace_strict(choices, default=None, return_dtype=pl.String)
